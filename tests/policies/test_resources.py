import pytest

from policies.resources import SERVICE, read
from tests.policies.stack import SCALING, UNKNOWN, pool, resource, service


def unpriced(*resources):
    stack = read(resources)
    return [(u.resource, u.reason) for u in stack.unpriced]


def test_services_get_their_pools_with_prices_in_their_own_market():
    stack = read(
        [pool(price=2.4), pool("local-west-a", price=0.7, market="on_demand"), service(max_replicas=4.0)]
    )
    assert stack.unpriced == ()
    [chat] = stack.services
    assert chat.scaling.max_replicas == 4
    assert [(p.zone, p.price_usd_hour, p.max_size) for p in chat.pools] == [
        ("local-east-a", 2.4, 3),
        ("local-west-a", 0.7, 3),
    ]


def test_what_retires_is_expected_to_cost_nothing_but_may_at_worst():
    leaving = pool("local-west-a", price=0.7)
    props = {**service().props, "retiring": ["chat.local.local-west-a.L4x1.spot"]}
    [chat] = read([pool(price=2.4), leaving, resource(SERVICE, "chat", props)]).services
    assert chat.cost.expected_usd_hour == 2 * 2.4
    assert chat.cost.runaway_usd_hour == 3 * 2.4 + 3 * 0.7
    [(_, reason)] = unpriced(resource(SERVICE, "chat", {**props, "retiring": 3}))
    assert reason == "its retiring is not a list."


def test_the_order_in_which_pulumi_lists_resources_changes_nothing():
    resources = [pool(z, price=1) for z in ("local-east-b", "local-east-a")] + [
        service(),
        service("b"),
        service("a"),
    ]
    assert read(resources) == read(reversed(resources))


def test_a_pool_without_a_price_is_unpriced_not_free():
    [(name, reason)] = unpriced(service(), pool(price=None))
    assert name == "chat.local.local-east-a.L4x1.spot"
    assert reason.startswith("no price is known for it.")


@pytest.mark.parametrize("prop", ["priceUsdHour", "maxSize", "market", "service", "poolId", "instanceTypes"])
def test_what_a_preview_does_not_know_is_unpriced_and_says_which_property(prop):
    [(_, reason)] = unpriced(service(), pool(**{prop: UNKNOWN}))
    assert reason == f"price unknown at preview: its {prop} is known only after the update."


def test_an_unknown_inside_of_scaling_is_found():
    [(name, reason), (_, of_pool)] = unpriced(service(max_replicas=UNKNOWN), pool())
    assert name == "chat"
    assert "its scaling is known only after the update" in reason
    assert "its service chat" in of_pool


def test_an_unknown_that_no_price_depends_on_is_no_problem():
    assert unpriced(service(), pool(bucket=UNKNOWN)) == []


def test_one_unknown_hides_no_other_resource():
    names = [
        name for name, _ in unpriced(service(), pool(price=UNKNOWN), pool("local-west-a", maxSize=UNKNOWN))
    ]
    assert names == ["chat.local.local-east-a.L4x1.spot", "chat.local.local-west-a.L4x1.spot"]


@pytest.mark.parametrize(
    ("props", "said"),
    [
        ({"priceUsdHour": -1}, "spot is unusable"),
        ({"priceUsdHour": "cheap"}, "spot is unusable"),
        ({"priceUsdHour": float("nan")}, "spot is unusable"),
        ({"maxSize": 2.5}, "max_size is unusable"),
        ({"maxSize": -1}, "max_size is unusable"),
        ({"maxSize": None}, "it has no maxSize"),
        ({"capacityUnits": None}, "it has no capacityUnits"),
        ({"capacityUnits": 0}, "capacity_units is unusable"),
        ({"market": "spott"}, "market is unusable"),
        ({"service": None}, "it has no service"),
        ({"poolId": None}, "it has no poolId"),
    ],
)
def test_a_pool_that_makes_no_sense_is_unpriced_and_its_values_stay_private(props, said):
    [(_, reason)] = unpriced(service(), pool(**props))
    assert said in reason
    assert "cheap" not in reason
    assert "spott" not in reason
    assert "\n" not in reason


@pytest.mark.parametrize("missing", ["min_replicas", "max_replicas", "surge", "num_overprovision"])
def test_scaling_that_lacks_a_limit_is_never_filled_up(missing):
    scaling = {key: value for key, value in SCALING.items() if key != missing}
    [(_, reason)] = unpriced(
        resource("tradewind:service:Service", "chat", {"service": "chat", "scaling": scaling})
    )
    assert reason == f"its scaling lacks {missing}."


@pytest.mark.parametrize("props", [{}, {"service": "chat"}, {"service": "chat", "scaling": 3}])
def test_a_service_without_readable_scaling_is_unpriced(props):
    [(name, _)] = unpriced(resource("tradewind:service:Service", "chat", props))
    assert name == "chat"


def test_a_pool_whose_service_is_not_in_the_stack_is_unpriced():
    [(_, reason)] = unpriced(service("other"), pool())
    assert reason == "no usable tradewind:service:Service says how many replicas its service chat may have."


def test_two_resources_for_one_pool_or_one_service_are_unpriced():
    twin = resource(
        "tradewind:service:Service", "twin", {"service": "chat", "scaling": SCALING, "numNodes": 1}
    )
    other = pool("local-west-a", poolId="chat.local.local-east-a.L4x1.spot")
    reasons = [reason for _, reason in unpriced(service(), twin, pool(), other)]
    assert reasons == [
        "another resource declares the pool chat.local.local-east-a.L4x1.spot too.",
        "another resource declares the service chat too.",
    ]


@pytest.mark.parametrize(
    ("type_", "provider"),
    [
        ("tradewind:local:NewPool", True),
        ("tradewind:pools:Grouping", False),
        ("aws:ec2/natGateway:NatGateway", True),
        ("pulumi-python:dynamic:Resource", True),
    ],
)
def test_a_type_that_nobody_priced_is_unpriced(type_, provider):
    [(name, reason)] = unpriced(resource(type_, "x", {"secret": "hush"}, provider=provider))
    assert name == "x"
    assert type_ in reason
    assert "hush" not in reason


@pytest.mark.parametrize(
    ("type_", "provider"),
    [
        ("pulumi:pulumi:Stack", False),
        ("pulumi:providers:tradewind", False),
        ("tradewind:local:Process", True),
        ("tradewind:local:File", True),
        ("tradewind:state:State", False),
        ("somebody:else:Grouping", False),
    ],
)
def test_groupings_the_engine_and_local_processes_are_free(type_, provider):
    assert unpriced(resource(type_, "x", {"pid": UNKNOWN}, provider=provider)) == []


def environment(**props):
    given = {"hosts": True, "providers": [], "external": [], **props}
    return resource("tradewind:environment:Environment", "env", given)


def test_what_the_environment_rents_and_may_pay_to_hosted_providers_is_read():
    providers = [{"name": "a", "maxUsdHour": 20.0}, {"name": "b", "maxUsdMonth": 730.0}]
    stack = read([environment(providers=providers, external=[{"name": "e", "usdHour": 2.5}])])
    assert (stack.fixed_usd_hour, stack.hosted_usd_hour, stack.unpriced) == (2.5, 21.0, ())
    assert read([environment(providers=[{"name": "c"}])]).hosted_usd_hour == float("inf")


@pytest.mark.parametrize(
    "props",
    [
        {"providers": [{"name": "a", "maxUsdHour": "20"}]},
        {"external": [{"name": "e", "usdHour": -5.0}]},
        {"external": [{"name": "e"}]},
        {"external": UNKNOWN},
        {"providers": [{"name": "a", "maxUsdHour": UNKNOWN}]},
    ],
)
def test_an_environment_whose_spending_cannot_be_read_has_no_price(props):
    assert [u.resource for u in read([environment(**props)]).unpriced] == ["env"]
