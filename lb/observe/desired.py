"""Reading the desired state; anything that can't be used freezes the controller, with the reason in plain words."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lb.bucket import Bucket, BucketError, ObjectNotFound
from spec.desired import SCHEMA, Desired, UnusableDesired, parse


@dataclass(frozen=True, slots=True)
class DesiredReading:
    """The last usable desired state, and why it is not the present one. None, None = never seen.

    `waits`: what is not as desired yet, because the stack of another cloud is behind. `coming`: hashes of bundles that are
    named somewhere, and may be needed soon.
    """

    desired: Desired | None
    frozen: str | None
    waits: tuple[str, ...] = ()
    coming: frozenset[str] = frozenset()


class DesiredReader:
    """Follows `desired/<stack>.json`. Parses only what changed."""

    def __init__(self, bucket: Bucket, stack: str, last_usable: Desired | None = None) -> None:
        self._bucket = bucket
        self._path = f"desired/{stack}.json"
        self._raw: bytes | None = None
        self._reading = DesiredReading(last_usable, "the desired state was not read yet")

    async def read(self) -> DesiredReading:
        """The desired state of now; never raises."""
        try:
            raw = await self._bucket.get(self._path)
        except ObjectNotFound:
            self._freeze(f"{self._path} is not in the state bucket; `pulumi up` writes it")
        except BucketError as e:
            self._freeze(str(e))
        else:
            if raw != self._raw:
                self._take(raw)
        return self._reading

    def _take(self, raw: bytes) -> None:
        try:
            desired = parse(raw)
        except UnusableDesired as e:
            self._freeze(_newer_schema(raw) or str(e))
        else:
            self._reading = DesiredReading(desired, None)
        self._raw = raw

    def _freeze(self, reason: str) -> None:
        self._raw = None
        self._reading = DesiredReading(self._reading.desired, reason)


def _newer_schema(raw: bytes) -> str | None:
    try:
        schema = json.loads(raw)["schema"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(schema, int) and schema > SCHEMA:
        return f"desired state has schema {schema}, this controller knows {SCHEMA}; `pulumi up` with this version's code"
    return None
