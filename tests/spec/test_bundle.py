"""A bundle is named by what runs: the same service gives the same bytes, and nothing else changes its name."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile

import pytest

from spec import folder
from spec.bundle import BuiltBundle, build
from spec.errors import SpecError


def members(built: BuiltBundle) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(built.archive), mode="r:gz") as tar:
        return {m.name: m for m in tar.getmembers()}


def content(built: BuiltBundle, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(built.archive), mode="r:gz") as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()


@pytest.fixture
def spec(read, minimal, tmp_path):
    (tmp_path / "work").mkdir()
    return read(minimal + "workdir: work\nenvs: {B: 2, A: 1}\nsecrets: {TOKEN: null}\nsetup: prepare\n")


@pytest.fixture
def workdir(tmp_path, spec):
    return tmp_path / "work"


def test_the_archive_says_what_to_run(spec):
    assert json.loads(content(build(spec), "bundle.json")) == {
        "schema": 1,
        "setup": "prepare",
        "run": "serve",
        "image": None,
        "envs": {"A": "1", "B": "2"},
        "secrets": ["TOKEN"],
        "port": 8000,
    }


def test_only_a_bundle_for_several_machines_says_how_many(read, minimal):
    assert "num_nodes" not in json.loads(content(build(read(minimal)), "bundle.json"))
    assert json.loads(content(build(read(minimal + "num_nodes: 2\n")), "bundle.json"))["num_nodes"] == 2


def test_the_bundle_is_named_by_the_archives_hash_and_holds_no_values(spec):
    built = build(spec)

    assert built.bundle.sha256 == hashlib.sha256(built.archive).hexdigest()
    assert (built.bundle.env_names, built.bundle.secret_names) == (("A", "B"), ("TOKEN",))
    assert (built.bundle.port, built.bundle.run) == (8000, "serve")


def test_times_owners_and_the_order_of_creation_do_not_matter(spec, workdir):
    (workdir / "b.txt").write_text("b")
    (workdir / "a.txt").write_text("a")
    first = build(spec).archive
    (workdir / "b.txt").unlink()
    (workdir / "b.txt").write_text("b")
    os.utime(workdir / "a.txt", (1, 1))

    assert build(spec).archive == first


def test_the_archive_does_not_depend_on_a_compressor(spec, workdir):
    """A known answer: whoever changes the format restarts every replica of every user."""
    (workdir / "a.txt").write_text("a")

    assert build(spec).bundle.sha256 == "e856ec6544694e7d63735f0c8397b922eae29bcfc173b88bccf94cb00078a48a"


def test_large_archives_are_valid_gzip(spec, workdir):
    data = os.urandom(300_000)
    (workdir / "data").write_bytes(data)
    built = build(spec)

    assert content(built, "workdir/data") == data
    assert len(gzip.decompress(built.archive)) > 300_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("replicas: 2", "replicas: 5"),
        ("/health", "/other"),
        ("L4:1", "A100:8"),
        ("run: serve", "run: serve\ntradewind: {surge: 3, budget: {worst_usd_hour: 3}}"),
    ],
)
def test_probes_scaling_places_and_money_do_not_change_the_name(read, minimal, old, new):
    before = build(read(minimal)).bundle.sha256

    assert build(read(minimal.replace(old, new))).bundle.sha256 == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run: serve", "run: serve --fast"),
        ("run: serve", "run: serve\nsetup: x"),
        ("run: serve", "run: serve\nenvs: {A: 1}"),
        ("run: serve", "run: serve\nsecrets: {A: null}"),
        ("ports: 8000", "ports: 8001"),
        ("ports: 8000", "ports: 8000\n  image_id: docker:x"),
    ],
)
def test_what_runs_changes_the_name(read, minimal, old, new):
    before = build(read(minimal)).bundle.sha256

    assert build(read(minimal.replace(old, new))).bundle.sha256 != before


def test_files_keep_names_content_and_whether_they_are_executable(spec, workdir):
    (workdir / "deep" / "er").mkdir(parents=True)
    (workdir / "deep" / "er" / "ü.py").write_text("x = 1")
    (workdir / "start.sh").write_text("#!/bin/sh")
    (workdir / "start.sh").chmod(0o700)
    built = build(spec)

    assert content(built, "workdir/deep/er/ü.py") == b"x = 1"
    modes = {name: m.mode for name, m in members(built).items()}
    assert (modes["workdir/start.sh"], modes["workdir/deep/er/ü.py"]) == (0o755, 0o644)
    assert all((m.mtime, m.uid, m.gid, m.uname) == (0, 0, 0, "") for m in members(built).values())


@pytest.mark.parametrize("name", [".git", ".tradewind", "__pycache__"])
def test_what_changes_without_the_service_stays_out(spec, workdir, name):
    before = build(spec).archive
    (workdir / name).mkdir()
    (workdir / name / "file").write_text("x")

    assert build(spec).archive == before


def test_links_inside_are_kept_as_links(spec, workdir):
    (workdir / "models").mkdir()
    (workdir / "models" / "a").write_text("a")
    (workdir / "latest").symlink_to("models")
    (workdir / "models" / "b").symlink_to("a")
    found = members(build(spec))

    assert found["workdir/latest"].linkname == "models"
    assert found["workdir/models/b"].linkname == "a"


@pytest.mark.parametrize("target", ["/etc/passwd", "../demo.yaml", "../work/../demo.yaml"])
def test_links_that_lead_out_are_refused(spec, workdir, target):
    (workdir / "loop").symlink_to(target)
    with pytest.raises(SpecError, match="the link `loop` points out of `work`"):
        build(spec)


def test_sockets_and_pipes_are_refused(spec, workdir):
    os.mkfifo(workdir / "pipe")
    with pytest.raises(SpecError, match="`pipe` is neither a file nor a link"):
        build(spec)


@pytest.mark.parametrize(("limit", "value"), [("MAX_BYTES", 5), ("MAX_FILES", 1)])
def test_too_large_a_directory_is_refused(spec, workdir, monkeypatch, limit, value):
    monkeypatch.setattr(folder, limit, value)
    (workdir / "a").write_text("1234")
    (workdir / "b").write_text("1234")
    with pytest.raises(SpecError, match=r"`work` has more than .* Fetch large files in `setup`"):
        build(spec)


def test_a_directory_that_went_away_is_named(spec, workdir):
    workdir.rmdir()
    with pytest.raises(SpecError, match="workdir: there is no directory `work`"):
        build(spec)
