"""What an account may not have is left out with the reason, and no pool may hold more than the account may."""

import pytest

from catalog.load import Catalog
from planner.constraints import Constraints
from planner.planner import plan
from planner.rank import NoPlace
from spec.errors import InputError
from spec.names import Market
from spec.stack import parse

SPOT = {"option": {"market": Market.SPOT}, "scaling": {"min_replicas": 1, "max_replicas": 4}}


@pytest.fixture
def places(offer):
    """L4 x 1 in two zones of us-east-1 and one of us-west-2."""
    return Catalog(
        (
            offer(zone="use1-az1", region="us-east-1"),
            offer(zone="use1-az2", region="us-east-1"),
            offer(zone="usw2-az1", region="us-west-2", spot=0.5),
        )
    )


def limits(**settings):
    return Constraints.of(parse({"clouds": ["aws"], **settings}, file="f"))


def planned(service, places, **settings):
    (found,) = plan([service], places, limits(**settings), env="e").services
    return found


def test_a_place_where_the_account_may_have_none_is_left_out_with_the_reason(service, places):
    found = planned(service("L4:1", **SPOT), places, quotas={"aws/us-east-1": {"l4": {"spot": 0}}})
    assert {p.region for p in found.pools} == {"us-west-2"}
    reasons = {x.reason for x in found.left_out if x.region == "us-east-1" and x.market is Market.SPOT}
    assert reasons == {"the spot quota of L4 in aws/us-east-1 is 0"}


def test_a_quota_of_one_market_leaves_the_other_alone(service, places):
    found = planned(service("L4:1", **SPOT), places, quotas={"aws/us-east-1": {"L4": {"onDemand": 0}}})
    assert {p.region for p in found.pools} == {"us-east-1", "us-west-2"}


def test_a_quota_too_small_for_one_replica_says_what_a_replica_takes(service, offer):
    four = Catalog((offer(accelerator_count=4),))
    quotas = {"aws/use1": {"L4": {"spot": 7}}}
    with pytest.raises(NoPlace, match="the spot quota of L4 in aws/use1 is 7, and a replica takes 8"):
        planned(service("L4:4", num_nodes=2, **SPOT), four, quotas=quotas)


def test_a_pool_holds_no_more_machines_than_the_account_may_have_and_the_plan_says_so(service, places):
    found = planned(service("L4:1", **SPOT), places, quotas={"aws/us-east-1": {"L4": {"spot": 2}}})
    assert {p.zone: p.max_size for p in found.pools} == {"use1-az1": 2, "use1-az2": 2, "usw2-az1": 5}
    said = "svc.aws.use1-az1.L4x1.spot: at most 2 machines instead of 5, by tradewind:quotas"
    assert said in found.notes


def test_a_pool_of_gangs_holds_whole_gangs(service, offer):
    one = Catalog((offer(zone="use1-az1", region="us-east-1"),))
    quotas = {"aws/us-east-1": {"L4": {"spot": 7}}}
    (pool,) = planned(service("L4:1", num_nodes=3, **SPOT), one, quotas=quotas).pools
    assert pool.max_size == 6


def test_a_quota_of_what_nobody_sells_is_told_with_the_nearest():
    with pytest.raises(
        InputError, match=r"tradewind:quotas\.aws/us-east-1\.L5: nobody has an accelerator `L5`"
    ):
        limits(quotas={"aws/us-east-1": {"L5": {"spot": 0}}})


def test_a_zone_without_a_subnet_of_the_user_s_network_is_left_out_with_the_reason(service, places):
    there = {"aws/us-east-1": {"id": "vpc-1", "subnets": {"use1-az2": "subnet-2"}}}
    found = planned(service("L4:1", **SPOT), places, network=there)
    assert {p.zone for p in found.pools} == {"use1-az2", "usw2-az1"}
    reasons = {x.reason for x in found.left_out if x.zone == "use1-az1"}
    assert reasons == {"the network of tradewind:network.aws/us-east-1 has no subnet in use1-az1"}


def test_when_no_zone_has_a_subnet_the_plan_says_what_would_be_without_it(service, offer):
    one = Catalog((offer(zone="use1-az1", region="us-east-1"),))
    there = {"aws/us-east-1": {"id": "vpc-1", "subnets": {"use1-az9": "subnet-9"}}}
    with pytest.raises(NoPlace, match="none of those are in a zone with a subnet") as e:
        planned(service("L4:1", **SPOT), one, network=there)
    assert "Without the networks that are there: 1 place, from 0.3 USD/hour." in str(e.value)
