"""What hosts and nodes run, as one file: our code, the boot scripts of a role, and the wheels that it needs.

The same checkout gives the same bytes on every machine, because a new archive means that hosts are restarted: names are
sorted, times and owners zero, and nothing is compressed here. The wheels are compressed already, by their publishers
and for good (the lock names their hashes); the host unpacks them. So nothing depends on a compressor or on an installer.

    python tools/archive.py [--python 3.12] [node edge controller]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("node", "edge", "controller")
PYTHON = "3.12"
"""Of the host's image, Ubuntu 24.04. A node's needs no wheel that depends on it."""
GLIBC = range(17, 32)
"""Minor versions of manylinux tags that the images can load; Ubuntu 22.04, the oldest, has glibc 2.35."""
KEPT = 4
"""Archives of a kind that the cache keeps, so that edits don't fill the disk."""

_ROOMS = ("lb", "local", "planner", "spec", "engines/__init__.py", "engines/presets.py")
_OURS = {
    "node": ("lb/__init__.py", "lb/__main__.py", "lb/agent"),
    "edge": _ROOMS,
    "controller": _ROOMS,
}
_OF_EVERY_KIND = frozenset({"fetch.py", "common.sh", "healthy.py", "settings.py"})
_SUFFIXES = frozenset({".py", ".sh", ".lua", ".html", ".css", ".js"})
_BOOT = "components/boot"
_HOSTS = frozenset({"host_secrets.py", "update.py"})
"""Not of nodes: they are not updated while they run, for their engine would not survive it, and read secrets themselves."""
_UNITS = {"edge": ("edge", "envoy", "update"), "controller": ("controller", "update"), "node": ("node",)}


class NoArchive(Exception):
    """An archive can't be made; the message is one line and says the way out."""


@dataclass(frozen=True)
class Archive:
    """`path` lies in the cache; `key` is where a bucket holds it. `size` in bytes."""

    kind: str
    path: Path
    sha256: str
    size: int

    @property
    def key(self) -> str:
        """Named by content: a host that still fetches an older one finds it."""
        return f"hosts/{self.kind}-{self.sha256}.tar"


def build(kind: str, *, root: Path = ROOT, python: str = PYTHON) -> Archive:
    """The archive of a kind of host, out of the cache when nothing of it changed. Raises NoArchive.

    The first one needs a package index and fetches some 40 MB; `python` is the host's version.
    """
    try:
        path = _archive(kind, root, _wheels(kind, root, python))
        content = path.read_bytes()
    except OSError as e:
        raise NoArchive(f"the {kind} archive can't be made: {e.strerror}: {e.filename}") from e
    return Archive(kind, path, hashlib.sha256(content).hexdigest(), len(content))


def cache() -> Path:
    """`$XDG_CACHE_HOME/tradewind/hosts` or `~/.cache/tradewind/hosts`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradewind" / "hosts"


# ---------------------------------------------------------------- wheels


def _wheels(kind: str, root: Path, python: str) -> Path:
    """A folder with exactly the wheels of the kind's lock; pip compares their hashes."""
    lock = root / "tools" / "hosts" / f"{kind}.txt"
    name = hashlib.sha256(f"{python}\0".encode() + lock.read_bytes()).hexdigest()[:16]
    folder = cache() / "wheels" / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as made:
        part = Path(made) / "wheels"
        _fetch(kind, lock, python, part)
        _check(part)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same wheels
                raise
    return folder


def _fetch(kind: str, lock: Path, python: str, to: Path) -> None:
    print(f"fetching the packages of {kind} hosts, once ...", file=sys.stderr, flush=True)
    tags = [f"--platform=manylinux_2_{minor}_x86_64" for minor in reversed(GLIBC)]
    where = ["--python-version", python, "--implementation", "cp", *tags, "--platform=manylinux2014_x86_64"]
    only = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", "-q", *only, *where, "-d", str(to), "-r", str(lock)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise NoArchive(
            f"the packages of {kind} hosts are not in {cache()} and can't be fetched ({said[0][:200]}); "
            "run the same command once where a package index is reached, or copy that folder from there"
        )


def _check(wheels: Path) -> None:
    """The host only unpacks: a wheel that wants files moved elsewhere would be half installed there."""
    for wheel in wheels.iterdir():
        with zipfile.ZipFile(wheel) as packed:
            parts = [name.split("/") for name in packed.namelist()]
        moved = {p[1] for p in parts if p[0].endswith(".data") and len(p) > 1} & {"purelib", "platlib"}
        if moved:
            raise NoArchive(f"{wheel.name} has a {moved.pop()} of its own, which hosts don't unpack")


# ---------------------------------------------------------------- the archive


def _archive(kind: str, root: Path, wheels: Path) -> Path:
    files = dict(files_of(kind, root))
    digest = hashlib.sha256(wheels.name.encode())
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    target = cache() / f"{kind}-{digest.hexdigest()[:16]}.tar"
    if target.is_file():
        target.touch()
        return target
    files |= {f"wheels/{path.name}": path for path in wheels.iterdir()}
    with tempfile.NamedTemporaryFile(dir=cache(), prefix="new-", delete=False) as made:
        try:
            with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, path in sorted(files.items()):
                    _add(tar, name, path.read_bytes())
            Path(made.name).replace(target)
        except BaseException:
            Path(made.name).unlink(missing_ok=True)
            raise
    for old in sorted(cache().glob(f"{kind}-*.tar"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return target


def files_of(kind: str, root: Path) -> Iterator[tuple[str, Path]]:
    """Name in the archive and file: our code at the top, the role's scripts in `boot/`."""
    for place in _OURS[kind]:
        top = root / place
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.suffix in _SUFFIXES and path.is_file():
                yield path.relative_to(root).as_posix(), path
    scripts = {f"{kind}.sh"} | _OF_EVERY_KIND | (frozenset() if kind == "node" else _HOSTS)
    for path in (root / _BOOT).iterdir():
        if path.name in scripts:
            yield f"boot/{path.name}", path
    for unit in _UNITS[kind]:
        name = f"units/tradewind-{unit}.service"
        yield f"boot/{name}", root / _BOOT / name


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.size = (0o755 if name.endswith(".sh") else 0o644), len(content)
    tar.addfile(info, io.BytesIO(content))


def main() -> int:
    """Makes the archives that are named (all when none is), and prints key, size and place of each."""
    parser = argparse.ArgumentParser(description="Makes the archives of hosts and nodes.")
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all when none is named"
    )
    parser.add_argument("--python", default=PYTHON, help="version of the host's Python")
    args = parser.parse_args()
    if unknown := set(args.kinds) - set(KINDS):
        parser.error(f"there is no kind {unknown.pop()}; the kinds are {', '.join(KINDS)}")
    try:
        for kind in args.kinds or KINDS:
            made = build(kind, python=args.python)
            print(f"{made.key}  {made.size / 2**20:.1f} MiB  {made.path}")
    except NoArchive as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
