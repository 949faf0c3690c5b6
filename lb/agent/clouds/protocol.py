"""What the modules of the clouds have in common, so that the rest of the agent knows no cloud by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lb.agent.notice import NoticeSource
from lb.agent.web import Refused, Request

POOL_TAG = "tradewind-pool"
"""`spec.labels.POOL_TAG`: tag or metadata that tells a machine its pool."""


class CloudError(Exception):
    """The cloud did not answer, or not in a way that is any use; the message says which part of it, and the way out."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A machine, as its metadata service knows it.

    `instance_id`: as the controller's driver calls it: EC2's instance id, Google's numeric id, the name of an Azure VM.
    `zone`: as pools are named: zone id (AWS), zone (GCP), None (Azure: pools are regional). `pool_id`: of its tag; None =
    it has none.
    """

    instance_id: str
    region: str
    zone: str | None
    instance_type: str
    private_address: str
    public_address: str | None
    pool_id: str | None


@dataclass(frozen=True)
class Object:
    """One object of a listing. `size` in bytes; `etag` changes with the content."""

    key: str
    size: int
    etag: str


class Objects(Protocol):
    """The objects of one bucket, as requests: who sends them, and how often, is `lb.agent.bucket`'s business."""

    def get(self, key: str) -> Request:
        """The request for an object, with what proves who asks. Raises CloudError when that can't be had."""
        ...

    def only(self, found: Object) -> dict[str, str]:
        """Headers of `get` by which an object that is not the one of the listing any more is refused with 412."""
        ...

    def page(self, prefix: str, after: str) -> Request:
        """The request for a page of the listing of keys that begin so; `after`: what the page before ended with, or ""."""
        ...

    def read_page(self, body: bytes) -> tuple[list[Object], str]:
        """The objects of a page, and what the next one is asked with, "" at the end. Raises ValueError."""
        ...

    def heals(self, refusal: Refused) -> bool:
        """Takes note of a refusal; True when the same request, made anew, may be granted."""
        ...


class Cloud(Protocol):
    """One machine's cloud."""

    def identity(self) -> Identity:
        """Who this machine is. Raises CloudError."""
        ...

    def objects(self, url: str, *, place: str | None = None, anonymous: bool = False) -> Objects:
        """The bucket of this cloud at a URL. `place`: its region, where that has to be known; None = it is asked for.

        Raises CloudError for a URL that is none of this cloud's.
        """
        ...

    def secret(self, called: str) -> bytes:
        """The value of a secret. Raises CloudError."""
        ...

    def notices(self, note: Callable[[str], None]) -> Sequence[NoticeSource]:
        """Where it says that it will take this machine away. `note` hears what is worth a line and no more."""
        ...
