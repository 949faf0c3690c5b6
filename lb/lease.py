"""One leader at a time, by epochs: whoever creates `lease/<epoch>.json` leads until a higher epoch exists.

The holder renews by overwriting its own file, and trusts its own steady clock only. A challenger doesn't believe the
holder's wall clock either: it takes the next epoch when the holder has released it, when the holder is a dead process
of this very machine, or when the file has not changed for the lease's whole length on the challenger's own steady clock.
So no clock that somebody sets can make two act. What expired is never renewed, only taken anew with the next epoch.

Epochs go on growing when the bucket is thrown away, because edges that outlive it refuse lower ones: in an empty bucket
they begin at the time of day, written down once (`lease/00000000.json`) so that all who start together count from the same.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from lb.bucket import Bucket, ObjectNotFound
from lb.clock import Clock
from local import proctable

log = structlog.get_logger(__name__)

TTL_S = 20.0
"""How long a leader that says nothing stays the leader; longer than any one call to a cloud may take."""
MARGIN_S = 2.0
"""Waited beyond the length: clocks of two machines don't run at exactly the same rate."""
RENEW_EVERY_S = 3.0
KEPT_EPOCHS = 10
_FOLDER = "lease"


class LeaseLost(Exception):
    """Somebody else leads now: stop acting, become a follower."""


class LeaseUnsure(Exception):
    """The lease can't be shown to outlast the call: don't make the call now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, on whichever machine. `host` names the running kernel and its process table."""

    host: str
    pid: int
    start_time: str


def this_process() -> Holder:
    """The identity of this process."""
    return Holder(_host(), os.getpid(), _start_time(os.getpid()) or "")


def known_dead(holder: Holder) -> bool:
    """Whether that process is certainly no more; False wherever this machine can't tell."""
    return holder.host == _host() and _start_time(holder.pid) != holder.start_time


class Lease:
    """The part of one process in the election. All calls raise BucketError when the bucket fails."""

    def __init__(
        self,
        bucket: Bucket,
        clock: Clock,
        *,
        me: Holder,
        dead: Callable[[Holder], bool] = known_dead,
        ttl_s: float = TTL_S,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._me = me
        self._dead = dead
        self._ttl_s = ttl_s
        self._margin_s = margin_s
        self._epoch: int | None = None
        self._beat = 0
        self._expires = 0.0
        self._renewed = 0.0
        self._seen: tuple[int, bytes] | None = None
        self._seen_at = 0.0

    @property
    def epoch(self) -> int | None:
        """The epoch this process leads in; None for a follower."""
        return self._epoch

    @property
    def expired(self) -> bool:
        """Whether the leader has failed to renew in time; it must `acquire` before it may act again."""
        return self._clock.monotonic() >= self._expires

    async def acquire(self) -> bool:
        """Tries once to become the leader of the next epoch."""
        epoch, raw = await self._newest()
        if self._epoch is not None and epoch > self._epoch:
            self._epoch = None
        if epoch and not self._free(epoch, raw):
            return False
        started, next_ = self._clock.monotonic(), epoch + 1 if epoch else await self._first()
        if not await self._bucket.create_if_absent(_path(next_), self._record(next_)):
            return False
        self._epoch, self._renewed, self._expires = next_, started, started + self._ttl_s
        log.info("leading", epoch=self._epoch)
        await self._bucket.delete(
            *(_path(e) for e in range(max(1, epoch - 2 * KEPT_EPOCHS), epoch - KEPT_EPOCHS))
        )
        return True

    async def renew_if_due(self) -> None:
        """Prolongs the lease when it is time to. Raises LeaseLost; does nothing for a follower."""
        if self._epoch is None or self.expired or self._clock.monotonic() < self._renewed + RENEW_EVERY_S:
            return
        await self._check_for_successor()
        started = self._clock.monotonic()
        await self._bucket.put(_path(self._epoch), self._record(self._epoch))
        if not self.expired:  # a write that took too long may have come after a successor's first call
            self._renewed, self._expires = started, started + self._ttl_s

    async def confirm(self, *, outlast_s: float) -> None:
        """Returns when a call of at most that many seconds may be made now; raises LeaseLost or LeaseUnsure."""
        if self._epoch is None:
            raise LeaseLost("this process is not the leader")
        await self._check_for_successor()
        if self._clock.monotonic() + outlast_s >= self._expires:
            raise LeaseUnsure(f"epoch {self._epoch} may expire within {outlast_s:g} s")

    async def first_epoch(self) -> int | None:
        """The epoch that the stack began with, which is also when: epoch seconds. None = not written down."""
        try:
            return max(1, int(json.loads(await self._bucket.get(_path(0)))["first_epoch"]))
        except (ObjectNotFound, ValueError, KeyError, TypeError):
            return None

    async def release(self) -> None:
        """Steps down, so that a successor need not wait."""
        if self._epoch is not None:
            epoch, self._epoch = self._epoch, None
            await self._bucket.put(_path(epoch), self._record(epoch, released=True))

    async def _check_for_successor(self) -> None:
        assert self._epoch is not None
        later = await self._bucket.objects(_FOLDER, after=_path(self._epoch))
        if later:
            lost, self._epoch = self._epoch, None
            raise LeaseLost(f"epoch {lost} ended: {later[-1].path} exists")

    async def _newest(self) -> tuple[int, bytes]:
        objects = await self._bucket.objects(_FOLDER)
        epochs = [e for e in (_epoch_of(o.path) for o in objects) if e is not None]
        if not epochs:
            return 0, b""
        try:
            return max(epochs), await self._bucket.get(_path(max(epochs)))
        except ObjectNotFound:  # cleaned up in between: a later one exists, seen at the next try
            return max(epochs), b""

    async def _first(self) -> int:
        """The epoch that an empty bucket begins with: epoch seconds of whoever came first."""
        mine = json.dumps({"schema": 1, "first_epoch": int(self._clock.now())}).encode()
        if not await self._bucket.create_if_absent(_path(0), mine):
            mine = await self._bucket.get(_path(0))
        try:
            return max(1, int(json.loads(mine)["first_epoch"]))
        except (ValueError, KeyError, TypeError):
            return 1

    def _free(self, epoch: int, raw: bytes) -> bool:
        record = _parse(raw)
        if record is not None and (record[1] or record[0] == self._me or self._dead(record[0])):
            return True
        if self._seen != (epoch, raw):
            self._seen, self._seen_at = (epoch, raw), self._clock.monotonic()
        return self._clock.monotonic() >= self._seen_at + self._ttl_s + self._margin_s

    def _record(self, epoch: int, *, released: bool = False) -> bytes:
        self._beat += 1
        now = self._clock.now()
        record = {
            "schema": 1,
            "epoch": epoch,
            "holder": asdict(self._me),
            "beat": self._beat,
            "renewed_at": now,
            "expires_at": now if released else now + self._ttl_s,
            "released": released,
        }
        return json.dumps(record, indent=1).encode()


def _parse(raw: bytes) -> tuple[Holder, bool] | None:
    """Holder and whether it released; None for anything else, which then has to expire."""
    try:
        record = json.loads(raw)
        return Holder(**record["holder"]), record["released"] is True
    except (ValueError, KeyError, TypeError):
        return None


def _path(epoch: int) -> str:
    """Names sort as numbers do: small ones are padded with zeros, times have ten digits for the next 260 years."""
    return f"{_FOLDER}/{epoch:08d}.json"


def _epoch_of(path: str) -> int | None:
    stem = Path(path).stem
    return int(stem) if stem.isdecimal() else None


def _host() -> str:
    """A process id means something only under one kernel and in one process namespace."""
    if sys.platform != "linux":
        return platform.node()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def _start_time(pid: int) -> str | None:
    process = proctable.read(pid)
    return None if process is None or process.dead else process.start_time
