"""Which replicas a policy without an opinion ends first."""

from __future__ import annotations

from sim.policy import Stage, View
from spec.names import Market

_FAR = {Stage.PENDING: 0, Stage.STARTING: 1, Stage.READY: 2}


def least_far_first(view: View, market: Market) -> list[int]:
    """Ids of that market's replicas: those that are furthest from ready first, among equals the newest."""
    found = [r for r in view.replicas.values() if r.market is market]
    return [r.id for r in sorted(found, key=lambda r: (_FAR[r.stage], -r.id))]
