"""Where snapshots come from: the controller's long poll, and the state bucket for when it doesn't answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import httpx
from pydantic import ValidationError

from lb.bucket import Bucket, BucketError, ObjectNotFound
from lb.edge.calling import NAMED, make_client
from lb.mutual import Mutual
from spec.errors import InputError
from spec.snapshot import Snapshot

_TIMEOUT = httpx.Timeout(5.0, read=40.0)
"""The controller holds a long poll for 25 s."""

Version = tuple[int, int]


class Unavailable(Exception):
    """Nothing can be learned from a source now; the message says why."""


class Source(Protocol):
    """One place to ask for a snapshot."""

    async def newer_than(self, version: Version | None) -> Snapshot | None:
        """A snapshot that may be newer than `version`; None when there is none. Raises Unavailable."""
        ...


class Controller:
    """Long poll with the bearer token, which is read again for each call: it may be rotated."""

    def __init__(
        self,
        *,
        url: str,
        edge_id: str,
        token: Callable[[], str],
        mutual: Mutual | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._path = f"/v1/edges/{edge_id}/snapshot"
        self._token = token
        self._client = make_client(url, mutual, timeout=_TIMEOUT, transport=transport)

    async def newer_than(self, version: Version | None) -> Snapshot | None:
        """Returns when the controller has a newer snapshot, or None after its long poll's time."""
        params = {"after": f"{version[0]}.{version[1]}"} if version else {}
        try:
            headers = {"authorization": f"Bearer {self._token()}"}
            answer = await self._client.get(self._path, params=params, headers=headers, extensions=NAMED)
        except InputError as e:
            raise Unavailable(str(e)) from e
        except httpx.HTTPError as e:
            raise Unavailable(f"the controller doesn't answer: {type(e).__name__}: {e}") from e
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        if answer.status_code != httpx.codes.OK:
            raise Unavailable(f"the controller answered {answer.status_code}: {answer.text[:200]}")
        return _parse(answer.content, "the controller")

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()


class InBucket:
    """The controller's last snapshot as it lies in the state bucket."""

    def __init__(self, bucket: Bucket, *, edge_id: str) -> None:
        self._bucket = bucket
        self._path = f"edges/{edge_id}/snapshot.json"

    async def newer_than(self, version: Version | None) -> Snapshot | None:
        """Returns at once; None when the bucket has what is served already, or nothing."""
        try:
            raw = await self._bucket.get(self._path)
        except ObjectNotFound:
            return None
        except BucketError as e:
            raise Unavailable(str(e)) from e
        snapshot = _parse(raw, "the state bucket")
        return None if snapshot.version == version else snapshot


def _parse(raw: bytes, whose: str) -> Snapshot:
    try:
        return Snapshot.model_validate_json(raw)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise Unavailable(f"{whose} gave no usable snapshot: {at}: {first['msg']}") from e
