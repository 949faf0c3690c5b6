"""Spot by some placement, with a constant spare if asked for, and with or without the on-demand fallback."""

from __future__ import annotations

from typing import Protocol

from sim.baselines.on_demand import OnDemand, fallback
from sim.policy import Launch, Orders, View
from sim.settle import least_far_first
from spec.names import Market


class Placement(Protocol):
    """Says where missing spot replicas go."""

    def learn(self, view: View) -> None:
        """Takes in what happened since the last step."""
        ...

    def choose(self, view: View, missing: int) -> dict[str, int]:
        """How many of them go to which zone."""
        ...


class Placed:
    """Keeps `target + extra` replicas on spot, and with `with_fallback` what is not ready of them on demand."""

    def __init__(self, placement: Placement, *, extra: int, with_fallback: bool) -> None:
        self._placement = placement
        self._extra = extra
        self._on_demand = OnDemand() if with_fallback else None

    def step(self, view: View, now: float) -> Orders:  # noqa: ARG002  the protocol's
        """Launches what is missing, ends what is too much."""
        self._placement.learn(view)
        extra = self._extra if view.target else 0
        missing = view.target + extra - view.count(Market.SPOT)
        launch: list[Launch] = []
        end: list[int] = []
        if missing > 0:
            chosen = self._placement.choose(view, missing)
            launch = [Launch(zone, Market.SPOT, number) for zone, number in chosen.items()]
        elif missing < 0:
            end = least_far_first(view, Market.SPOT)[:-missing]
        if self._on_demand is not None:
            want = fallback(view.target, extra, view.ready[Market.SPOT])
            more, fewer = self._on_demand.keep(view, want)
            launch += more
            end += fewer
        return Orders(launch, end)
