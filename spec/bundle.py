"""What a replica runs, as one file that is named by its content: `bundles/<sha256>.tar.gz`.

The archive holds `bundle.json` (setup, run, image, environment, names of secrets, port, number of nodes) and `workdir/`. The same
service gives the same bytes on every machine, because a new name means that every replica is restarted. Therefore
nothing of probes, scaling or money is in it, times and owners are zero, and the gzip layer does not compress: how
zlib compresses depends on its version.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spec.desired import Bundle
from spec.errors import Problem, SpecError
from spec.service import ServiceSpec

SCHEMA = 1
MAX_WORKDIR_BYTES = 64 * 1024 * 1024
MAX_WORKDIR_FILES = 10_000
LEFT_OUT = frozenset({".git", ".tradewind", "__pycache__"})
"""What changes without the service changing; `.tradewind` also holds keys."""

_STORED_BLOCK = 65535


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle and the bytes of its archive; `bundle.sha256` is their hash."""

    bundle: Bundle
    archive: bytes


def build(spec: ServiceSpec) -> BuiltBundle:
    """Builds the bundle of a service. Raises SpecError when its `workdir` can't be taken along."""
    archive = _gzip(_tar(spec))
    bundle = Bundle(
        sha256=hashlib.sha256(archive).hexdigest(),
        image=spec.image,
        setup=spec.setup,
        run=spec.run,
        env_names=tuple(sorted(spec.envs)),
        secret_names=tuple(sorted(spec.secrets)),
        port=spec.port,
        model=spec.model,
        engine=spec.engine,
    )
    return BuiltBundle(bundle=bundle, archive=archive)


def _tar(spec: ServiceSpec) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "bundle.json", _contents(spec))
        for entry in _workdir(spec) if spec.workdir else ():
            _add(tar, f"workdir/{entry.name}", entry.content, mode=entry.mode, link=entry.link)
    return raw.getvalue()


def _contents(spec: ServiceSpec) -> bytes:
    contents = {
        "schema": SCHEMA,
        "setup": spec.setup,
        "run": spec.run,
        "image": spec.image,
        "envs": spec.envs,
        "secrets": sorted(spec.secrets),
        "port": spec.port,
    }
    if (
        spec.num_nodes > 1
    ):  # left out otherwise, so that bundles have the names that they had before it was known
        contents["num_nodes"] = spec.num_nodes
    return json.dumps(contents, sort_keys=True, indent=1).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.mode = mode
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    else:
        info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _gzip(data: bytes) -> bytes:
    """RFC 1952 around stored blocks of RFC 1951: bytes that do not depend on a compressor. mtime 0, unknown OS."""
    blocks = [data[i : i + _STORED_BLOCK] for i in range(0, len(data), _STORED_BLOCK)] or [b""]
    body = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks
    )
    header = struct.pack("<BBBBLBB", 0x1F, 0x8B, 8, 0, 0, 0, 255)
    return header + body + struct.pack("<LL", zlib.crc32(data), len(data) & 0xFFFFFFFF)


@dataclass(frozen=True)
class _Entry:
    name: str
    content: bytes = b""
    mode: int = 0o644
    link: str = ""


def _workdir(spec: ServiceSpec) -> Iterator[_Entry]:
    """Its files and links, sorted by name; a link must stay inside, anything but files and links is refused."""
    root = (Path(spec.file).parent / Path(spec.workdir or "").expanduser()).resolve()
    if not root.is_dir():
        raise _error(
            spec, f"there is no directory `{spec.workdir}`.", "It is looked for beside the service file."
        )
    size = 0
    for count, path in enumerate(sorted(_paths(spec, root))):
        name = path.relative_to(root).as_posix()
        entry = _entry(spec, root, path, name, room=MAX_WORKDIR_BYTES - size)
        size += len(entry.content)
        if size > MAX_WORKDIR_BYTES or count >= MAX_WORKDIR_FILES:
            hint = "Fetch large files in `setup`, or move them out of the directory."
            limits = f"{MAX_WORKDIR_BYTES // 2**20} MiB or {MAX_WORKDIR_FILES:,} files"
            raise _error(spec, f"`{spec.workdir}` has more than {limits}.", hint)
        yield entry


def _paths(spec: ServiceSpec, root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise _error(spec, f"`{error.filename}` can't be read: {error.strerror}.") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in LEFT_OUT and name not in links]
        names = (name for name in (*files, *links) if name not in LEFT_OUT)
        yield from (Path(folder) / name for name in names)


def _entry(spec: ServiceSpec, root: Path, path: Path, name: str, *, room: int) -> _Entry:
    try:
        name.encode()
        if path.is_symlink():
            return _Entry(name, mode=0o777, link=_link(spec, root, path, name))
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _error(spec, f"`{name}` is neither a file nor a link.", "Move it out of the directory.")
        with path.open("rb") as f:
            content = f.read(room + 1)
    except (OSError, UnicodeEncodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "its name is not UTF-8"
        raise _error(spec, f"`{ascii(name)[1:-1]}` can't be read: {reason}.") from e
    return _Entry(name, content, mode=0o755 if status.st_mode & stat.S_IXUSR else 0o644)


def _link(spec: ServiceSpec, root: Path, path: Path, name: str) -> str:
    target = path.readlink()
    end = os.path.realpath(path.parent / target)  # unlike Path.resolve it does not mind a circle
    inside = not target.is_absolute() and Path(end).is_relative_to(root)
    if not inside:
        hint = "Replace the link by what it points to."
        raise _error(spec, f"the link `{name}` points out of `{spec.workdir}`.", hint)
    return target.as_posix()


def _error(spec: ServiceSpec, message: str, hint: str | None = None) -> SpecError:
    return SpecError([Problem(spec.file, "workdir", message, value=spec.workdir, hint=hint)])
