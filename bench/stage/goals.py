"""What ours costs as available as the rival and at a wanted availability, and whether the goals that it was built for are met.

Costs of policies that are not equally available say nothing beside each other, so ours is mixed in time of settings of its
knob until it is (`sim.frontier`). Every goal is shown, met or missed, with the scenarios in which no setting is available enough.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from sim.frontier import Mix, cheapest
from sim.metrics import Result
from sim.policies import OMNISCIENT
from sim.scenarios import Scenario

RIVAL = "spothedge"
OURS = ("tradewind+slo=99", "tradewind", "tradewind+slo=99.99")
"""Its knob in three positions; the middle one is 99.9."""
WANTED = 0.999
CHEAPER, NEVER_DEARER, OVER_OPTIMUM, OVER_OPTIMUM_WITH_NOTICE = 0.80, 1.03, 1.10, 1.12
"""The goals: what ours costs of the rival on average and at most, of the optimum on average, and with AWS's notices."""
LEAST_SEEDS = 2
"""Of fewer there is no interval."""


@dataclass(frozen=True)
class Interval:
    """A mean and the half of its 95 % interval; NaN where one value is all there is."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Student's t over independent values."""
        from scipy import stats

        n = len(values)
        if n < LEAST_SEEDS:
            return cls(values[0], math.nan)
        half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)
        return cls(statistics.fmean(values), half)

    def percent(self, digits: int = 1) -> str:
        spread = "" if math.isnan(self.half) else f" ±{100 * self.half:.{digits}f}"
        return f"{100 * self.mean:.{digits}f}{spread}"


Runs = dict[tuple[str, str], list[Result]]
"""(scenario, policy) -> a result for each seed, in the order of the seeds."""


def of(results: Iterable[Result], value: Callable[[Result], float]) -> Interval:
    return Interval.of([value(r) for r in results])


@dataclass(frozen=True)
class Equal:
    """Ours at a given availability in one scenario, beside another policy's cost there."""

    scenario: Scenario
    mix: Mix
    available: float
    zero_ready: float
    cost: Interval

    @classmethod
    def of(cls, runs: Runs, scenario: Scenario, wanted: float, to: str) -> Equal:
        """The shares of the settings follow from the means over all seeds; the ratio of costs is of each seed's runs."""
        ours = {name: runs[scenario.name, name] for name in OURS}
        means = {
            name: (
                statistics.fmean(r.availability for r in results),
                statistics.fmean(r.cost_usd for r in results),
                statistics.fmean(r.zero_ready for r in results),
            )
            for name, results in ours.items()
        }
        available, cost, zero = ({name: m[i] for name, m in means.items()} for i in range(3))
        mix = cheapest(available, cost, wanted)
        ratios = [
            mix.of({name: results[n].cost_usd for name, results in ours.items()}) / other.cost_usd
            for n, other in enumerate(runs[scenario.name, to])
        ]
        return cls(scenario, mix, mix.of(available), mix.of(zero), Interval.of(ratios))


Compared = Sequence[tuple[Equal, Equal]]
"""For each scenario ours as available as the rival, beside it, and ours at WANTED, beside the optimum."""


def compared(runs: Runs, scenarios: Sequence[Scenario]) -> Compared:
    """All scenarios, in their order."""
    return [
        (
            Equal.of(runs, s, of(runs[s.name, RIVAL], lambda r: r.availability).mean, RIVAL),
            Equal.of(runs, s, WANTED, OMNISCIENT),
        )
        for s in scenarios
    ]


def equal_table(runs: Runs, found: Compared) -> Table:
    table = Table(
        title=f"ours as available as {RIVAL}, and at {WANTED:.1%}: settings mixed in time",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("scenario", no_wrap=True)
    for column in (
        f"available %, {RIVAL}",
        "ours",
        f"% of {RIVAL}'s cost",
        f"zero ready %, {RIVAL}",
        "ours",
        f"available %, wanted {WANTED:.1%}",
        f"% of {OMNISCIENT}'s cost",
    ):
        table.add_column(column, justify="right")
    for same, high in found:
        rival = runs[same.scenario.name, RIVAL]
        table.add_row(
            same.scenario.name,
            of(rival, lambda r: r.availability).percent(3),
            f"{100 * same.available:.3f}{'' if same.mix.reaches else ' less'}",
            same.cost.percent(),
            of(rival, lambda r: r.zero_ready).percent(4),
            f"{100 * same.zero_ready:.4f}",
            f"{100 * high.available:.3f}{'' if high.mix.reaches else ' less'}",
            high.cost.percent(),
        )
    return table


def goals(runs: Runs, found: Compared) -> list[str]:
    """One line for each, met or missed, and by what."""
    same, high = [e for e, _ in found], [e for _, e in found]
    said = []

    def goal(what: str, *, met: bool, figures: str) -> None:
        said.append(f"{'met   ' if met else 'missed'}  {what}: {figures}")

    several = [e for e in same if e.scenario.several_per_zone]
    if several:
        mean = statistics.fmean(e.cost.mean for e in several)
        goal(
            f"as available as {RIVAL}, several replicas per zone: at most {CHEAPER:.0%} of its cost on average",
            met=mean <= CHEAPER and all(e.mix.reaches for e in several),
            figures=f"{mean:.1%} over {len(several)} scenarios{_short(several)}",
        )
    dearest = max(same, key=lambda e: e.cost.mean)
    goal(
        f"nowhere more than {NEVER_DEARER - 1:.0%} dearer than {RIVAL} at its availability",
        met=dearest.cost.mean <= NEVER_DEARER and all(e.mix.reaches for e in same),
        figures=f"{dearest.cost.mean:.1%} in {dearest.scenario.name}{_short(same)}",
    )
    zero = [statistics.fmean(e.zero_ready for e in same)]
    zero.append(statistics.fmean(r.zero_ready for e in same for r in runs[e.scenario.name, RIVAL]))
    goal(
        f"no longer without any replica than {RIVAL}",
        met=zero[0] <= zero[1],
        figures=f"{zero[0]:.4%} of the time, {zero[1]:.4%}",
    )
    mean = statistics.fmean(e.cost.mean for e in high)
    goal(
        f"available for {WANTED:.1%}: at most {OVER_OPTIMUM:.0%} of the optimum on average",
        met=mean <= OVER_OPTIMUM and all(e.mix.reaches for e in high),
        figures=f"{mean:.1%} over {len(high)} scenarios{_short(high)}",
    )
    noticed = [e for e in high if e.scenario.notice == "aws"]
    if noticed:
        dearest = max(noticed, key=lambda e: e.cost.mean)
        goal(
            f"with AWS's notices: available for {WANTED:.1%} at no more than {OVER_OPTIMUM_WITH_NOTICE:.0%} of the optimum",
            met=dearest.cost.mean <= OVER_OPTIMUM_WITH_NOTICE and all(e.mix.reaches for e in noticed),
            figures=f"{dearest.cost.mean:.1%} in {dearest.scenario.name}{_short(noticed)}",
        )
    return said


def _short(those: Sequence[Equal]) -> str:
    missed = [e.scenario.name for e in those if not e.mix.reaches]
    return f"; not as available in {', '.join(missed)}" if missed else ""
