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

    def choose(self, view: View, missing: int) -> dict[str, int]:
        """Counts what this decision adds; the lowest zones are raised together, level by level."""
        held = view.held[Market.SPOT]
        level = dict(held)
        while missing:
            least = min(level.values())
            lowest = [z for z, n in level.items() if n == least]
            step = min((n for n in level.values() if n > least), default=least + missing) - least
            each = min(step, missing // len(lowest))
            for zone in lowest if each else lowest[:missing]:
                level[zone] += each or 1
                missing -= each or 1
        return {z: n - held[z] for z, n in level.items() if n > held[z]}


class RoundRobin:
    """The next zone, round and round in the order of the trace."""

    def __init__(self) -> None:
        self._next = 0

    def learn(self, view: View) -> None:
        """Nothing to learn."""

    def choose(self, view: View, missing: int) -> dict[str, int]:
        """Goes on from where it stopped."""
        zones = view.zones
        rounds, rest = divmod(missing, len(zones))
        turn = [zones[(self._next + n) % len(zones)] for n in range(len(zones))]
        self._next = (self._next + missing) % len(zones)
        return {z: rounds + (n < rest) for n, z in enumerate(turn) if rounds or n < rest}
