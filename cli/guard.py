"""A pool that holds replicas is not deleted: callers would lose them at once. Asked of the controller's last status.

Nor is one that the controller was never told to drain: it may launch there while the update runs.

The stack program can't know, because it never asks what it deployed; so `tw up` asks, before an update that deletes or
replaces pools. What can't be read counts as busy, also a status that is not there: somebody may have removed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cli.events import Report
from cli.state import NotThere, State
from cli.told import age_s, read_status
from policies.pools import POOLS
from spec.desired import PoolState
from spec.errors import OutsideError, RefusedError
from spec.status import ReplicaState

STALE_S = 600.0
"""The controller writes its status every few seconds; after ten minutes without, it is not known what runs."""

DESIRED = "desired"
"""The name of the object that the controller begins with, in every cloud."""

_ENDS_A_POOL = frozenset({"delete", "replace"})


def pools_that_go(report: Report) -> tuple[str, ...]:
    """Ids of pools that the update would delete, or delete and make anew."""
    return tuple(c.name for c in report.changes if c.op.value in _ENDS_A_POOL and c.type in POOLS)


def refuse_unretired(report: Report, deployed: Mapping[str, PoolState], *, renew: str) -> None:
    """Raises RefusedError where the update deletes a pool that was not deployed as retiring. `renew`: what writes the lock."""
    ends = [c.name for c in report.changes if c.op.value == "delete" and c.type in POOLS]
    if active := sorted(i for i in ends if deployed.get(i) is PoolState.ACTIVE):
        lines = "\n".join(f"  {pool}" for pool in active)
        raise RefusedError(
            f"refused: the update deletes pools that the controller was not told to drain:\n{lines}\n"
            f"Put their lines back into the lock, and their service back into the stack; then take away what shall go, and "
            f"{renew} lets them retire first. Where nothing is to be saved, `pulumi up` asks nobody."
        )


def began(report: Report) -> bool:
    """Whether a desired state was there before: without one no controller has launched anything."""
    return any(s.urn.rsplit("::", 1)[-1] == DESIRED and s.op != "create" for s in report.steps)


def refuse_busy(
    going: Iterable[str], state: State | None, *, began: bool = True, now: float | None = None
) -> None:
    """Raises RefusedError where one of the pools holds replicas, or where that is not known.

    `state`: None where the stack has no output that names its bucket; then `began` tells whether anything may run.
    """
    pools = set(going)
    if not pools or (state is None and not began):
        return
    if state is None:
        why = "no update has ended well yet, but a controller may have begun with what the last one declared"
        raise RefusedError(_unknown(pools, why))
    try:
        status = read_status(state)
    except NotThere:
        why = f"{state.where} has no status.json: its controller has not begun yet, or somebody removed it"
        raise RefusedError(_unknown(pools, why)) from None
    except OutsideError as e:
        why = f"its status can't be read: {str(e).splitlines()[0]}"
        raise RefusedError(_unknown(pools, why)) from None
    busy: dict[str, int] = {}
    for replica in (r for service in status.services for r in service.replicas):
        if replica.pool in pools and replica.state is not ReplicaState.GONE:
            busy[replica.pool] = busy.get(replica.pool, 0) + replica.nodes
    if busy:
        lines = "\n".join(f"  {pool}: {machines} machines" for pool, machines in sorted(busy.items()))
        raise RefusedError(
            f"refused: the update deletes pools that hold replicas:\n{lines}\n"
            "Let them retire first (`state: retiring` in the lock: the controller drains them), and run this again when "
            "they are empty."
        )
    age = age_s(status) if now is None else now - status.written_at
    if age > STALE_S:
        raise RefusedError(_unknown(pools, f"its status is {age / 60:.0f} minutes old"))


def _unknown(pools: set[str], why: str) -> str:
    return (
        f"refused: the update deletes {len(pools)} pools, and whether they hold replicas is not known: {why}. See that the "
        "controller runs (`./tw wait`), or let the pools retire first (`state: retiring` in the lock). Where nothing is to be "
        "saved, `pulumi up` asks nobody."
    )
