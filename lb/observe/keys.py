"""Reading the hashes of callers' keys, which the edges check requests against."""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from lb.bucket import Bucket, BucketError
from spec.snapshot import Key, Keys

log = structlog.get_logger(__name__)


class KeysReader:
    """Follows `keys.json`. Missing or unreadable keys leave the last ones in force: a key is withdrawn by a new file."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._raw: bytes | None = None
        self._keys: tuple[Key, ...] | None = None
        self._trouble: str | None = None

    async def read(self) -> tuple[Key, ...] | None:
        """The keys of now; None as long as none could be read, and the edges are best left with what they have."""
        try:
            raw = await self._bucket.get("keys.json")
        except BucketError as e:
            self._say(str(e))
        else:
            if raw != self._raw:
                self._take(raw)
        return self._keys

    def _take(self, raw: bytes) -> None:
        self._raw = raw
        try:
            self._keys = Keys.model_validate_json(raw).keys
            self._trouble = None
        except ValidationError as e:
            self._say(str(e).splitlines()[0])

    def _say(self, trouble: str) -> None:
        """Once per trouble, not once per tick."""
        if trouble != self._trouble:
            log.warning("keys.json can't be used; the last keys stay in force", error=trouble)
            self._trouble = trouble
