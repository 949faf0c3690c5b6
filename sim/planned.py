"""The product's own decisions over the pools of a plan, instead of a pool in every zone and market of a trace."""

from __future__ import annotations

from collections.abc import Mapping

from sim.conditions import Conditions
from sim.policy import Orders, View
from sim.product import Tradewind
from spec.desired import Pool, Routing, Service
from spec.names import Market
from spec.scaling import SIGNALS, Scaling

_BY_THE_WORLD = {"schedules": None, "forecast": None, **dict.fromkeys(SIGNALS)}
"""How many replicas are needed is told by the world that is simulated."""


EACH = 10
"""A decision without replicas takes as long as looking at so many."""

NOTICE_S = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}
"""From the notice of a preemption to the kill; nothing is counted on elsewhere."""


def notice_s(pool: Pool) -> float:
    """How long before its end a spot machine of that pool is told; seconds."""
    return NOTICE_S.get(pool.cloud, 0.0)


class Planned(Tradewind):
    """See `sim.policy.Policy`. `effort`: how much was decided, which is what a run takes time for."""

    def __init__(
        self, conditions: Conditions, scaling: Scaling, zones: Mapping[str, Pool], *, quiet_s: float
    ) -> None:
        """`zones`: of the trace, and the one pool that is there. `quiet_s`: as in Tradewind."""
        super().__init__(conditions, scaling.slo / 100, drain_limit_s=Routing().drain_limit_s)
        self.quiet_s = quiet_s
        self.effort = 0
        self._limits = scaling
        self._zones = zones

    def step(self, view: View, now: float) -> Orders:
        """See Policy."""
        self.effort += EACH + len(view.replicas)
        return super().step(view, now)

    def _service(self, scaling: Scaling) -> Service:
        target = {**_BY_THE_WORLD, "min_replicas": scaling.min_replicas}
        name = next(iter(self._zones.values())).service
        own = {"name": name, "scaling": self._limits.model_copy(update=target)}
        return super()._service(scaling).model_copy(update=own)

    def _pools_for(self, view: View) -> Mapping[tuple[str, Market], Pool]:
        """What is reserved is on demand to the world: it is never taken."""
        spot, sure = Market.SPOT, Market.ON_DEMAND
        placed = ((zone, self._zones[zone]) for zone in view.zones)
        return {(zone, spot if pool.market is spot else sure): pool for zone, pool in placed}
