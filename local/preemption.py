"""Preemption: which spot machines are too many for their zones, and whose time is over.

A machine under notice still holds its place until it is killed, and it is never taken off notice. So it also counts
toward what its zone is to lose: the same missing capacity never costs a second machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from local.pools import PoolRecord
from local.trace import Quote


def too_many(
    records: Mapping[str, PoolRecord], quotes: Mapping[str, Quote]
) -> Iterator[tuple[PoolRecord, str]]:
    """The spot machines that are to be told of their preemption now, the newest of each zone first."""
    for zone, quote in quotes.items():
        spot = [r for r in records.values() if r.spot and r.declaration.zone == zone]
        staying = [(r.machines[i].launched_at, i, r) for r in spot for i in r.staying()]
        untold = [s for s in staying if s[2].machines[s[1]].preempt_at is None]
        untold.sort(key=lambda s: s[:2], reverse=True)
        leaving = len(staying) - len(untold)
        for _, instance_id, record in untold[: max(0, len(staying) - leaving - quote.capacity)]:
            yield record, instance_id


def expired(record: PoolRecord, now: float) -> list[str]:
    """The machines of a pool that are to be killed now."""
    return [i for i in record.staying() if (at := record.machines[i].preempt_at) is not None and now >= at]
