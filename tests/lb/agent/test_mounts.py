"""Mounts in a bundle, and the steps that they become."""

import pytest

from lb.agent.bundle import BundleError, BundleStore
from lb.agent.mounts.mount import Mount
from lb.agent.mounts.steps import Mounts
from tests.lb.agent.machine import archive
from tests.lb.agent.processes import eventually

COPIED = {"target": "~/m", "source": "az://acct/models/a/b/", "mode": "COPY"}


@pytest.fixture
def bundle(bucket, node):
    def fetched(*members, **manifest):
        store = BundleStore(node.work_dir / "bundles", bucket.door, check=lambda: None)
        return store.get(bucket.put(archive(*members, **manifest)))

    return fetched


@pytest.fixture
def mounts(tmp_path):
    return Mounts(cloud="aws", store="eu-west-1", folder=tmp_path / "mounts", log=tmp_path / "log", grace_s=2)


def test_a_bundle_says_where_its_mounts_are(bundle, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    [found] = bundle(mounts=[COPIED]).mounts
    assert (str(found.path), found.bucket, found.key) == ("/home/me/m", "az://acct/models", "a/b")
    whole = Mount("/m", "s3://weights", "COPY")
    assert (whole.bucket, whole.key, whole.is_here) == ("s3://weights", "", False)


def test_files_of_the_bundle_are_unpacked_beside_its_workdir(bundle):
    found = bundle(("files/0/a", b"one"), mounts=[{"target": "/conf", "source": "files/0", "mode": "COPY"}])
    assert (found.root / "files/0/a").read_bytes() == b"one"
    assert found.mounts[0].is_here


@pytest.mark.parametrize(
    "mounts",
    [
        "text",
        [{"target": "/m"}],
        [COPIED | {"mode": "LINK"}],
        [COPIED | {"target": "relative"}],
        [COPIED | {"target": "/a/../../etc"}],
        [COPIED | {"source": "workdir/../.."}],
        [COPIED | {"source": "files/0", "mode": "MOUNT"}],
    ],
)
def test_mounts_that_make_no_sense_make_the_bundle_unusable(bundle, mounts):
    with pytest.raises(BundleError, match=r"bundle\.json: mounts: "):
        bundle(mounts=mounts)


def test_a_bundle_that_wants_nothing_has_no_steps(bundle, mounts):
    assert mounts(bundle()) == []


def test_what_is_copied_is_there_before_anything_is_mounted(bundle, mounts):
    mounted = {"target": "/data", "source": "s3://weights", "mode": "MOUNT"}
    steps = mounts(bundle(mounts=[mounted, COPIED]))
    assert [(s.phase.value, s.ready is None) for s in steps] == [("copying", True), ("mounting", False)]


def test_a_copy_is_a_program_that_tells_why_it_failed(bundle, mounts, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    missing = {"target": "/nowhere-to-write", "source": "files/0", "mode": "COPY"}
    [step] = mounts(bundle(("files/0", b"x"), mounts=[missing | {"target": "/proc/1/x"}]))
    assert step.phase.value == "copying"
    process = step.start()
    assert eventually(lambda: process.poll() is not None and (process.poll() or 0) != 0, 20)
    assert "/proc/1" in step.progress()
    assert "/proc/1" in mounts.log.read_text()
