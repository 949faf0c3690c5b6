import json
from pathlib import Path

import pytest

from components.boot import pointers
from lb.agent.config import CloudNode, ConfigError, load
from lb.agent.fetch import BucketError, FolderBucket, open_bucket

NODE = {
    "schema": 1,
    "cloud": "local",
    "region": "local-east",
    "zone": "local-east-a",
    "pool_id": "p",
    "instance_id": "i-1",
    "address": "127.0.0.1",
    "port": 18100,
    "agent_port": 18101,
    "bucket": "file:///tmp/state",
    "work_dir": "/tmp/work",
}


def write(tmp_path, content):
    path = tmp_path / "node.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_full_file_is_read_and_what_it_does_not_say_has_defaults(tmp_path):
    node = load(write(tmp_path, NODE | {"of_a_later_version": 1}))

    assert (node.instance_id, node.port, str(node.work_dir)) == ("i-1", 18100, "/tmp/work")
    assert (node.accelerator_count, node.secrets_dir, node.grace_s) == (None, None, 5)
    assert node.notice_file is None


def test_a_pool_of_a_whole_region_has_no_zone(tmp_path):
    assert load(write(tmp_path, NODE | {"zone": None})).zone is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ([], "schema"),
        (NODE | {"schema": 2}, "schema: 2"),
        ({k: v for k, v in NODE.items() if k != "pool_id"}, "pool_id: None"),
        (NODE | {"port": "18100"}, "port: '18100'"),
        (NODE | {"port": 70000}, "port: 70000"),
        (NODE | {"port": True}, "port: True"),
        (NODE | {"accelerator_count": -1}, "accelerator_count: -1"),
    ],
)
def test_what_is_wrong_is_named_with_file_field_and_value(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(ConfigError, match=r"node\.json") as e:
        load(path)
    assert said in str(e.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "node.json")


@pytest.mark.parametrize("url", ["s3://bucket", "file://host/path", "file:relative", "/path", ""])
def test_a_bucket_that_is_no_folder_is_refused(url):
    with pytest.raises(ConfigError, match="bucket"):
        open_bucket(url)


def test_an_object_that_is_missing_or_too_large_is_an_error_of_the_bucket(tmp_path):
    (tmp_path / "large").write_bytes(b"12345")
    door = open_bucket(tmp_path.as_uri())
    assert door.read("large", limit=5) == b"12345"
    with pytest.raises(BucketError, match="large"):
        FolderBucket(tmp_path).read("large", limit=4)
    with pytest.raises(BucketError, match="not there"):
        door.read("missing", limit=4)


IN_CLOUD = {
    "schema": 1,
    "cloud": "aws",
    "env": "prod",
    "region": "eu-west-1",
    "service": "chat",
    "pool_id": None,
    "bucket": "s3://state",
    "store": "eu-west-1",
    "work_dir": "/var/lib/tradewind/node",
    "run_dir": "/run/tradewind/node",
    "agent_port": 9446,
    "sidecar": {"address": "0.0.0.0", "port": 9443, "envoy": "/opt/envoy", "user": "tradewind"},
}


def test_a_machine_in_a_cloud_is_described_without_what_only_its_cloud_knows(tmp_path):
    node = load(write(tmp_path, IN_CLOUD))
    assert isinstance(node, CloudNode)
    assert (node.pool_id, node.poll_s, node.drain_s) == (None, 5.0, 25)
    assert (str(node.sidecar.envoy), node.sidecar.user) == ("/opt/envoy", "tradewind")


def test_the_stacks_settings_describe_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "components/boot"))
    import settings

    host = {name: f"the {name}" for name in ("env", "region", "service", "bucket", "store")}
    filled = settings.filled_in(pointers.node_settings(), {**host, "cloud": "gcp", "role": "node"})
    node = load(write(tmp_path, filled))
    assert isinstance(node, CloudNode)
    assert (node.cloud, node.service, node.pool_id) == ("gcp", "the service", None)
    assert (node.sidecar.port, node.agent_port) == (9443, 9446)
    assert node.sidecar.envoy.parts[-4:] == ("site", "envoy", "_bin", "envoy")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (IN_CLOUD | {"sidecar": None}, "sidecar: None"),
        (IN_CLOUD | {"sidecar": {"address": "0.0.0.0", "port": 0, "envoy": "/e"}}, "sidecar.port: 0"),
        (IN_CLOUD | {"store": None}, "store: None"),
        (IN_CLOUD | {"drain_s": 0}, "drain_s: 0"),
    ],
)
def test_what_is_wrong_with_it_is_named_too(tmp_path, content, said):
    with pytest.raises(ConfigError) as e:
        load(write(tmp_path, content))
    assert said in str(e.value)
