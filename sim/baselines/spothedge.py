"""SpotHedge's placement (Mao et al., SkyServe, EuroSys '25, https://arxiv.org/abs/2411.01438), and its artifact's variant.

Zones are active or preempting. A preemption or a refused launch moves a zone to preempting, a launch that came up moves it
back. The paper forgets all of it when fewer than two zones are active; the variant only when none is, and takes a zone back
that still holds replicas and has lost none since the last look. Launches go to active zones without a replica of the
service, else to any active one, the cheapest first. (The published artifact draws among those zones at random, for want of
prices, and from four zones on it resets like the paper; we follow the reading under which the variant does better.)
"""

from __future__ import annotations

from sim.policy import Kind, Stage, View
from spec.names import Market

LEAST_ACTIVE = 2
"""Of the paper: with fewer, all zones are active again."""


class SpotHedge:
    """By the paper."""

    def __init__(self) -> None:
        self._preempting: set[str] = set()

    def learn(self, view: View) -> None:
        """Moves zones, event by event."""
        for event in view.events:
            if event.market is not Market.SPOT:
                continue
            if event.kind is Kind.STARTED:
                self._preempting.discard(event.zone)
            elif event.kind in (Kind.PREEMPTED, Kind.REFUSED):
                self._preempting.add(event.zone)
                if len(view.zones) - len(self._preempting) < self._least_active():
                    self._preempting.clear()

    def choose(self, view: View, missing: int) -> dict[str, int]:
        """Counts what this decision adds as used."""
        prices = view.spot_price
        active = sorted((z for z in view.zones if z not in self._preempting), key=prices.__getitem__)
        held = view.held[Market.SPOT]
        chosen = dict.fromkeys([z for z in active if not held[z]][:missing], 1)
        if rest := missing - len(chosen):
            chosen[active[0]] = chosen.get(active[0], 0) + rest
        return chosen

    def _least_active(self) -> int:
        return LEAST_ACTIVE


class SpotHedgeArtifact(SpotHedge):
    """By the code that was published with the paper, as described above."""

    def learn(self, view: View) -> None:
        """Takes zones back, too, that hold what they held."""
        super().learn(view)
        if self._preempting:
            lost = {e.zone for e in view.events if e.kind in (Kind.PREEMPTED, Kind.REFUSED)}
            self._preempting -= {
                r.zone
                for r in view.replicas.values()
                if r.market is Market.SPOT and r.stage is not Stage.PENDING and r.zone not in lost
            }

    def _least_active(self) -> int:
        return 1
