"""The figures that decisions use and no service file sets. Seconds."""

from __future__ import annotations

LAUNCH_DEADLINE_S = 180.0
"""A machine that has not appeared, or not come up, by then is given up; slower clouds declare a longer cold start."""

SETTLE_S = 5.0
"""A cloud may show an old size for this long after it accepted a new one."""

RETRY_S = 30.0
"""Between two requests to end the same machine."""

DRAIN_SETTLE_S = 2.0
"""A draining replica counts as idle only after the edges have surely heard of it."""

COOL_DOWN_S = 5.0
COOL_DOWN_SHARE = 0.15
COOL_DOWN_MAX_S = 900.0
"""A place that refused a launch or lost a machine is left alone for a share of the time for which it has been so, within
limits: what has long been down stays down, so asking every tick costs calls and finds nothing."""

BACK_OFF_S = 5.0
BACK_OFF_MAX_S = 600.0
"""Launches after replicas failed by themselves: at once, then after this long, then twice as long each time."""

PROVEN_AFTER_S = 60.0
"""A replica that has been ready for this long clears what was held against its pool and its bundle before."""

SOAK_S = 10.0
"""A replica on a bundle on trial has to be ready for this long before it counts as arrived. Crashes of the first requests
show within seconds; each step of an update takes this much longer."""

SPOT_TROUBLE_S = 300.0
"""After a loss or a refusal of spot capacity, on demand covers at once for this long instead of waiting for what was asked."""

BUDGET_LOOK_AHEAD_S = 60.0
"""A budget of the month counts as used up when what runs would use it up within this time; no two decisions lie further
apart while a controller leads."""

LAUNCHES_PER_TICK = 100

UNKNOWN_AGE_S = 6 * 3600.0
UNKNOWN_CHANCE = 0.7
"""Of a place that was never held, or long ago: how long it has probably been up once a launch succeeds, and whether it does. At
that age the law's hazard is that of all places that are up, of whatever age (docs/policy.md)."""

REFUSAL_TAKES_S = 30.0
"""Until a refusal is known, and another place is asked."""

LEAST_COLD_START_S = 60.0
"""Machines take that long wherever nothing is declared; with less, being short would cost nothing."""

SHORT_COST = 0.02
LEAST_ALLOWED = 1e-4
"""An hour of fewer replicas than needed costs as much as this share of all of them on demand, for the share of the time that
the target of availability leaves, which is taken as this at least."""

NONE_COST = 20.0
NONE_LEAST_ALLOWED = 1e-3
"""An hour with no replica at all costs up to so many times as much again; of one replica nothing, which is short and none at once.
A target beyond 99.9 % asks for fewer short hours; that hardly any of them is without a replica is paid for already."""

MOVE_COSTS_S = 600.0
MOVE_PAYS_WITHIN_S = 3600.0
"""A move costs at least so much time of a machine, which must come back within this time: what is known of places is not exact,
and nothing moves for a trifle."""

STAY_COUNTS_S = 43_200.0
ON_DEMAND_STAYS_S = 3600.0
"""What a launch costs in dollars must come back while the replica stays there: on spot for as long as the place's past promises,
as far as half a day counts (prices, loads and the risk that asks for a spare change, too), on demand until spot is there again."""


def cool_down_s(struck_for_s: float) -> float:
    """How long a pool is left alone that has been refusing and losing for so long."""
    return min(max(COOL_DOWN_S, COOL_DOWN_SHARE * struck_for_s), COOL_DOWN_MAX_S)


def back_off_s(failures: int) -> float:
    """How long launches of a service wait after that many failed replicas in a row."""
    return _doubled(BACK_OFF_S, failures - 1, BACK_OFF_MAX_S)


def _doubled(first: float, times: int, limit: float) -> float:
    if times <= 0:
        return 0.0
    return min(first * 2.0 ** min(times - 1, 32), limit)
