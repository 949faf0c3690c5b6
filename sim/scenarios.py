"""The comparisons that are published: which clouds, which demand, by name. Won or lost, each is in the table.

One ordinary case, and beside it each thing that can be different, one at a time and a few together; the full product would
take a day and say nothing more. Nothing in here may be chosen for how a policy of ours does on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.conditions import ColdStart, Conditions, Victim
from sim.generate import TraceKind, generate, on_demand_limits
from sim.trace import Trace

DAYS = 21.0
DAYS_OF_MANY = 7.0
"""With 200 replicas everything happens more often."""
NOTICE_S = {"none": 0.0, "gcp": 30.0, "aws": 120.0}
"""How long before its end a spot machine is told: AWS 120 s, GCP and Azure about 30 s."""
LATE_S = 180.0
"""Until a group's activity log tells of a refusal."""
LAUNCH_USD = 10.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the comparison.

    Attributes:
        room: machines that a zone has at most when it has any.
        notice: a key of NOTICE_S.
        late: refusals are told after LATE_S.
        scarce: on demand can't be had everywhere and always either.
        night: the target for twelve hours of every day; None = the same as by day.
        victim: which machines of a zone end first.
        quick: it is in the short comparison too.

    """

    name: str
    kind: TraceKind = TraceKind.AGED
    target: int = 3
    room: int = 4
    cold_start_s: float = 120.0
    launch_usd: float = 0.0
    notice: str = "none"
    late: bool = False
    scarce: bool = False
    night: int | None = None
    victim: Victim = Victim.NEWEST
    days: float = DAYS
    quick: bool = False

    @property
    def several_per_zone(self) -> bool:
        """Whether zones hold several replicas, so that a policy can choose how to spread them."""
        return self.kind is not TraceKind.SINGLE

    def trace(self, seed: int) -> Trace:
        """Its spot capacity and prices."""
        return generate(self.kind, seed=seed, days=self.days, room=self.room)

    def targets(self) -> list[tuple[float, int]]:
        """How many replicas are wanted, from when on; the first day begins with its night."""
        if self.night is None:
            return [(0.0, self.target)]
        halves = range(math.ceil(2 * self.days))
        return [(43_200.0 * n, self.target if n % 2 else self.night) for n in halves]

    def on_demand(self, seed: int) -> Trace | None:
        """Its limits of on demand; None = there are none."""
        return on_demand_limits(seed=seed, days=self.days) if self.scarce else None

    def conditions(self, seed: int) -> Conditions:
        """Everything else."""
        return Conditions(
            cold_start=ColdStart.of(self.cold_start_s),
            notice_s=NOTICE_S[self.notice],
            refusal_s=LATE_S if self.late else 0.0,
            launch_usd=self.launch_usd,
            victim=self.victim,
            seed=seed,
        )


SCENARIOS = (
    Scenario("ordinary", quick=True),
    Scenario("one-replica", target=1, room=2),
    Scenario("ten-replicas", target=10, room=8),
    Scenario("fifty-replicas", target=50, room=30, days=DAYS_OF_MANY),
    Scenario("200-replicas", target=200, room=100, days=DAYS_OF_MANY),
    Scenario("cold-300", cold_start_s=300.0),
    Scenario("cold-600", cold_start_s=600.0, quick=True),
    Scenario("cold-900", cold_start_s=900.0),
    Scenario("launch-10-usd", launch_usd=LAUNCH_USD),
    Scenario("cold-600-launch-10-usd", cold_start_s=600.0, launch_usd=LAUNCH_USD),
    Scenario("notice-30", notice="gcp"),
    Scenario("notice-120", notice="aws", quick=True),
    Scenario("notice-120-cold-300", notice="aws", cold_start_s=300.0),
    Scenario("late-refusals", late=True),
    Scenario("late-refusals-ten", late=True, target=10, room=8),
    Scenario("scarce-on-demand", scarce=True),
    Scenario("partial-losses", kind=TraceKind.PARTIAL, quick=True),
    Scenario("partial-losses-ten-random", kind=TraceKind.PARTIAL, target=10, room=8, victim=Victim.RANDOM),
    Scenario("day-and-night", target=6, night=2),
    Scenario("prices", kind=TraceKind.PRICES, quick=True),
    Scenario("prices-ten-notice-120", kind=TraceKind.PRICES, target=10, room=8, notice="aws"),
    Scenario("constant", kind=TraceKind.CONSTANT, quick=True),
    Scenario("constant-cold-600", kind=TraceKind.CONSTANT, cold_start_s=600.0),
    Scenario("diurnal", kind=TraceKind.DIURNAL),
    Scenario("diurnal-ten", kind=TraceKind.DIURNAL, target=10, room=8),
    Scenario("collapse", kind=TraceKind.COLLAPSE, quick=True),
    Scenario("collapse-ten-cold-300", kind=TraceKind.COLLAPSE, target=10, room=8, cold_start_s=300.0),
    Scenario("one-per-zone", kind=TraceKind.SINGLE, quick=True),
    Scenario("one-per-zone-cold-600", kind=TraceKind.SINGLE, cold_start_s=600.0),
    Scenario(
        "everything",
        kind=TraceKind.PRICES,
        target=10,
        room=8,
        cold_start_s=300.0,
        launch_usd=1.0,
        notice="gcp",
        late=True,
        scarce=True,
    ),
)
"""In the order of the table."""
