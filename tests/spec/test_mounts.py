"""`file_mounts`: SkyServe's forms are read, and what machines can't do is refused with the way out."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from spec.bundle import build
from spec.mounts import bucket, home
from spec.service import Mount


def written(minimal, entries):
    return minimal.replace("run:", f"file_mounts: {{{entries}}}\nrun:", 1)


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ("/m: s3://weights/llama", Mount(target="/m", source="s3://weights/llama", mode="COPY")),
        ("/m: {source: gs://weights/a/}", Mount(target="/m", source="gs://weights/a/", mode="MOUNT")),
        ("/m: {source: gs://weights, mode: COPY}", Mount(target="/m", source="gs://weights", mode="COPY")),
        (
            "/m/: {source: https://acct.blob.core.windows.net/models/a, store: azure}",
            Mount(target="/m", source="az://acct/models/a", mode="MOUNT"),
        ),
        ("~/m: az://acct/models", Mount(target="~/m", source="az://acct/models", mode="COPY")),
        (
            "/m: {source: s3://weights, mode: MOUNT_CACHED}",
            Mount(target="/m", source="s3://weights", mode="MOUNT"),
        ),
    ],
)
def test_the_forms_of_skyserve_are_read(read, minimal, entry, mount):
    assert read(written(minimal, entry)).file_mounts == (mount,)


@pytest.mark.parametrize(
    ("entry", "field", "said"),
    [
        ("data: s3://weights", "file_mounts.data", "begins with `/` or `~/`"),
        ("/a/../b: s3://weights", "file_mounts./a/../b", "without `..`"),
        ("/etc: s3://weights", "file_mounts./etc", "that the machine itself needs"),
        ("/dev/shm/x: s3://weights", "file_mounts./dev/shm/x", "that the machine itself needs"),
        ("/m: s3a://weights", "file_mounts./m", "Did you mean `s3`? Name a bucket that is there: `s3://"),
        ("/m: r2://weights", "file_mounts./m", "in no store that machines can read"),
        ("/m: https://example.org/x", "file_mounts./m", "in no store that machines can read"),
        ("/m: s3://Weights/x", "file_mounts./m", "like `s3://bucket/path`, not `s3://Weights/x`"),
        ("/m: az://acct", "file_mounts./m", "like `az://account/container/path`"),
        ("/m: s3://weights/a/../b", "file_mounts./m", "without `..` and `//`"),
        ("/m: ./nothing", "file_mounts./m", "there is no file or folder `./nothing`. It is looked for beside"),
        ("/m: {name: mine, store: s3}", "file_mounts./m.source", "buckets are not made, only read. Name a bucket"),
        ("/m: {source: ., name: mine}", "file_mounts./m.name", "Upload it yourself and name the bucket, or leave"),
        ("/m: {source: ., mode: MOUNT}", "file_mounts./m.mode", "would make a bucket and upload"),
        ("/m: {source: s3://weights, store: gcs}", "file_mounts./m.store", "which is in `s3`. Leave it out."),
        ("/m: {source: s3://weights, mode: MUONT}", "file_mounts./m.mode", "Did you mean `MOUNT`?"),
        ("/m: s3://weights, /m/n: s3://weights", "file_mounts./m/n", "is in `/m`, which is mounted too"),
        ("/m: s3://weights, /n: gs://weights", "file_mounts./n", "no machine can read both. Keep the buckets"),
    ],
)  # fmt: skip
def test_what_machines_can_not_do_is_refused_with_the_way_out(problems, minimal, entry, field, said):
    [problem] = [p for p in problems(written(minimal, entry)) if p.field == field]
    assert said in str(problem)
    assert problem.line is not None


def test_a_source_says_whose_machines_can_read_it():
    assert [home(s) for s in ("s3://b/x", "gs://b", "az://a/c", "./here")] == ["aws", "gcp", "azure", None]
    assert bucket("az://acct/models/a/b") == ("acct/models", "a/b")
    assert bucket("s3://weights") == ("weights", "")


# ---------------------------------------------------------------- bundles


def members(spec):
    with tarfile.open(fileobj=io.BytesIO(build(spec).archive), mode="r:gz") as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isreg()}


def test_a_bundle_without_mounts_has_the_name_that_it_always_had(read, minimal):
    assert "mounts" not in json.loads(members(read(minimal))["bundle.json"])


def test_a_bundle_names_buckets_and_takes_small_files_of_this_computer_along(read, minimal, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a.yaml").write_text("a: 1")
    (tmp_path / "one.txt").write_text("one")
    entries = "/m: {source: s3://weights/llama}, /conf: ./conf, ~/one: one.txt"
    found = members(read(written(minimal, entries)))
    assert json.loads(found["bundle.json"])["mounts"] == [
        {"target": "/m", "source": "s3://weights/llama", "mode": "MOUNT"},
        {"target": "/conf", "source": "files/1", "mode": "COPY"},
        {"target": "~/one", "source": "files/2", "mode": "COPY"},
    ]
    assert (found["files/1/a.yaml"], found["files/2"]) == (b"a: 1", b"one")


def test_links_in_a_folder_to_copy_are_refused(read, minimal, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a").symlink_to("/etc/passwd")
    with pytest.raises(Exception, match=r"file_mounts\./conf: `a` is no file"):
        build(read(written(minimal, "/conf: ./conf")))
