"""What a replica runs, as one file that is named by its content: `bundles/<sha256>.tar.gz`.

The archive holds `bundle.json` (setup, run, image, environment, names of secrets, port, number of nodes, mounts), `workdir/`, and in
`files/` what `file_mounts` names of this computer. The same
service gives the same bytes on every machine, because a new name means that every replica is restarted. Therefore
nothing of probes, scaling or money is in it, times and owners are zero, and the gzip layer does not compress: how
zlib compresses depends on its version.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass

from spec.desired import Bundle
from spec.folder import Folder
from spec.mounts import home
from spec.service import ServiceSpec

SCHEMA = 1
_STORED_BLOCK = 65535


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle and the bytes of its archive; `bundle.sha256` is their hash."""

    bundle: Bundle
    archive: bytes


def build(spec: ServiceSpec) -> BuiltBundle:
    """Builds the bundle of a service. Raises SpecError when its `workdir` or a folder of `file_mounts` can't be taken along."""
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
        for prefix, folder in _taken_along(spec):
            for entry in folder.entries():
                _add(tar, prefix + entry.name, entry.content, mode=entry.mode, link=entry.link)
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
    if spec.file_mounts:
        contents["mounts"] = [
            {"target": m.target, "source": m.source if home(m.source) else f"files/{i}", "mode": m.mode}
            for i, m in enumerate(spec.file_mounts)
        ]
    return json.dumps(contents, sort_keys=True, indent=1).encode()


def _taken_along(spec: ServiceSpec) -> list[tuple[str, Folder]]:
    """What of this computer is in the archive, and below which name there."""
    found = [("workdir", Folder(spec.file, "workdir", spec.workdir))] if spec.workdir else []
    for i, mount in enumerate(spec.file_mounts):
        if not home(mount.source):
            found.append(
                (f"files/{i}", Folder(spec.file, f"file_mounts.{mount.target}", mount.source, links=False))
            )
    return found


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
