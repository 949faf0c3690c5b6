"""Archives are not trusted: whatever is in them, nothing lands outside of the bundle's folder."""

import errno
import tarfile

import pytest

import lb.agent.bundle
from lb.agent.bundle import BundleError, BundleStore
from lb.agent.fetch import BucketError
from tests.lb.agent.machine import archive


@pytest.fixture
def store(tmp_path, bucket):
    return BundleStore(tmp_path / "bundles", bucket.door, check=lambda: None)


def member(name, kind=tarfile.REGTYPE, link="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_bundle_is_unpacked_with_its_files_modes_and_inner_links(store, bucket):
    sha256 = bucket.put(
        archive(
            (member("workdir", tarfile.DIRTYPE), b""),
            ("workdir/sub/data.txt", b"hello"),
            (member("workdir/start.sh", mode=0o755), b"#!/bin/sh"),
            (member("workdir/link", tarfile.SYMTYPE, "sub/data.txt"), b""),
            setup="make",
            run="./start.sh",
            envs={"A": "1"},
            secrets=["TOKEN"],
            num_gpus=2,
        )
    )

    bundle = store.get(sha256)

    assert (bundle.setup, bundle.run, bundle.envs, bundle.secrets) == (
        "make",
        "./start.sh",
        {"A": "1"},
        ("TOKEN",),
    )
    assert bundle.num_gpus == 2
    assert (bundle.workdir / "link").read_text() == "hello"
    assert (bundle.workdir / "start.sh").stat().st_mode & 0o777 == 0o755
    assert (bundle.workdir / "sub/data.txt").stat().st_mode & 0o777 == 0o644


def test_the_archive_that_the_stack_builds_is_understood(store, bucket, tmp_path):
    from spec.bundle import build
    from spec.service import ServiceSpec

    (tmp_path / "code").mkdir()
    (tmp_path / "code/app.py").write_text("print()")
    spec = ServiceSpec(
        name="s", file=str(tmp_path / "s.yaml"), options=(), run="python app.py", port=8000, workdir="code"
    )
    built = build(spec)

    bundle = store.get(bucket.put(built.archive))

    assert bundle.sha256 == built.bundle.sha256
    assert bundle.run == "python app.py"
    assert (bundle.workdir / "app.py").read_text() == "print()"


def test_a_bundle_is_fetched_once(store, bucket):
    sha256 = bucket.put(archive())
    store.get(sha256)
    (bucket.root / f"bundles/{sha256}.tar.gz").unlink()

    assert store.get(sha256).run == "sleep 60"


def test_another_content_than_the_hash_says_is_refused(store, bucket, tmp_path):
    sha256 = bucket.put(archive(run="something else"), name="a" * 64)

    with pytest.raises(BundleError, match="another content"):
        store.get(sha256)
    assert everything(tmp_path / "bundles") == []


@pytest.mark.parametrize(
    "evil",
    [
        ("../outside", b"x"),
        ("/outside", b"x"),
        ("workdir/../../outside", b"x"),
        ("workdir/../bundle.json", b"x"),
        ("other/file", b"x"),
        ("setup-done", b""),
        ("workdir\\..\\outside", b"x"),
        (member("workdir/pipe", tarfile.FIFOTYPE), b""),
        (member("workdir/disk", tarfile.BLKTYPE), b""),
        (member("workdir/hard", tarfile.LNKTYPE, "bundle.json"), b""),
        (member("workdir/hard", tarfile.LNKTYPE, "/etc/passwd"), b""),
        (member("workdir/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("workdir/link", tarfile.SYMTYPE, "../bundle.json"), b""),
        (member("workdir/a/link", tarfile.SYMTYPE, "../../../.."), b""),
    ],
    ids=lambda m: m[0] if isinstance(m[0], str) else f"{m[0].name}->{m[0].linkname}",
)
def test_what_would_leave_the_folder_is_refused_and_leaves_nothing(store, bucket, tmp_path, evil):
    sha256 = bucket.put(archive(evil))
    before = everything(tmp_path)

    with pytest.raises(BundleError, match="the archive holds"):
        store.get(sha256)
    assert [p for p in everything(tmp_path) if p not in before] == ["bundles"]


def test_a_link_that_leaves_by_way_of_another_link_is_refused(store, bucket):
    here = (member("workdir/here", tarfile.SYMTYPE, "."), b"")
    out = (member("workdir/out", tarfile.SYMTYPE, "here/../bundle.json"), b"")

    with pytest.raises(BundleError, match="outside"):
        store.get(bucket.put(archive(here, out)))


def test_no_file_is_written_through_a_link(store, bucket, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    link = (member("workdir/door", tarfile.SYMTYPE, str(victim)), b"")

    with pytest.raises(BundleError):
        store.get(bucket.put(archive(link, ("workdir/door/planted", b"x"))))
    assert everything(victim) == []


def test_the_same_name_twice_is_refused(store, bucket):
    with pytest.raises(BundleError, match="twice"):
        store.get(bucket.put(archive(("workdir/a", b"1"), ("workdir/a", b"2"))))
    with pytest.raises(BundleError, match="twice"):
        store.get(bucket.put(archive(("workdir/a", b"1"), ("workdir/a/b", b"2"))))


@pytest.mark.parametrize("data", [b"", b"not gzip", archive()[:60], b"\x1f\x8b\x08\x00" + b"\xff" * 40])
def test_a_damaged_archive_is_refused(store, bucket, data):
    with pytest.raises(BundleError):
        store.get(bucket.put(data))


def test_more_than_the_limits_is_refused(store, bucket, monkeypatch):
    monkeypatch.setattr(lb.agent.bundle, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(BundleError, match="more than"):
        store.get(bucket.put(archive(("workdir/zeros", bytes(2000)))))
    monkeypatch.setattr(lb.agent.bundle, "MAX_MEMBERS", 1)
    with pytest.raises(BundleError, match="more than"):
        store.get(bucket.put(archive(("workdir/a", b""))))
    monkeypatch.setattr(lb.agent.bundle, "MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(BundleError, match="more than"):
        store.get(bucket.put(archive()))


@pytest.mark.parametrize(
    "fields", [{"schema": 2}, {"run": None}, {"envs": {"A": 1}}, {"secrets": "TOKEN"}, {"num_gpus": "8"}]
)
def test_a_manifest_that_is_not_understood_is_refused(store, bucket, fields):
    with pytest.raises(BundleError, match=r"bundle\.json"):
        store.get(bucket.put(archive(**fields)))


def test_a_missing_bundle_may_come_later(store, bucket):
    sha256 = bucket.put(archive())
    path = bucket.root / f"bundles/{sha256}.tar.gz"
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(BucketError, match="not there"):
        store.get(sha256)

    path.write_bytes(data)
    assert store.get(sha256).run == "sleep 60"


def test_a_full_disk_is_no_fault_of_the_bundle_and_leaves_nothing(store, bucket, tmp_path, monkeypatch):
    sha256 = bucket.put(archive(("workdir/a", b"1")))

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr(lb.agent.bundle, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            store.get(sha256)
    assert everything(tmp_path / "bundles") == []
    assert store.get(sha256).run == "sleep 60"


def test_a_fetch_that_is_broken_off_leaves_nothing(bucket, tmp_path):
    class Stop(Exception):
        pass

    def check():
        raise Stop

    store = BundleStore(tmp_path / "bundles", bucket.door, check=check)
    with pytest.raises(Stop):
        store.get(bucket.put(archive()))
    assert everything(tmp_path / "bundles") == []


def test_old_bundles_and_broken_off_fetches_are_pruned(store, bucket, tmp_path):
    old, new = bucket.put(archive(run="1")), bucket.put(archive(run="2"))
    store.get(old)
    store.get(new)
    (tmp_path / "bundles/incoming-x").mkdir()

    store.prune({new})

    assert [p.name for p in (tmp_path / "bundles").iterdir()] == [new]
