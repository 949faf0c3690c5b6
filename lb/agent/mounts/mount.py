"""One entry of a bundle's mounts: what is to be where on the machine, and which bucket it is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORDS = ("target", "source", "mode")
_MODES = ("COPY", "MOUNT")
_HERE = re.compile(r"files/[0-9]{1,6}")
_ACCOUNT_AND_CONTAINER = 2


class MountError(Exception):
    """What a bundle wants of a bucket is not possible on this machine; the message says which mount, and the way out."""


@dataclass(frozen=True)
class Mount:
    """`target`: absolute, or below `~`. `source`: a bucket's URL with a path, or `files/<n>` of the bundle itself."""

    target: str
    source: str
    mode: str

    @property
    def path(self) -> Path:
        """Where it is on this machine; containers see it there, too."""
        return Path(self.target).expanduser()

    @property
    def is_here(self) -> bool:
        """Whether the bundle itself holds it."""
        return "://" not in self.source

    @property
    def bucket(self) -> str:
        """The URL of the bucket alone, as `clouds.protocol.Cloud.objects` takes it."""
        scheme, _, rest = self.source.partition("://")
        return f"{scheme}://{'/'.join(rest.split('/')[: self._named])}"

    @property
    def key(self) -> str:
        """The path in the bucket, without a slash at its end; "" for all of it."""
        return "/".join(self.source.partition("://")[2].split("/")[self._named :]).rstrip("/")

    @property
    def _named(self) -> int:
        return _ACCOUNT_AND_CONTAINER if self.source.startswith("az://") else 1


def read(found: Any) -> tuple[Mount, ...]:
    """The mounts of a manifest. Raises ValueError, which says what is wrong."""
    entries = found if isinstance(found, list) else [found]
    return tuple(_read(entry) for entry in entries)


def _read(entry: Any) -> Mount:
    words = [entry.get(name) for name in _WORDS] if isinstance(entry, dict) else []
    if not words or not all(isinstance(w, str) and w for w in words):
        raise ValueError(f"{entry!r} has not the texts {', '.join(_WORDS)}")
    mount = Mount(*words)
    if (
        mount.mode not in _MODES
        or ".." in mount.target.split("/")
        or not mount.target.startswith(("/", "~/"))
    ):
        raise ValueError(f"{entry!r} names no target or no mode that this agent knows")
    if mount.is_here and (mount.mode != "COPY" or not _HERE.fullmatch(mount.source)):
        raise ValueError(f"{entry!r} has no source that this agent knows")
    return mount
