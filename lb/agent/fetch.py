"""The door to the state bucket. A folder of the local cloud here; those of clouds are in `lb.agent.bucket`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from lb.agent.config import ConfigError

_CHUNK = 1024 * 1024


class BucketError(Exception):
    """The bucket did not give the object; trying again later may help."""


class Downloads(Protocol):
    """Gives large objects."""

    def download(self, key: str, to: IO[bytes], *, progress: Callable[[bytes], None]) -> None:
        """See FolderBucket."""
        ...


class FolderBucket:
    """A state bucket that is a folder of this computer."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str, *, limit: int) -> bytes:
        """The whole object; raises BucketError, also when it has more than `limit` bytes."""
        try:
            with (self._root / key).open("rb") as source:
                content = source.read(limit + 1)
        except OSError as e:
            raise _error(key, e) from e
        if len(content) > limit:
            raise BucketError(f"{key}: more than {limit} bytes")
        return content

    def download(self, key: str, to: IO[bytes], *, progress: Callable[[bytes], None]) -> None:
        """Copies the object; `progress` sees each piece first and may raise to end it.

        Raises:
            BucketError: the object can't be read.
            OSError: `to` can't be written.

        """
        try:
            source = (self._root / key).open("rb")
        except OSError as e:
            raise _error(key, e) from e
        with source:
            while True:
                try:
                    piece = source.read(_CHUNK)
                except OSError as e:
                    raise _error(key, e) from e
                if not piece:
                    return
                progress(piece)
                to.write(piece)


def open_bucket(url: str) -> FolderBucket:
    """The bucket at a URL; raises ConfigError for a kind that this agent does not know."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigError(f"bucket: {url!r}, but a URL like file:///absolute/path is expected")
    return FolderBucket(Path(unquote(parts.path)))


def _error(key: str, e: OSError) -> BucketError:
    return BucketError(f"{key}: {'not there' if isinstance(e, FileNotFoundError) else e.strerror or e}")
