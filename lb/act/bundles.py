"""Removing archives of bundles that nothing needs any more.

The stack leaves the archive of a changed bundle where it is, because a rollout may have to go back to it, on machines that
have never had it too. So somebody has to clear up, and only the controller knows what may still be needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import structlog

from lb.bucket import Bucket, BucketError
from lb.clock import Clock
from lb.decide import Memory
from lb.decide.observed import Assignment
from spec.desired import Desired

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
FIRST_S = 300.0
"""After the beginning of a term: by then it is known what runs."""
YOUNG_S = 86400.0
"""An archive may be there before the desired state that names it, and a day leaves room for second thoughts."""
_NAME = re.compile(r"bundles/([0-9a-f]{64})\.tar\.gz")


def needed(desired: Desired, memory: Memory, assignments: Iterable[Assignment]) -> frozenset[str]:
    """Hashes of the bundles that are desired, run, or that a service may go back to."""
    found: set[str | None] = {s.bundle.sha256 for s in desired.services}
    for assignment in assignments:
        found |= {assignment.default, *assignment.instances.values()}
    for record in memory.services.values():
        found |= {record.bundle, record.good}
        if record.rollout is not None:
            found |= {record.rollout.to, record.rollout.before}
    return frozenset(b for b in found if b is not None)


class BundleKeeper:
    """Looks at the archives in every bucket once in a while, and removes the old ones that nobody needs."""

    def __init__(self, buckets: Sequence[Bucket], clock: Clock) -> None:
        self._buckets = buckets
        self._clock = clock
        self._next = clock.monotonic() + FIRST_S

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self._clock.monotonic() >= self._next

    async def prune(self, keep: frozenset[str]) -> None:
        """Removes what is not to be kept and is older than a day; a bucket that fails is asked again next time."""
        self._next = self._clock.monotonic() + EVERY_S
        for bucket in self._buckets:
            try:
                await self._prune(bucket, keep)
            except BucketError as e:
                log.warning("cannot clear up bundles; it is tried again", error=str(e))

    async def _prune(self, bucket: Bucket, keep: frozenset[str]) -> None:
        oldest = self._clock.now() - YOUNG_S
        for o in await bucket.objects("bundles"):
            name = _NAME.fullmatch(o.path)
            if name is not None and name[1] not in keep and o.modified < oldest:
                await bucket.delete(o.path)
                log.info("the archive of a bundle that nothing needs is removed", path=o.path)
