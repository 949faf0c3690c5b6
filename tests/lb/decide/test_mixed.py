"""Services whose replicas are worth more on one shape than on another: they need capacity, whatever the number of replicas."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.desired import PoolState
from spec.names import Market
from tests.lb.world import NEW, ZONES, World, a_desired, a_pool, a_service

TAKES = {"L4": 2.0, "A100": 5.0}
USD_HOUR = {"L4": 0.8, "A100": 1.5}


def pools(*, market=Market.ON_DEMAND, prices=USD_HOUR, retiring=None, zones=ZONES[:2]):
    return [
        a_pool(
            zone,
            accelerator=shape,
            price=usd,
            market=market,
            state=PoolState.RETIRING if shape == retiring else PoolState.ACTIVE,
        )
        for zone in zones
        for shape, usd in prices.items()
    ]


def mixed(*, qps, least=1, most=10, takes=TAKES, places=None, **service) -> World:
    """A world that has been asked for so much for an hour."""
    one = a_service(replicas=least, most=most, qps=takes, **service)
    world = World(a_desired([one], pools() if places is None else places))
    world.lapse(3600, qps=lambda _: qps)
    return world


def shapes(world: World, *, ready=False) -> Counter:
    """Machines by shape; of those that serve alone."""
    states = world.states()
    return Counter(
        world.pool(m.pool_id).accelerator
        for i, m in world.machines.items()
        if not ready or states.get(i) == "ready"
    )


def takes(world: World, *, ready=True) -> float:
    """Requests per second that its replicas take."""
    return sum(n * TAKES[shape] for shape, n in shapes(world, ready=ready).items())


def cheapest(qps, *, least, most) -> float:
    """USD per hour of the cheapest mix for that load, tried one by one; the load is within what `most` can take."""
    return min(
        small * USD_HOUR["L4"] + large * USD_HOUR["A100"]
        for small in range(most + 1)
        for large in range(most + 1 - small)
        if small * TAKES["L4"] + large * TAKES["A100"] >= qps and small + large >= least
    )


def gone(world: World, shape: str) -> None:
    """From now on there is no machine of that shape."""
    world.capacity |= {p.id: 0 for p in world.desired.pools if p.accelerator == shape}
    for instance_id, machine in list(world.machines.items()):
        if world.pool(machine.pool_id).accelerator == shape:
            world.lose(instance_id)


def test_the_shape_that_is_cheaper_for_its_work_is_taken_although_a_replica_costs_more():
    assert shapes(mixed(qps=20)) == {"A100": 4}
    assert shapes(mixed(qps=1.5)) == {"L4": 1}
    assert shapes(mixed(qps=12)) == {"A100": 2, "L4": 1}


@pytest.mark.parametrize("qps", [3, 6, 9, 12, 20, 45])
def test_a_load_is_served_for_what_the_cheapest_mix_costs_or_so_little_more_that_no_move_pays(qps):
    world = mixed(qps=qps)
    assert takes(world) >= qps
    assert world.usd_hour() <= cheapest(qps, least=1, most=10) * 1.07


def test_it_costs_less_than_the_cheapest_replicas_for_the_same_work():
    small = mixed(qps=20, places=pools(prices={"L4": USD_HOUR["L4"]}))
    both = mixed(qps=20)
    assert (takes(small), takes(both)) == (20, 20)
    assert both.usd_hour() == pytest.approx(0.75 * small.usd_hour())


def test_a_large_replica_that_is_lost_is_replaced_by_as_many_small_ones_as_take_its_work():
    world = mixed(qps=20)
    gone(world, "A100")
    world.run(60)
    assert shapes(world, ready=True) == {"L4": 10}
    world.capacity.clear()
    world.lapse(7200, qps=lambda _: 20)
    assert shapes(world) == {"A100": 4}


def test_what_replicas_take_never_falls_below_the_load_while_they_move_from_shape_to_shape():
    world = mixed(qps=20, surge=2)
    for prices in ({"L4": 0.3, "A100": 1.5}, USD_HOUR):
        world.desired = world.desired.model_copy(update={"pools": tuple(pools(prices=prices))})
        before = shapes(world)
        for _ in range(200):
            world.tick(3.0)
            assert takes(world) >= 20
            assert len(world.machines) <= 12
        assert shapes(world) != before
        assert not any(d.commands for d in world.run(600, step=10))


def test_a_shape_that_retires_leaves_when_the_others_take_its_work():
    world = mixed(qps=20)
    world.desired = world.desired.model_copy(update={"pools": tuple(pools(retiring="A100"))})
    for _ in range(300):
        world.tick()
        assert takes(world) >= 20
        assert len(world.machines) <= 11
    assert shapes(world) == {"L4": 10}


def test_the_minimum_is_replicas_whatever_they_are_worth():
    assert shapes(mixed(qps=5, least=3)).total() == 3
    assert mixed(qps=5, least=3).last.targets == {"chat": 3}


def test_at_the_maximum_small_replicas_make_place_for_large_ones():
    world = mixed(qps=20, most=4)
    gone(world, "A100")
    world.run(60)
    assert shapes(world) == {"L4": 4}
    world.capacity.clear()
    for _ in range(600):
        before = takes(world)
        world.tick(3.0)
        assert takes(world) >= min(before, 20)
        assert len(world.machines) <= 5
    assert shapes(world) == {"A100": 4}


def test_an_update_moves_all_replicas_and_keeps_what_they_take():
    world = mixed(qps=12)
    world.want(NEW)
    for _ in range(200):
        world.tick()
        assert takes(world) >= 12
        assert len(world.machines) <= 11
    assert set(world.bundles()) == {NEW}
    world.lapse(7200, qps=lambda _: 12)
    assert shapes(world) == {"A100": 2, "L4": 1}


def test_other_figures_for_the_shapes_shed_nothing_before_the_load_has_been_looked_at():
    world = mixed(qps=20, takes=5.0)
    service = world.desired.services[0]
    scaling = service.scaling.model_copy(update={"target_qps_per_replica": TAKES})
    world.desired = world.desired.model_copy(
        update={"services": (service.model_copy(update={"scaling": scaling}),)}
    )
    before = takes(world)
    for _ in range(220):
        world.tick(5.0)
        assert takes(world) >= before


def test_the_number_is_told_in_replicas_of_the_least_shape():
    world = mixed(qps=4)
    world.asks(9)
    said = {r for d in world.run(310) for r in d.reasons}
    assert "chat: 2 -> 4.5 x L4: 9 requests/s at 2 per L4, 5 per A100 for 300 s" in said
    assert any("chat lacks" in r for r in said)


loads = st.integers(1, 90).map(lambda n: n / 2)
shocks = st.lists(
    st.one_of(
        st.tuples(st.just("load"), loads),
        st.tuples(st.just("no"), st.sampled_from(sorted(TAKES))),
        st.tuples(st.just("some"), st.sampled_from(sorted(TAKES)), st.integers(0, 3)),
        st.tuples(st.just("lose"), st.integers(0, 9)),
        st.tuples(st.just("bundle"), st.sampled_from(["c" * 64, NEW])),
        st.tuples(st.just("wait"), st.integers(1, 90)),
    ),
    max_size=6,
)


services = st.fixed_dictionaries(
    {
        "least": st.integers(1, 4),
        "most": st.integers(4, 12),
        "surge": st.integers(1, 3),
        "spares": st.integers(0, 1),
        "base_on_demand": st.sampled_from([0, 0, 1]),
    }
)


@settings(max_examples=8, deadline=None)
@given(shocks, loads, services, st.booleans())
def test_whatever_happened_a_constant_load_comes_to_rest_with_enough_in_few_enough_replicas(
    story, qps, service, spot
):
    places = pools()
    if spot:
        places = [*pools(market=Market.SPOT), *pools(prices={k: 3 * v for k, v in USD_HOUR.items()})]
    world = mixed(qps=qps, places=places, **service)
    least, most, surge = service["least"], service["most"], service["surge"]
    for shock in story:
        match shock:
            case ("load", other):
                world.lapse(400, qps=lambda _, other=other: other)
            case ("no", shape):
                gone(world, shape)
            case ("some", shape, n):
                world.capacity |= {p.id: n for p in places if p.accelerator == shape}
            case ("lose", n) if world.machines:
                world.lose(list(world.machines)[n % len(world.machines)])
            case ("bundle", sha256):
                world.want(sha256)
            case ("wait", seconds):
                world.run(seconds)
        for _ in range(5):
            world.tick()
            assert len(world.machines) <= most + surge
    world.capacity.clear()
    world.lapse(4 * 3600, qps=lambda _: qps)
    assert not [d.commands for d in world.lapse(3600, qps=lambda _: qps) if d.commands]
    reachable = min(
        qps, most * TAKES["A100"] - 3 * service["base_on_demand"]
    )  # a base may be small, and stays so
    assert takes(world) >= reachable
    assert least <= len(world.machines) <= most
    assert world.ready() == len(world.machines)
