"""What operators ask for: small objects in the bucket, read now and then, and deleted once they were acted on."""

from __future__ import annotations

import re
from collections.abc import Iterable

import structlog
from pydantic import ValidationError

from lb.bucket import Bucket, BucketError, Object
from lb.clock import Clock
from lb.decide.observed import Wish
from spec.wish import FOLDER, WishFile, path_of

log = structlog.get_logger(__name__)

EVERY_S = 2.0
MOST_AT_ONCE = 32
"""Operators are few; what is more than that waits for the next look."""
MOST_BYTES = 4096
_NAME = re.compile(rf"{FOLDER}/([0-9A-HJKMNP-TV-Z]{{26}})\.json")


class WishReader:
    """Follows `commands/`. What can't be used is said, and removed like what was acted on."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._looked_at: float | None = None
        self._wishes: dict[str, Wish] = {}

    async def read(self) -> tuple[Wish, ...]:
        """The wishes that lie there, oldest first; those of the last look where the bucket does not answer."""
        now = self._clock.monotonic()
        if self._looked_at is None or now >= self._looked_at + EVERY_S:
            self._looked_at = now
            try:
                await self._look()
            except BucketError as e:
                log.warning("cannot look for an operator's wishes; it is tried again", error=str(e))
        return tuple(self._wishes[i] for i in sorted(self._wishes))

    async def remove(self, ids: Iterable[str]) -> None:
        """Deletes wishes that were acted on; one that can't be deleted is only remembered for longer."""
        known = [i for i in ids if i in self._wishes]
        try:
            await self._bucket.delete(*(path_of(i) for i in known))
        except BucketError as e:
            log.warning("cannot remove an operator's wish; it is tried again", error=str(e))
            return
        for wish_id in known:
            del self._wishes[wish_id]

    async def _look(self) -> None:
        found: dict[str, Wish] = {}
        for o in (await self._bucket.objects(FOLDER))[:MOST_AT_ONCE]:
            name = _NAME.fullmatch(o.path)
            if name is not None and name[1] in self._wishes:
                found[name[1]] = self._wishes[name[1]]
            elif name is not None and (content := await self._content(o)) is not None:
                found[name[1]] = Wish(name[1], content.service, content.action)
            else:
                log.warning("this is no operator's wish; it is removed", path=o.path, size=o.size)
                await self._bucket.delete(o.path)
        self._wishes = found

    async def _content(self, o: Object) -> WishFile | None:
        if o.size > MOST_BYTES:
            return None
        try:
            return WishFile.model_validate_json(await self._bucket.get(o.path))
        except ValidationError:
            return None
