import json
import subprocess
from pathlib import Path

import pytest

from lb.envoy import binary, bootstrap, names, xds
from tests.lb.envoy.harness import private_directory

DIRECTORY = Path("/srv/edge")


def render(**more):
    arguments = {
        "edge_id": "edge-1",
        "directory": DIRECTORY,
        "host": "127.0.0.1",
        "port": 18080,
        "access_log": Path("/srv/logs/access.log"),
    }
    return bootstrap.render(**{**arguments, **more})


def config(**more):
    return json.loads(render(**more))


def manager():
    return config()["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def paths_in(value):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from [v] if k == "path" and isinstance(v, str) else paths_in(v)
    elif isinstance(value, list):
        for v in value:
            yield from paths_in(v)


def test_the_same_arguments_give_the_same_bytes():
    assert render() == render()


def test_it_holds_no_services_cluster_so_services_come_and_go_without_a_restart():
    assert [c["name"] for c in config()["static_resources"]["clusters"]] == [names.AGENT_CLUSTER]


def test_the_agent_is_reached_by_a_socket_in_the_edges_private_directory():
    assert "/srv/edge/agent.sock" in paths_in(config())
    assert (
        names.agent_socket(Path("/" + "d" * 120)).parent == names.admin_socket(Path("/" + "d" * 120)).parent
    )


def test_every_file_that_it_follows_is_there_before_the_first_snapshot():
    folder = names.xds_dir(DIRECTORY)
    followed = {Path(p).name for p in paths_in(config()) if Path(p).parent == folder}
    assert followed == xds.render(None, directory=DIRECTORY).keys()


def test_the_admin_interface_is_a_socket_for_its_owner_only():
    assert config()["admin"]["address"] == {"pipe": {"path": "/srv/edge/admin.sock", "mode": 0o600}}


def test_a_deep_directory_gets_a_socket_path_that_the_kernel_takes():
    deep = Path("/" + "d" * 120)
    socket = names.admin_socket(deep)
    assert len(str(socket)) < 100
    assert socket != names.admin_socket(Path("/" + "e" * 120))
    assert config(directory=deep)["admin"]["address"]["pipe"]["path"] == str(socket)


@pytest.mark.parametrize("field", ["directory", "access_log"])
def test_a_relative_path_is_refused(field):
    with pytest.raises(ValueError, match="absolute"):
        render(**{field: Path("edge")})


def test_internal_headers_are_dropped_before_any_script_runs():
    first = manager()["http_filters"][0]["typed_config"]["mutations"]["request_mutations"]
    assert {m["remove"] for m in first} == {names.KEY_HASH_HEADER, names.CLIENT_HEADER}


def test_the_key_is_compared_before_a_body_is_read():
    order = [f["name"] for f in manager()["http_filters"]]
    assert (
        order.index(names.KEYS_FILTER)
        < order.index(names.BODY_LIMIT_FILTER)
        < order.index(names.ADMIT_FILTER)
    )


def test_no_caller_counts_as_internal():
    assert manager()["internal_address_config"] == {
        "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
    }
    assert manager()["use_remote_address"] is True


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 503])
def test_every_answer_of_its_own_has_the_shape_of_openais_errors(status):
    mappers = manager()["local_reply_config"]["mappers"]
    mine = [m for m in mappers if f'"default_value": {status}' in json.dumps(m["filter"])]
    assert mine
    for mapper in mine:
        error = mapper["body_format_override"]["json_format"]["error"]
        assert set(error) == {"message", "type", "param", "code"}


def test_the_access_log_holds_no_key_no_body_and_no_query():
    fields = manager()["access_log"][0]["typed_config"]["log_format"]["json_format"]
    text = json.dumps(fields).lower()
    assert not [w for w in ("authorization", "api-key", "cookie", "body", "sha256") if w in text]
    assert fields["path"] == "%PATH(NQ:ORIG_OR_PATH)%"


def test_misspelt_fields_of_files_are_refused_by_the_command_line():
    command = bootstrap.argv(Path("/envoy"), Path("/b.json"))
    assert command[0] == "/envoy"
    assert "--reject-unknown-dynamic-fields" in command
    assert "--disable-hot-restart" in command


@pytest.mark.e2e
def test_envoy_itself_finds_it_valid():
    with private_directory() as directory:
        names.xds_dir(directory).mkdir()
        for file, text in xds.render(None, directory=directory).items():
            (names.xds_dir(directory) / file).write_text(text)
        path = directory / "bootstrap.json"
        path.write_text(render(directory=directory, access_log=directory / "access.log"))
        command = [*bootstrap.argv(binary.find(), path), "--mode", "validate"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
