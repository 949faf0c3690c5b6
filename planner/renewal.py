"""How a lock is renewed. Pure.

A pool leaves in two steps, with an update between them: first it is `retiring`, so that the controller launches nothing
there and drains it, and when it has been deployed so, a renewal drops it. The file can't know what was deployed, so that
is asked of the stack's outputs; where nobody knows, nothing is dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from planner.hosts import host_changes
from planner.plan import Plan
from spec.desired import Pool, PoolState
from spec.lock import SCHEMA, Lock, LockedHost, LockedPool
from spec.names import cloud_of


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the last updates have declared. `pools`: by id; `unknown`: clouds of which that is not known, and why."""

    pools: Mapping[str, PoolState] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Renewal:
    """`changes`: a line for each thing that changes; `notes`: why what should go stays for now."""

    lock: Lock
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def renewed(
    old: Lock | None,
    plan: Plan,
    *,
    files: Mapping[str, str],
    hosts: Mapping[str, LockedHost],
    deployed: Deployed,
) -> Renewal:
    """The next lock. `plan`: as today's prices have it, without a lock. `files`: of the services of today.

    `hosts`: as `place_hosts` has them. A pool that is no longer chosen is kept as `retiring` until it is deployed so.
    """
    before = old or Lock(schema=SCHEMA)
    chosen = {p.id: _locked(p, before.pools.get(p.id)) for s in plan.services for p in s.pools}
    kept: dict[str, LockedPool] = {}
    lines, waiting = list(_taken(before.pools, chosen)), Counter[str]()
    for pool_id, pool in before.pools.items():
        if pool_id in chosen:
            continue
        stays, why = _still_needed(pool_id, deployed)
        if not stays:
            lines.append(f"- {pool_id}: {why}")
            continue
        kept[pool_id] = pool.model_copy(update={"state": PoolState.RETIRING})
        if pool.state is PoolState.RETIRING:
            waiting[why] += 1
        else:
            lines.append(f"~ {pool_id}: retiring; the controller drains it")
    leaving = {i.partition(".")[0] for i in kept}
    kept_files = {name: file for name, file in before.files.items() if name in leaving}
    return Renewal(
        Lock(
            schema=SCHEMA,
            services={**kept_files, **files},
            hosts=dict(hosts),
            pools={**chosen, **kept},
        ),
        (
            *_file_changes(before.files, {**kept_files, **files}),
            *host_changes(before.hosts, hosts),
            *sorted(lines, key=lambda line: line[2:]),
        ),
        (
            *(f"{_pools(n)} retiring: {why}" for why, n in sorted(waiting.items())),
            *_lost({**before.pools, **chosen}, deployed),
        ),
    )


def _lost(known: Mapping[str, LockedPool], deployed: Deployed) -> Iterator[str]:
    """Pools that are deployed and that no line was ever taken out for: by hand, or with the whole file."""
    for pool_id, state in sorted(deployed.pools.items()):
        if state is PoolState.ACTIVE and pool_id not in known:
            yield f"{pool_id} is deployed and has no line: put it back (git has it), so that it can retire"


def _file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None:
            yield f"+ {name}: {now}"
        elif now is None:
            yield f"- {name}: {was} is no longer needed"
        elif was != now:
            yield f"~ {name}: {was} => {now}"


def _pools(n: int) -> str:
    return "1 pool stays" if n == 1 else f"{n} pools stay"


def _locked(pool: Pool, before: LockedPool | None) -> LockedPool:
    """A price is noted when a pool is taken, so that a renewal shows pools and not prices."""
    if before and set(before.instance_types) == set(pool.instance_types):
        return before.model_copy(update={"state": PoolState.ACTIVE})
    return LockedPool(instance_types=pool.instance_types, usd_hour=pool.price_usd_hour)


def _taken(before: Mapping[str, LockedPool], chosen: Mapping[str, LockedPool]) -> Iterator[str]:
    for pool_id, pool in chosen.items():
        was = before.get(pool_id)
        if was is None:
            yield f"+ {pool_id}"
        elif was.state is PoolState.RETIRING:
            yield f"+ {pool_id}: no longer retiring"
        elif set(was.instance_types) != set(pool.instance_types):
            yield f"~ {pool_id}: {', '.join(was.instance_types)} => {', '.join(pool.instance_types)}"


def _still_needed(pool_id: str, deployed: Deployed) -> tuple[bool, str]:
    """Whether a pool has to stay in the lock, so that it is declared once more; and why it does or does not."""
    if why := deployed.unknown.get(cloud_of(pool_id)):
        return True, f"whether an update has told the controller is not known here: {why}"
    state = deployed.pools.get(pool_id)
    if state is PoolState.ACTIVE:
        return True, "no update has told the controller yet"
    return False, "it is not deployed" if state is None else "it was deployed as retiring"
