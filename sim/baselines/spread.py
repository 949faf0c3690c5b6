"""Even Spread and Round Robin: placements that remember nothing of a zone.

Even Spread (an autoscaling group over zones) gives each missing replica to the zone that has the fewest, and so asks a zone
that has nothing for ever. Round Robin goes on to the next zone with every launch, whatever became of it.
"""

from __future__ import annotations

from sim.policy import View
from spec.names import Market


class EvenSpread:
    """The zone with the fewest replicas, the first of them in the order of the trace."""

    def learn(self, view: View) -> None:
        """Nothing to learn."""

    def choose(self, view: View, missing: int) -> list[str]:
        """Counts what this decision adds."""
        held = dict(view.held[Market.SPOT])
        chosen = []
        for _ in range(missing):
            zone = min(held, key=held.__getitem__)
            held[zone] += 1
            chosen.append(zone)
        return chosen


class RoundRobin:
    """The next zone, round and round in the order of the trace."""

    def __init__(self) -> None:
        self._next = 0

    def learn(self, view: View) -> None:
        """Nothing to learn."""

    def choose(self, view: View, missing: int) -> list[str]:
        """Goes on from where it stopped."""
        zones = view.zones
        chosen = [zones[(self._next + n) % len(zones)] for n in range(missing)]
        self._next = (self._next + missing) % len(zones)
        return chosen
