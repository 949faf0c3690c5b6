"""What a run is judged by: shares of time and of asked-for replicas, money by market, and what was asked of the clouds.

Shares begin with the first moment at which any policy could have had a ready replica (with the trace itself where that is
shorter than a cold start); money begins at 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sim.latency import Met


@dataclass(frozen=True, slots=True)
class Result:
    """One policy on one trace. Shares are from 0 to 1.

    Attributes:
        name: the policy.
        availability: of the time, with at least as many ready replicas as asked for.
        served: of the asked-for replica-time, what was ready.
        zero_ready: of the time, with no replica ready although some were asked for.
        cost_ratio: all that was paid / the asked-for replicas on demand, in the cheapest zone, all the time.
        cost_on_demand_part: of what was paid, for on demand.
        cost_usd: all that was paid, launches and a hosted provider included.
        preemptions: replicas that the clouds took.
        launches: machines that were asked for, refused ones included.
        failed_launches: machines that were refused.
        calls_per_hour: to the clouds, to launch and to end.
        requests: what callers met; None = there were none in the run.
        cost_hosted_part: of what was paid, to a hosted provider.

    """

    name: str
    availability: float
    served: float
    zero_ready: float
    cost_ratio: float
    cost_on_demand_part: float
    cost_usd: float
    preemptions: int
    launches: int
    failed_launches: int
    calls_per_hour: float
    requests: Met | None = None
    cost_hosted_part: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints of it; the names are stable. Without requests there is neither `requests` nor `cost_hosted_part`."""
        found = asdict(self)
        if self.requests is None:
            del found["requests"], found["cost_hosted_part"]
        return found


@dataclass(slots=True)
class Tally:
    """Adds up while the world goes on; `scored` is off during the first cold start, when nobody could be ready."""

    seconds: float = 0.0
    scored_s: float = 0.0
    enough_s: float = 0.0
    zero_s: float = 0.0
    wanted_s: float = 0.0
    served_s: float = 0.0
    spot_usd: float = 0.0
    on_demand_usd: float = 0.0
    launch_usd: float = 0.0
    hosted_usd: float = 0.0
    reference_usd: float = 0.0
    preemptions: int = 0
    launches: int = 0
    failed_launches: int = 0
    calls: int = 0

    def pass_time(self, seconds: float, *, target: int, ready: int, scored: bool) -> None:
        """`seconds` went by in which nothing changed."""
        self.seconds += seconds
        if scored:
            self.scored_s += seconds
            self.wanted_s += target * seconds
            if ready >= target:
                self.enough_s += seconds
                self.served_s += target * seconds
            else:
                self.served_s += ready * seconds
                if ready == 0:
                    self.zero_s += seconds

    def pay(self, hours: float, *, spot: float, on_demand: float, reference: float) -> None:
        """`hours` at these rates, USD per hour. `reference`: what was asked for, on demand."""
        self.spot_usd += spot * hours
        self.on_demand_usd += on_demand * hours
        self.reference_usd += reference * hours

    def result(self, name: str) -> Result:
        """What it comes to. Where nothing was asked for, everything asked for was served."""
        cost = self.spot_usd + self.on_demand_usd + self.launch_usd + self.hosted_usd
        return Result(
            name=name,
            availability=_share(self.enough_s, self.scored_s, 1.0),
            served=_share(self.served_s, self.wanted_s, 1.0),
            zero_ready=_share(self.zero_s, self.scored_s, 0.0),
            cost_ratio=_share(cost, self.reference_usd, 0.0),
            cost_on_demand_part=_share(self.on_demand_usd, cost, 0.0),
            cost_usd=cost,
            preemptions=self.preemptions,
            launches=self.launches,
            failed_launches=self.failed_launches,
            calls_per_hour=_share(self.calls, self.seconds / 3600, 0.0),
            cost_hosted_part=_share(self.hosted_usd, cost, 0.0),
        )


def _share(part: float, whole: float, otherwise: float) -> float:
    return part / whole if whole > 0 else otherwise
