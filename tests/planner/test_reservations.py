"""What the user has reserved gets a pool of its own market, no larger than what is reserved, and is counted as used first."""

import pytest

from catalog.load import Catalog
from planner.constraints import Constraints
from planner.planner import plan
from planner.reserved import reservation_problems
from spec.lock import Lock, LockedPool
from spec.names import Market
from spec.stack import parse
from tests.planner.test_check import problems

SPOT = {"option": {"market": Market.SPOT}, "scaling": {"min_replicas": 3, "max_replicas": 4}}
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/h100"


@pytest.fixture
def places(offer):
    return Catalog((offer(zone="use1-az1", region="us-east-1"), offer(zone="use1-az2", region="us-east-1")))


def reserving(machines, place="aws/use1-az2", type_="g6.xlarge", **more):
    return {"reservations": {place: {type_: {"machines": machines, **more}}}}


def planned(service, places, *, lock=None, **settings):
    limits = Constraints.of(parse({"clouds": ["aws"], **settings}, file="f"))
    (found,) = plan([service], places, limits, env="e", lock=lock).services
    return found


def reserved(found):
    return [p for p in found.pools if p.market is Market.RESERVED]


def test_a_reservation_that_a_service_can_use_is_a_pool_beside_the_others(service, places):
    found = planned(service("L4:1", **SPOT), places, **reserving(2))
    assert [(p.id, p.max_size) for p in reserved(found)] == [("svc.aws.use1-az2.L4x1.reserved", 2)]
    assert {p.id for p in found.pools} - {"svc.aws.use1-az2.L4x1.reserved"} == {
        p.id for p in planned(service("L4:1", **SPOT), places).pools
    }
    assert any("at most 2 machines instead of 5, by tradewind:reservations" in note for note in found.notes)


def test_reserved_machines_are_used_first_and_cost_what_they_do_on_demand(service, places):
    found = planned(service("L4:1", **SPOT), places, **reserving(2))
    assert found.cost.expected_usd_hour == pytest.approx(2 * 1.0 + 1 * 0.3)
    enough = planned(service("L4:1", **SPOT), places, **reserving(9))
    assert enough.cost.expected_usd_hour == pytest.approx(3 * 1.0)
    assert reserved(enough)[0].max_size == 5, "all replicas and the surge, and no more"


def test_a_reservation_serves_where_the_market_that_the_file_asks_for_has_nothing(service, offer):
    unpriced = Catalog((offer(zone="use1-az2", region="us-east-1", spot=None),))
    found = planned(service("L4:1", **SPOT), unpriced, **reserving(2))
    assert [p.market for p in found.pools] == [Market.RESERVED]


@pytest.mark.parametrize("there", [{"type_": "g6.2xlarge"}, {"place": "aws/use1-az4"}])
def test_a_reservation_of_another_type_or_zone_is_no_pool(service, places, there):
    assert not reserved(planned(service("L4:1", **SPOT), places, **reserving(2, **there)))


def test_a_reservation_too_small_for_one_replica_of_several_machines_is_no_pool(service, places):
    two = service("L4:1", **SPOT, num_nodes=2)
    assert not reserved(planned(two, places, **reserving(1)))
    assert reserved(planned(two, places, **reserving(3)))[0].max_size == 2


def test_a_locked_pool_whose_reservation_is_gone_retires_with_the_reason(service, places):
    locked = {
        "svc.aws.use1-az2.L4x1.reserved": LockedPool(instance_types=("g6.xlarge",)),
        "svc.aws.use1-az1.L4x1.spot": LockedPool(instance_types=("g6.xlarge",)),
    }
    lock = Lock(schema=1, pools=locked)
    there = planned(service("L4:1", **SPOT), places, lock=lock, **reserving(2))
    assert [p.state.value for p in reserved(there)] == ["active"]
    gone = planned(service("L4:1", **SPOT), places, lock=lock)
    assert [p.state.value for p in reserved(gone)] == ["retiring"]
    assert any("tradewind:reservations has no machine there" in note for note in gone.notes)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (reserving(1, place="use1-az1"), "tradewind:reservations.use1-az1: is no `<cloud>/<zone>`."),
        (reserving(1, place="aws/us-east-1"), "aws sells no accelerator in `us-east-1`."),
        (reserving(1, type_="g6.xlarg"), "aws sells no such type in use1-az2. Did you mean `g6.xlarge`?"),
        (
            reserving(1, name="h100"),
            "tradewind:reservations.aws/use1-az2.g6.xlarge.name: `h100` is no name of a reservation of aws.",
        ),
        (
            reserving(1, "azure/eastus", "Standard_NC24ads_A100_v4"),
            "is missing: azure uses no reservation that a machine does not name.",
        ),
        (
            reserving(1, "azure/eastus", "Standard_NC24ads_A100_v4", name="h100"),
            "It is one like /subscriptions/.../providers/Microsoft.Compute/capacityReservationGroups/my-group",
        ),
    ],
)
def test_a_reservation_that_no_cloud_could_have_is_told_with_the_way_out(service, settings, told):
    assert told in "\n".join(problems(service, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        reserving(1),
        reserving(1, name="cr-0123456789abcdef0"),
        reserving(1, "azure/eastus", "Standard_NC24ads_A100_v4", name=GROUP),
        reserving(1, "gcp/us-central1-a", "g2-standard-4", name="l4"),
    ],
)
def test_reservations_that_fit_are_passed(settings):
    from catalog.load import load

    assert not list(reservation_problems(parse({"clouds": ["aws"], **settings}, file="f"), load()))
