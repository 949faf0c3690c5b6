"""Copies of a bucket on a machine's disk: whole, in parts, gone on with, and never outside of their target."""

import os
import threading

import pytest

from lb.agent import web
from lb.agent.bucket import CloudBucket
from lb.agent.mounts import copy, disk
from lb.agent.mounts.again import Again
from lb.agent.mounts.copy import Copies
from lb.agent.mounts.mount import Mount, MountError
from lb.agent.mounts.told import Told


class Machine:
    """A disk in a folder, and a clock that only waiting moves."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        self.target, self.now, self.waits = folder / "disk/models", 0.0, []
        self.told = Told(folder / "told", clock=lambda: self.now)
        self.before_waiting = lambda: None

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        self.before_waiting()

    def put(self, **objects):
        for name, content in objects.items():
            self.world.server.put(f"models/{name.replace('__', '/')}", content)

    def mount(self, path="models", target=None):
        source = f"{self.world.server.bucket_url}/{path}"
        return Mount(str(target or self.target), source, "COPY")

    def copy(self, *mounts):
        patience = web.Patience(tries=2, first_s=0.0, most_s=0.0)
        asked = len(self.world.server.asked)
        copies = Copies(
            lambda url: CloudBucket(self.world.cloud.objects(url), patience=patience, pause=lambda _s: None),
            root=self.folder / "bundle",
            state=self.folder / "state",
            told=self.told,
            again=Again(self.told, pause=self.wait, clock=lambda: self.now),
        )
        copies.run(mounts or (self.mount(),))
        return [path for _, path in self.world.server.asked[asked:]]

    def files(self):
        return {
            str(p.relative_to(self.target)): p.read_bytes() for p in self.target.rglob("*") if p.is_file()
        }


@pytest.fixture
def machine(world, tmp_path):
    return Machine(world, tmp_path)


@pytest.fixture
def aws(opened, tmp_path):
    return Machine(opened("aws"), tmp_path)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(copy, "PART_BYTES", 1000)


def downloads(asked):
    return [path for path in asked if "/models/" in path and "prefix" not in path]


def test_a_folder_of_a_bucket_is_copied_whole_with_the_machines_identity(machine):
    machine.world.server.page_size = 2
    machine.put(a="one", b__c="two", b__d__e="", **{"with space & ü": "three"})
    machine.world.server.put("models/b/", "")  # how consoles make a folder
    machine.world.server.put("models-of-others/x", "not asked for")
    machine.copy()
    assert machine.files() == {"a": b"one", "b/c": b"two", "b/d/e": b"", "with space & ü": b"three"}
    assert machine.told.said == "0.0 MB of 0.0 MB"
    assert machine.world.server.refused == []


def test_one_object_becomes_one_file_and_a_whole_bucket_a_folder(machine):
    machine.put(weights="content")
    machine.copy(machine.mount("models/weights", machine.target / "file.bin"))
    machine.copy(machine.mount("", machine.target / "all"))
    assert machine.files() == {"file.bin": b"content", "all/models/weights": b"content"}


def test_large_objects_come_in_parts_that_break_and_go_on(machine, small_parts):
    content = os.urandom(4500)
    machine.put(large=content, small="x")
    machine.world.server.cut_at = 300
    machine.copy()
    assert machine.files() == {"large": content, "small": b"x"}


def test_what_is_there_is_not_fetched_again(machine):
    machine.put(a="one", b="two")
    assert len(downloads(machine.copy())) == 2
    assert downloads(machine.copy()) == []
    machine.put(a="new")
    assert len(downloads(machine.copy())) == 1
    (machine.target / "b").write_text("damaged")
    assert len(downloads(machine.copy())) == 1
    assert machine.files() == {"a": b"new", "b": b"two"}


def test_a_copy_that_was_killed_goes_on_with_the_parts_that_are_missing(machine, small_parts, monkeypatch):
    content = os.urandom(9500)
    machine.put(large=content)
    monkeypatch.setattr(copy, "WORKERS", 1)
    answered, left = machine.world.server.read, [4]

    def killed(key, headers):
        if key.endswith("large") and "range" in headers:
            left[0] -= 1
            if left[0] < 0:
                return 404, b"", {}
        return answered(key, headers)

    machine.world.server.read = killed
    machine.before_waiting = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        machine.copy()
    assert not (machine.target / "large").exists()
    machine.world.server.read = answered
    assert len(downloads(machine.copy())) == 6
    assert machine.files() == {"large": content}


def test_an_object_that_changes_while_it_is_copied_is_copied_anew(machine, small_parts):
    machine.put(large=b"a" * 4500)
    answered, changed = machine.world.server.read, threading.Event()

    def changing(key, headers):
        if "range" in headers and not changed.is_set():
            changed.set()
            machine.put(large=b"b" * 3200)
        return answered(key, headers)

    machine.world.server.read = changing
    machine.copy()
    assert machine.files() == {"large": b"b" * 3200}


def test_what_has_left_the_bucket_leaves_the_disk_and_what_was_there_before_stays(machine):
    machine.target.mkdir(parents=True)
    (machine.target / "mine").write_text("mine")
    machine.put(a="one", b__c="two")
    machine.copy()
    del machine.world.server.objects["models/b/c"]
    machine.copy()
    assert machine.files() == {"mine": b"mine", "a": b"one"}
    assert not (machine.target / "b").exists()


def test_another_source_for_the_same_target_takes_its_place(machine):
    machine.put(a="one", b="two")
    machine.copy()
    machine.world.server.put("other/b", "b of the other")
    machine.copy(machine.mount("other"))
    assert machine.files() == {"b": b"b of the other"}


def test_after_another_start_of_the_machine_nothing_is_taken_for_whole(aws, tmp_path, monkeypatch):
    from lb.agent.mounts import record

    boot = tmp_path / "boot_id"
    monkeypatch.setattr(record.Record.__init__, "__kwdefaults__", {"boot": boot})
    for start, fetched in (("one", 1), ("one", 0), ("two", 1), ("two", 0)):
        boot.write_text(start)
        aws.put(a="content")
        assert len(downloads(aws.copy())) == fetched


def test_what_earlier_bundles_copied_elsewhere_goes_when_its_room_is_needed_and_not_before(aws, monkeypatch):
    aws.put(a="x" * 1000)
    old, new = aws.folder / "disk/old", aws.folder / "disk/new"
    aws.copy(aws.mount(target=old))
    aws.copy(aws.mount(target=new))
    assert (old / "a").exists()
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: Usage(500 if (old / "a").exists() else 1500))
    aws.put(a="y" * 1000)
    aws.copy(aws.mount(target=new))
    assert (new / "a").read_text() == "y" * 1000
    assert not (old / "a").exists()


@pytest.mark.parametrize("key", ["../../outside", "a//b", "./a", "a/../../b"])
def test_a_key_that_leads_out_of_the_target_is_refused_before_anything_is_copied(aws, key):
    aws.put(fine="x")
    aws.world.server.put(f"models/{key}", "evil")
    with pytest.raises(MountError, match="can't be a file below"):
        aws.copy()
    assert [p for p in aws.folder.rglob("*") if p.is_file() and p.parent.name != "state"] == []


def test_nothing_is_written_through_a_link(aws, tmp_path):
    aws.target.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (aws.target / "sub").symlink_to(tmp_path / "elsewhere")
    aws.put(sub__a="x")
    with pytest.raises(MountError, match="is a link, and nothing is written through links"):
        aws.copy()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_disk_that_is_too_small_is_named_with_both_figures_before_it_is_full(aws, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: Usage(1_000_000))
    aws.put(a=b"x" * 2_500_000)
    with pytest.raises(
        MountError, match=r"too small: 2\.5 MB are still to be copied, and 1\.0 MB are free.*disk_size"
    ):
        aws.copy()
    assert aws.files() == {}


class Usage:
    def __init__(self, free):
        self.free = free


def test_a_disk_that_is_full_all_the_same_is_named(aws, monkeypatch):
    def full(_fd, _data, _at):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copy.os, "pwrite", full)
    aws.put(a="x")
    with pytest.raises(MountError, match="the disk is full; raise `disk_size`"):
        aws.copy()


def test_nothing_under_that_name_is_an_error_at_once(machine):
    machine.put(a="x")
    with pytest.raises(MountError, match="models/b: nothing is there"):
        machine.copy(machine.mount("models/b"))
    assert machine.waits == []


def test_rights_that_come_late_are_waited_for_and_told(machine):
    machine.put(a="x")
    machine.world.server.denied.add("models/a")
    said = []

    def later():
        said.append(machine.told.said)
        if len(machine.waits) == 3:
            machine.world.server.denied.clear()

    machine.before_waiting = later
    machine.copy()
    assert machine.files() == {"a": b"x"}
    assert "denied" in said[0]
    assert "the buckets that the service mounts" in said[0]
    assert said[0].endswith("trying again in 2 s")


def test_a_bucket_that_stays_closed_is_given_up_after_ten_minutes(aws):
    aws.put(a="x")
    aws.world.server.denied.add("models/a")
    with pytest.raises(MountError, match=r"denied.*given up after 10 minutes without anything new"):
        aws.copy()
    assert 600 <= aws.now < 660


def test_small_files_of_the_bundle_are_put_in_their_place(aws, tmp_path):
    (tmp_path / "bundle/files/1/sub").mkdir(parents=True)
    (tmp_path / "bundle/files/0").write_text("one")
    (tmp_path / "bundle/files/1/sub/run.sh").write_text("echo")
    (tmp_path / "bundle/files/1/sub/run.sh").chmod(0o755)
    one = Mount(str(aws.target / "one.txt"), "files/0", "COPY")
    folder = Mount(str(aws.target / "conf"), "files/1", "COPY")
    aws.copy(one, folder)
    assert aws.files() == {"one.txt": b"one", "conf/sub/run.sh": b"echo"}
    assert (aws.target / "conf/sub/run.sh").stat().st_mode & 0o111
    (tmp_path / "bundle/files/1/sub/run.sh").rename(tmp_path / "bundle/files/1/other")
    aws.copy(one, folder)
    assert aws.files() == {"one.txt": b"one", "conf/other": b"echo"}
