"""Archives of hosts: the same bytes from the same checkout, and everything in them that their role imports."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools import archive

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder that pip takes for the whole world, and a cache that has what it holds."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "index").mkdir()
    sha256 = wheel(folder / "index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder / "index"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        archive.build("controller", root=checkout(folder / "checkout", sha256))
    return folder, sha256


@pytest.fixture
def index(packages, tmp_path, monkeypatch):
    """An index of the test's own; the cache has the packages that `packages` holds."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(packages[0] / "cache" / "tradewind" / "hosts" / "wheels", archive.cache() / "wheels")
    return folder


def wheel(folder, name="thing", inside="thing.py", tag="py3-none-any"):
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(inside, "x = 1\n")
        packed.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        packed.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        packed.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checkout(at, sha256, *, code="x = 1\n"):
    """As much of a checkout as an archive takes along, and some that it must not."""
    for place in ("lb", "lb/agent", "local", "planner", "spec", "engines", "components/boot", "tools/hosts"):
        (at / place).mkdir(parents=True)
        (at / place / "__init__.py").write_text(code)
    for name in (
        "lb/__main__.py",
        "engines/presets.py",
        "components/boot/fetch.py",
        "components/boot/cloud_init.py",
    ):
        (at / name).write_text(code)
    (at / "components/boot/units").mkdir()
    for unit in ("controller", "edge", "envoy", "update"):
        (at / f"components/boot/units/tradewind-{unit}.service").write_text("[Unit]\n")
    for kind in archive.KINDS:
        (at / f"components/boot/{kind}.sh").write_text("true\n")
        (at / f"tools/hosts/{kind}.txt").write_text(f"thing==1.0 --hash=sha256:{sha256}\n")
    (at / "lb/__pycache__").mkdir()
    (at / "lb/__pycache__/x.cpython-312.pyc").write_bytes(b"compiled")
    return at


def test_the_same_checkout_gives_the_same_bytes_whatever_its_times_modes_and_cache(
    index, packages, tmp_path, monkeypatch
):
    sha256 = packages[1]
    one, other = checkout(tmp_path / "one", sha256), checkout(tmp_path / "other", sha256)
    for path in other.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    first = archive.build("controller", root=one)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(packages[0] / "index"))
    second = archive.build("controller", root=other)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()
    assert first.key == f"hosts/controller-{first.sha256}.tar"


def test_it_holds_code_the_scripts_of_its_role_and_wheels_and_nothing_compiled(index, packages, tmp_path):
    made = archive.build("edge", root=checkout(tmp_path / "it", packages[1]))
    with tarfile.open(made.path) as tar:
        names, members = tar.getnames(), tar.getmembers()
    assert "boot/edge.sh" in names
    assert "boot/fetch.py" in names
    assert [n for n in names if n.endswith(".service")] == [
        f"boot/units/tradewind-{unit}.service" for unit in ("edge", "envoy", "update")
    ]
    assert "wheels/thing-1.0-py3-none-any.whl" in names
    assert not [n for n in names if n.endswith((".pyc", "controller.sh", "cloud_init.py"))]
    assert names == sorted(names)
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}


def test_an_edit_makes_another_archive_and_no_edit_takes_the_one_in_the_cache(index, packages, tmp_path):
    root = checkout(tmp_path / "it", packages[1])
    first = archive.build("edge", root=root)
    assert archive.build("edge", root=root) == first
    (root / "lb/__init__.py").write_text("x = 2\n")
    assert archive.build("edge", root=root).sha256 != first.sha256


def test_the_cache_keeps_the_last_archives_of_a_kind_only(index, packages, tmp_path):
    root = checkout(tmp_path / "it", packages[1])
    for number in range(archive.KEPT + 2):
        (root / "lb/__init__.py").write_text(f"x = {number}\n")
        newest = archive.build("edge", root=root).path
    kept = list(archive.cache().glob("edge-*.tar"))
    assert len(kept) == archive.KEPT
    assert newest in kept


def test_without_packages_the_way_out_is_said_in_one_line(index, tmp_path):
    root = checkout(tmp_path / "it", "0" * 64)
    with pytest.raises(
        archive.NoArchive, match=r"packages of edge hosts are not in .*can't be fetched .*run the same"
    ) as e:
        archive.build("edge", root=root)
    assert "\n" not in str(e.value)


def test_a_package_with_another_hash_than_the_lock_names_is_refused(index, tmp_path):
    wheel(index)
    with pytest.raises(archive.NoArchive, match="can't be fetched"):
        archive.build("edge", root=checkout(tmp_path / "it", "0" * 64))


def test_a_wheel_that_hosts_could_not_unpack_is_refused(index, tmp_path):
    root = checkout(tmp_path / "it", wheel(index, inside="thing-1.0.data/purelib/thing.py"))
    with pytest.raises(archive.NoArchive, match="has a purelib of its own"):
        archive.build("edge", root=root)


def test_every_version_of_the_hosts_is_the_one_that_is_tested_here():
    def versions(path):
        return dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", path.read_text(), re.MULTILINE))

    ours = versions(ROOT / "requirements.txt")
    for kind in archive.KINDS:
        theirs = versions(ROOT / "tools" / "hosts" / f"{kind}.txt")
        assert theirs
        assert {name: v for name, v in theirs.items() if ours.get(name) != v} == {}


ONLY_LOCKED = """
import importlib.metadata, sys
sys.path[:] = [p for p in sys.path if not p.endswith("site-packages")]
locked, site, modules = set(sys.argv[1].split(",")), sys.argv[2], sys.argv[3].split(",")
tops = {
    file.parts[0].removesuffix(".py").split(".")[0]
    for path in __import__("pathlib").Path(site).glob("*.dist-info")
    if path.name.split("-")[0].lower().replace("_", "-") in locked
    for file in importlib.metadata.Distribution.at(path).files
}

class Locked:
    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import PathFinder
        if path is None and name not in tops:
            return None
        return PathFinder.find_spec(name, [site] if path is None else path, target)

sys.meta_path.append(Locked())
sys.path.insert(0, sys.argv[4])
for module in modules:
    __import__(module)
"""


@pytest.mark.parametrize(
    ("kind", "modules"),
    [
        ("controller", "lb.controller.main,lb.clouds.opened,lb.clouds.federation,lb.clouds.aws"),
        ("edge", "lb.edge.run,lb.edge.envoy"),
        ("node", "lb.agent.main"),
    ],
)
def test_a_role_imports_nothing_but_what_its_archive_has(kind, modules, tmp_path):
    for name, path in archive.files_of(kind, ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / name)
    lock = (ROOT / "tools" / "hosts" / f"{kind}.txt").read_text()
    locked = ",".join(name.lower() for name in re.findall(r"^([\w.-]+)", lock, re.MULTILINE))
    site = next(p for p in sys.path if p.endswith("site-packages"))
    command = [sys.executable, "-I", "-S", "-c", ONLY_LOCKED, locked, site, modules, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
