"""On demand, alone or behind spot: how many, where, and which end first.

`O(t) = min(N, N + N_extra - ready_spot)` is SpotHedge's fallback. Every baseline may have the same one, because it does most
of the work: without that, comparing placements means comparing fallbacks.
"""

from __future__ import annotations

from sim.policy import Kind, Launch, Orders, View, cheapest
from sim.settle import least_far_first
from spec.names import Market


def fallback(target: int, extra: int, ready_spot: int) -> int:
    """How many replicas must be on demand."""
    return max(0, min(target, target + extra - ready_spot))


class OnDemand:
    """Keeps a number of replicas on demand, in the cheapest zone that has not just refused one."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def keep(self, view: View, want: int) -> tuple[list[Launch], list[int]]:
        """What to launch and what to end, so that `want` are there."""
        self._learn(view)
        have = view.count(Market.ON_DEMAND)
        if have < want:
            return [Launch(self._zone(view), Market.ON_DEMAND, want - have)], []
        return [], least_far_first(view, Market.ON_DEMAND)[: have - want] if have > want else []

    def _learn(self, view: View) -> None:
        for event in view.events:
            if event.market is Market.ON_DEMAND:
                if event.kind is Kind.REFUSED:
                    self._refused.add(event.zone)
                elif event.kind is Kind.STARTED:
                    self._refused.clear()

    def _zone(self, view: View) -> str:
        if len(self._refused) == len(view.on_demand_price):
            self._refused.clear()
        prices = view.on_demand_price
        return cheapest(
            {z: p for z, p in prices.items() if z not in self._refused} if self._refused else prices
        )


class OnDemandOnly:
    """All replicas on demand, no spot at all."""

    def __init__(self) -> None:
        self._on_demand = OnDemand()

    def step(self, view: View, now: float) -> Orders:  # noqa: ARG002  the protocol's
        """Launches what is missing, ends what is too much."""
        launch, end = self._on_demand.keep(view, view.target)
        return Orders(launch, end)
