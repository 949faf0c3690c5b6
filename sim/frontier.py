"""What a policy with a knob costs for a wanted availability: the cheapest mix in time of its settings.

Two policies that are not as available can't be compared by their cost. One whose availability can be chosen can: with one setting
for a share of the time and another for the rest it has any availability and cost between theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations


@dataclass(frozen=True, slots=True)
class Mix:
    """Settings by their shares of the time. `reaches`: whether it is as available as wanted; if not, it is the most available."""

    shares: Mapping[str, float]
    reaches: bool

    def of(self, values: Mapping[str, float]) -> float:
        """The mean of a value of each setting."""
        return sum(share * values[name] for name, share in self.shares.items())


def cheapest(availability: Mapping[str, float], cost: Mapping[str, float], wanted: float) -> Mix:
    """The cheapest mix that is available for that share of the time, of settings by name."""
    found = [(cost[name], {name: 1.0}) for name, share in availability.items() if share >= wanted]
    for low, high in permutations(availability, 2):
        if availability[low] < wanted < availability[high]:
            part = (wanted - availability[low]) / (availability[high] - availability[low])
            found.append((part * cost[high] + (1 - part) * cost[low], {low: 1 - part, high: part}))
    if not found:
        most = max(availability, key=lambda name: (availability[name], -cost[name], name))
        return Mix({most: 1.0}, reaches=False)
    return Mix(min(found, key=lambda one: (one[0], sorted(one[1].items())))[1], reaches=True)
