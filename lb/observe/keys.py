"""Reading the hashes of callers' keys, which the edges check requests against."""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from lb.bucket import Bucket, BucketError, ObjectNotFound
from spec.snapshot import Key, Keys

log = structlog.get_logger(__name__)


class KeysReader:
    """Follows `keys.json`. What can't be read leaves the last keys in force."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._raw: bytes | None = None
        self._keys: tuple[Key, ...] = ()

    async def read(self) -> tuple[Key, ...]:
        """The keys of now; none at all while there is no such object."""
        try:
            raw = await self._bucket.get("keys.json")
        except ObjectNotFound:
            self._raw, self._keys = None, ()
        except BucketError as e:
            log.warning("cannot read the keys", error=str(e))
        else:
            if raw != self._raw:
                self._take(raw)
        return self._keys

    def _take(self, raw: bytes) -> None:
        self._raw = raw
        try:
            self._keys = Keys.model_validate_json(raw).keys
        except ValidationError as e:
            log.warning("keys.json is unreadable; the last keys stay in force", error=str(e).splitlines()[0])
