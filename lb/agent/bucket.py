"""A bucket of a cloud: objects read whole or streamed, by the requests that the cloud's module makes.

What failed on the way is tried again, a stream goes on where it broke, and an object that has not changed is not sent
twice: the agent asks for its assignment every few seconds for days.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

from lb.agent import web
from lb.agent.clouds.protocol import CloudError, Object, Objects
from lb.agent.fetch import BucketError

_CHUNK = 1 << 20
_PAGE_BYTES = 16 << 20
_PARTIAL, _NOT_MODIFIED, _DENIED, _NOT_FOUND, _CHANGED = 206, 304, 403, 404, 412

_T = TypeVar("_T")


class CloudBucket:
    """See `fetch.FolderBucket`. `pause`: how it waits between two tries; it may raise to end that."""

    def __init__(
        self,
        objects: Objects,
        *,
        patience: web.Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._objects = objects
        self._patience = patience or web.PATIENCE
        self._pause = pause
        self._seen: dict[str, tuple[str, bytes]] = {}

    def read(self, key: str, *, limit: int) -> bytes:
        """The whole object; raises BucketError, also when it has more than `limit` bytes."""

        def once() -> bytes:
            etag, content = self._seen.get(key, ("", b""))
            try:
                with web.opened(self._asked(key, {"if-none-match": etag} if etag else {})) as answer:
                    found = _whole(key, answer, limit)
                    self._seen[key] = (answer.headers.get("ETag", ""), found)
                    return found
            except web.Refused as e:
                if e.status == _NOT_MODIFIED:
                    return content
                raise

        return self._tried(key, once)

    def download(
        self,
        key: str,
        to: IO[bytes],
        *,
        progress: Callable[[bytes], None],
        part: range | None = None,
        of: Object | None = None,
    ) -> None:
        """Copies the object; `progress` sees each piece first and may raise to end it.

        A stream that breaks is continued, as long as it brings something and the object is the same. `part`: the bytes that
        are wanted, None = all of them; `of`: what a listing said of the object, and another one is refused.

        Raises:
            BucketError: the object can't be read.
            OSError: `to` can't be written.

        """
        at, last, etag = (part.start, part.stop - 1, "") if part else (0, None, "")

        def once() -> None:
            nonlocal at, etag
            same = self._objects.only(of) if of else {"if-match": etag} if etag else {}
            wanted = _range(at, last)
            with web.opened(self._asked(key, same | wanted)) as answer:
                if wanted and answer.status != _PARTIAL:
                    raise BucketError(f"{key}: a part was asked for, and {answer.status} was answered")
                etag = etag or answer.headers.get("ETag", "")
                for piece in _pieces(key, answer):
                    progress(piece)
                    to.write(piece)
                    at += len(piece)

        before = -1
        while True:
            try:
                return self._tried(key, once)
            except BucketError as e:
                if not isinstance(e.__cause__, web.Unreachable) or at == before or not etag:
                    raise
                before = at

    def listing(self, prefix: str) -> Iterator[Object]:
        """All objects whose key begins so. Raises BucketError."""
        what, after = f"the listing of {prefix or 'the whole bucket'}", ""
        while True:
            asked = after  # of this page

            def once(asked: str = asked) -> bytes:
                return web.ask(self._objects.page(prefix, asked), limit=_PAGE_BYTES).body

            try:
                found, after = self._objects.read_page(self._tried(what, once))
            except ValueError as e:
                raise BucketError(f"{what}: {e}") from e
            yield from found
            if not after:
                return

    # ---------------------------------------------------------------- one try

    def _asked(self, key: str, more: dict[str, str]) -> web.Request:
        request = self._objects.get(key)
        return web.Request(request.url, {**request.headers, **more})

    def _tried(self, what: str, once: Callable[[], _T]) -> _T:
        def healed() -> _T:
            try:
                return once()
            except web.Refused as e:
                if not self._objects.heals(e):
                    raise
            return once()

        try:
            return self._patience.within(healed, pause=self._pause)
        except web.Refused as e:
            raise BucketError(f"{what}: {_WHY.get(e.status) or e}") from e
        except (web.Unreachable, CloudError) as e:
            raise BucketError(f"{what}: {e}") from e


class Follower:
    """One small object, asked for again and again on a thread of its own, so that whoever needs it never waits.

    `every_s`: between two looks, more or less: machines that started together soon don't look together.
    """

    def __init__(self, bucket: CloudBucket, key: str, *, limit: int, every_s: float) -> None:
        self._bucket = bucket
        self._key = key
        self._limit = limit
        self._every_s = every_s
        self._found: bytes | BucketError = BucketError(f"{key}: it was not read yet")

    def start(self) -> None:
        """Begins; it ends with the program."""
        threading.Thread(target=self._run, name="follower", daemon=True).start()

    def look(self) -> None:
        """Asks once."""
        try:
            self._found = self._bucket.read(self._key, limit=self._limit)
        except BucketError as e:
            self._found = e

    def read(self, key: str, *, limit: int) -> bytes:
        """What it was when it was last asked for. Raises BucketError, also for any other object."""
        if key != self._key or limit != self._limit:
            raise BucketError(f"{key}: it is not followed")
        if isinstance(self._found, BucketError):
            raise BucketError(str(self._found))
        return self._found

    def _run(self) -> None:
        while True:
            self.look()
            time.sleep(self._every_s * random.uniform(0.8, 1.2))


_WHY = {
    _DENIED: (
        "denied: this machine may read bundles/, hosts/, the assignments of its own service and the buckets that the "
        "service mounts (S3 also says so where there is no such object)"
    ),
    _NOT_FOUND: "not there",
    _CHANGED: "it has changed meanwhile",
}


def _range(at: int, last: int | None) -> dict[str, str]:
    return {"range": f"bytes={at}-{'' if last is None else last}"} if at or last is not None else {}


def _whole(key: str, answer: http.client.HTTPResponse, limit: int) -> bytes:
    content = b"".join(_pieces(key, answer, most=limit + 1))
    if len(content) > limit:
        raise BucketError(f"{key}: more than {limit} bytes")
    return content


def _pieces(key: str, answer: http.client.HTTPResponse, most: int | None = None) -> Iterator[bytes]:
    """Until the end that the answer announced; raises web.Unreachable when it comes sooner."""
    if answer.length is None:
        raise web.Unreachable(f"{key}: an answer without a length")
    while answer.length and (most is None or most > 0):
        try:
            piece = answer.read(min(_CHUNK, answer.length, _CHUNK if most is None else most))
        except http.client.HTTPException as e:
            raise web.Unreachable(f"{key}: the answer broke off: {type(e).__name__}") from e
        except OSError as e:
            raise web.Unreachable(f"{key}: the answer broke off: {e.strerror or e or 'nothing came'}") from e
        if not piece:
            raise web.Unreachable(f"{key}: the answer broke off")
        most = None if most is None else most - len(piece)
        yield piece
