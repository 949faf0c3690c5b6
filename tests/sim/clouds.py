"""Small traces by hand, and what a policy ordered on them, tick by tick."""

from sim.conditions import ColdStart, Conditions
from sim.trace import Series, Trace
from sim.world import World

QUICK = ColdStart(30, 90)


def a_trace(end_s=3600, prices=None, **zones):
    """Zone -> capacity, or [(from, capacity), ...]; spot costs 1 USD per hour where `prices` says nothing, on demand 3."""
    made = {}
    for zone, steps in zones.items():
        series = Series()
        for at, capacity in [(0, steps)] if isinstance(steps, int) else steps:
            series.append(at, capacity, (prices or {}).get(zone, 1.0), 3.0)
        made[zone] = series
    return Trace("made", made, end_s)


class Noted:
    """A policy that notes what another one orders: `(now, {(zone, market): count}, ids ended)` where it orders anything."""

    def __init__(self, policy):
        self.policy, self.orders = policy, []

    def step(self, view, now):
        orders = self.policy.step(view, now)
        launched = {(launch.zone, launch.market.value): launch.count for launch in orders.launch}
        if launched or orders.end:
            self.orders.append((now, launched, list(orders.end)))
        return orders


def orders(policy, trace, target, until=1e9, **conditions):
    noted = Noted(policy)
    on_demand = conditions.pop("on_demand", None)
    world = World(trace, Conditions(**{"cold_start": QUICK, **conditions}), target, on_demand=on_demand)
    world.run(noted)
    return [o for o in noted.orders if o[0] <= until]
