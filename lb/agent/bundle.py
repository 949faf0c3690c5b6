"""Bundles on this machine: fetched, verified against the hash that names them, and unpacked without trust.

An archive holds `bundle.json`, `workdir/` and, of mounts, `files/`. It may come from anybody who can write to the bucket, so nothing in it
can land outside of its own folder: plain names only, no devices, no hard links, and symbolic links are made last and
must stay inside.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lb.agent.fetch import Downloads
from lb.agent.mounts import mount
from lb.agent.mounts.mount import Mount

SCHEMA = 1
MAX_ARCHIVE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBERS = 100_000
_CHUNK = 1 << 20
_WORKDIR = "workdir"
_FILES = "files"
_MANIFEST = "bundle.json"
_SETUP_DONE = "setup-done"


class BundleError(Exception):
    """The bundle is not usable on this machine, now or later; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An unpacked bundle. `root` holds everything of it; the engine runs in `workdir`."""

    sha256: str
    root: Path
    setup: str
    run: str
    image: str | None
    envs: dict[str, str]
    secrets: tuple[str, ...]
    num_gpus: int | None
    num_nodes: int = 1
    port: int | None = None
    mounts: tuple[Mount, ...] = ()

    @property
    def workdir(self) -> Path:
        """Where `setup` and `run` run."""
        return self.root / _WORKDIR

    @property
    def setup_done(self) -> bool:
        """Whether `setup` has succeeded on this machine."""
        return (self.root / _SETUP_DONE).exists()

    def mark_setup_done(self) -> None:
        """Remembers that `setup` has succeeded, also for an agent that is started again."""
        with suppress(OSError):  # a full disk: then it runs once more
            (self.root / _SETUP_DONE).touch()


class BundleStore:
    """The folder of unpacked bundles, one per hash.

    Args:
        check: is called often while something takes long, and may raise to end it.

    """

    def __init__(self, folder: Path, bucket: Downloads, *, check: Callable[[], None]) -> None:
        self._folder = folder
        self._bucket = bucket
        self._check = check

    def get(self, sha256: str) -> Bundle:
        """The bundle, fetched if it is not here yet.

        Raises:
            BundleError: it is wrong, and will be.
            BucketError: the bucket did not give it.
            OSError: this machine could not store it, for instance because its disk is full.

        """
        root = self._folder / sha256
        if not root.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="incoming-", dir=self._folder) as incoming:
                unpacked = Path(incoming) / "unpacked"
                unpacked.mkdir()
                with (Path(incoming) / "archive").open("w+b") as archive:
                    self._download(sha256, archive)
                    _unpack(archive, unpacked, check=self._check)
                (unpacked / _WORKDIR).mkdir(exist_ok=True)
                _read_manifest(sha256, unpacked)
                unpacked.rename(root)
        return _read_manifest(sha256, root)

    def prune(self, keep: Iterable[str]) -> None:
        """Deletes every bundle but those, and what an interrupted fetch has left."""
        kept = set(keep)
        for entry in self._folder.iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    def _download(self, sha256: str, archive: IO[bytes]) -> None:
        digest = hashlib.sha256()
        size = 0

        def progress(piece: bytes) -> None:
            nonlocal size
            self._check()
            digest.update(piece)
            size += len(piece)
            if size > MAX_ARCHIVE_BYTES:
                raise BundleError(
                    f"bundle {sha256[:12]}: the archive has more than {MAX_ARCHIVE_BYTES} bytes"
                )

        self._bucket.download(f"bundles/{sha256}.tar.gz", archive, progress=progress)
        if digest.hexdigest() != sha256:
            raise BundleError(
                f"bundle {sha256[:12]}: the archive in the bucket has another content, with the hash "
                f"{digest.hexdigest()[:12]}; deploy the service again"
            )
        archive.seek(0)


def _unpack(archive: IO[bytes], into: Path, *, check: Callable[[], None]) -> None:
    links: list[tuple[Path, str]] = []
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as tar:
            room = MAX_UNPACKED_BYTES
            for count, member in enumerate(tar):
                check()
                room -= member.size
                if count >= MAX_MEMBERS or room < 0:
                    raise BundleError("the archive holds more than a machine should unpack")
                target = into.joinpath(*_safe_parts(member.name))
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.issym():
                    links.append((target, member.linkname))
                elif member.isreg():
                    _write(tar, member, target, check=check)
                else:
                    raise BundleError(f"the archive holds {member.name!r}, which is neither file nor folder")
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise BundleError(f"the archive is damaged: {e}") from e
    except (FileExistsError, NotADirectoryError) as e:
        raise BundleError(f"the archive holds {e.filename!r} twice") from e
    _make_links(links, inside=into / _WORKDIR)


def _safe_parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    known = parts == (_MANIFEST,) or parts[:1] in {(_WORKDIR,), (_FILES,)}
    if not known or ".." in parts or "\\" in name or "\0" in name:
        raise BundleError(f"the archive holds {name!r}, which is not a path in {_WORKDIR}/")
    return parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, *, check: Callable[[], None]) -> None:
    source = tar.extractfile(member)
    assert source is not None  # of a regular file
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        while piece := source.read(_CHUNK):
            check()
            out.write(piece)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _make_links(links: list[tuple[Path, str]], *, inside: Path) -> None:
    """After all files, so that no file is written through a link; judged when all are there, so that none hides another."""
    for link, to in links:
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.symlink_to(to)
        except FileExistsError as e:
            raise BundleError(f"the archive holds {link.name!r} twice") from e
    border = os.path.realpath(inside)
    for link, to in links:
        real = os.path.realpath(link)
        if os.path.commonpath([border, real]) != border:
            raise BundleError(f"the archive holds the link {link.name!r} to {to!r}, outside of {_WORKDIR}/")


def _read_manifest(sha256: str, root: Path) -> Bundle:
    where = f"bundle {sha256[:12]}: {_MANIFEST}"
    try:
        raw = json.loads((root / _MANIFEST).read_bytes())
    except FileNotFoundError as e:
        raise BundleError(f"{where}: not in the archive") from e
    except ValueError as e:
        raise BundleError(f"{where}: not JSON: {e}") from e
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise BundleError(f"{where}: schema {found!r}, but this agent reads {SCHEMA}")
    _check_types(raw, where)
    return Bundle(
        sha256=sha256,
        root=root,
        setup=raw.get("setup") or "",
        run=raw["run"],
        image=raw.get("image"),
        envs=raw.get("envs") or {},
        secrets=tuple(raw.get("secrets") or ()),
        num_gpus=raw.get("num_gpus"),
        num_nodes=raw.get("num_nodes") or 1,
        port=raw.get("port"),
        mounts=_mounts(raw.get("mounts") or [], where),
    )


def _mounts(raw: Any, where: str) -> tuple[Mount, ...]:
    try:
        return mount.read(raw)
    except ValueError as e:
        raise BundleError(f"{where}: mounts: {e}") from e


def _check_types(raw: dict[str, Any], where: str) -> None:
    wanted: dict[str, tuple[type, ...]] = {
        "setup": (str, type(None)),
        "run": (str,),
        "image": (str, type(None)),
        "envs": (dict, type(None)),
        "secrets": (list, type(None)),
        "num_gpus": (int, type(None)),
        "num_nodes": (int, type(None)),
        "port": (int, type(None)),
    }
    for name, kinds in wanted.items():
        if not isinstance(raw.get(name), kinds):
            raise BundleError(f"{where}: {name}: {raw.get(name)!r} is not what this agent expects")
    texts = [*(raw.get("envs") or {}).values(), *(raw.get("secrets") or ())]
    if not all(isinstance(t, str) for t in texts):
        raise BundleError(f"{where}: envs and secrets hold something that is not a text")
