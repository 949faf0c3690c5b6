import pytest

from policies.cost import FIGURES, Service, Stack, Unpriced, broken_limits, usd
from spec.desired import Pool, PoolState, Prices, Scaling
from spec.scaling import Schedule

EXPECTED, WORST, RUNAWAY = FIGURES


def pool(zone, spot, **fields):
    return Pool(
        id=f"chat.local.{zone}.L4x1.spot",
        service="chat",
        kind="process",
        cloud="local",
        region="local-east",
        zone=zone,
        market="spot",
        accelerator="L4",
        accelerator_count=1,
        instance_types=("local-l4",),
        max_size=3,
        prices=Prices(spot=spot),
        **fields,
    )


def stack(*services, unpriced=(), fixed=0.0, hosted=0.0):
    return Stack(services, tuple(unpriced), fixed, hosted)


CHAT = Service(
    "chat",
    Scaling(min_replicas=2, max_replicas=2, surge=1),
    (pool("local-east-b", 1.4), pool("local-east-a", 2.4)),
)
IDLE = Service("idle", Scaling(), ())


def test_the_worst_case_names_figure_limit_service_pool_and_way_out_in_one_line():
    [message] = broken_limits(WORST, stack(IDLE, CHAT), {"usdHour": 5})
    assert message == (
        "worst case is 7.20 USD/hour, limit 5.00 (tradewind:limits.worstUsdHour): service chat, 3 replicas "
        "(max_replicas 2 + surge 1) x 2.40 in pool chat.local.local-east-a.L4x1.spot. "
        "Lower max_replicas or raise the limit."
    )


def test_the_expected_cost_names_the_cheapest_pool():
    [message] = broken_limits(EXPECTED, stack(CHAT), {"usdHour": 2})
    assert message.startswith(
        "expected cost is 2.80 USD/hour, limit 2.00 (tradewind:limits.expectedUsdHour): "
    )
    assert "service chat takes 2.80 of the hour with min_replicas 2, cheapest in pool" in message
    assert "chat.local.local-east-b.L4x1.spot. Lower min_replicas or raise the limit." in message


def test_the_expected_cost_names_no_pool_that_retires_and_counts_schedules():
    leaving = CHAT.pools[0].model_copy(update={"state": PoolState.RETIRING})
    working_hours = Schedule(cron="0 8 * * 1-5", duration_s=36_000, min_replicas=4)
    scaling = Scaling(min_replicas=1, max_replicas=4, surge=0, schedules=(working_hours,))
    [message] = broken_limits(
        EXPECTED, stack(Service("chat", scaling, (leaving, CHAT.pools[1]))), {"usdHour": 2}
    )
    usd_hour = 2.4 * (1 + 3 * 50 / 168)
    assert message.startswith(f"expected cost is {usd(usd_hour)} USD/hour")
    assert (
        "with min_replicas 1 and what its schedules ask for, cheapest in pool chat.local.local-east-a.L4x1.spot"
        in message
    )


def test_the_runaway_cost_names_the_pool_that_could_spend_most():
    [message] = broken_limits(RUNAWAY, stack(CHAT), {"usdHour": 10})
    assert message.startswith(
        "runaway cost is 11.40 USD/hour, limit 10.00 (tradewind:limits.runawayUsdHour): "
    )
    assert "pool chat.local.local-east-a.L4x1.spot takes 7.20 of the hour with 3 machines" in message


def test_a_month_has_730_hours_and_both_limits_are_judged():
    hour, month = broken_limits(WORST, stack(CHAT), {"usdMonth": 3000, "usdHour": 7})
    assert "7.20 USD/hour, limit 7.00" in hour
    assert "5256.00 USD/month (7.20 USD/hour x 730), limit 3000.00 (tradewind:limits.worstUsdMonth)" in month


def test_services_add_up_and_the_dearest_one_is_named():
    small = Service("small", Scaling(max_replicas=1, surge=0), (pool("local-west-a", 1),))
    [message] = broken_limits(WORST, stack(small, CHAT), {"usdHour": 8})
    assert "8.20 USD/hour" in message
    assert "service chat" in message
    assert broken_limits(WORST, stack(small, CHAT), {"usdHour": 8.3}) == []


def test_a_figure_equal_to_its_limit_is_within_it_whatever_floats_do():
    assert 3 * 2.4 != 7.2
    assert broken_limits(WORST, stack(CHAT), {"usdHour": 7.2}) == []
    assert broken_limits(WORST, stack(CHAT), {"usdHour": 7.19}) != []


def test_hosted_providers_at_their_limits_are_in_the_worst_case_and_expected_of_nobody():
    beside = stack(CHAT, fixed=0.5, hosted=20.0)
    [message] = broken_limits(WORST, beside, {"usdHour": 27})
    assert message.startswith("worst case is 27.70 USD/hour, limit 27.00 (tradewind:limits.worstUsdHour): ")
    assert (
        "20.50 of the hour are hosts, addresses and the like and hosted providers at their limits; "
        in message
    )
    assert broken_limits(RUNAWAY, beside, {"usdHour": 31}) != []
    assert broken_limits(EXPECTED, beside, {"usdHour": 3.3}) == []


def test_a_hosted_provider_without_a_limit_breaks_every_limit_of_what_could_be_spent():
    boundless = stack(CHAT, hosted=float("inf"))
    [message] = broken_limits(WORST, boundless, {"usdMonth": 1e9})
    assert message == (
        "worst case has no bound, and tradewind:limits.worstUsdMonth limits it: a hosted provider has neither "
        "maxUsdHour nor maxUsdMonth. Set one in tradewind:providers."
    )
    assert broken_limits(EXPECTED, boundless, {"usdHour": 2.8}) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_without_a_limit_nothing_is_too_dear(figure):
    assert broken_limits(figure, stack(CHAT), {}) == []
    assert broken_limits(figure, stack(CHAT), {"usdHour": None}) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_a_limit_of_zero_is_a_limit(figure):
    assert len(broken_limits(figure, stack(CHAT), {"usdHour": 0, "usdMonth": 0.0})) == 2
    assert broken_limits(figure, stack(IDLE), {"usdHour": 0}) == []


@pytest.mark.parametrize("value", ["5", True, -1, float("nan"), float("inf"), [5], {"usd": 5}])
def test_a_limit_that_cannot_be_read_is_broken(value):
    [message] = broken_limits(WORST, stack(IDLE), {"usdHour": value})
    assert message == "tradewind:limits.worstUsdHour can't be read: it must be a number of USD, 0 or more."


def test_a_setting_nobody_knows_is_a_limit_that_cannot_be_read():
    [message] = broken_limits(WORST, stack(IDLE), {"usdhour": 5})
    assert "cost-worst has no setting `usdhour`" in message


def test_while_something_has_no_price_a_limited_figure_is_broken_and_an_unlimited_one_is_not():
    dark = stack(CHAT, unpriced=[Unpriced("x", "why", "urn:x"), Unpriced("y", "why", "urn:y")])
    [message] = broken_limits(WORST, dark, {"usdHour": 1000})
    assert message == (
        "worst case is unknown, and tradewind:limits.worstUsdHour limits it: "
        "the cost of x and 1 more can't be told (see prices-known)."
    )
    assert broken_limits(WORST, dark, {}) == []


@pytest.mark.parametrize(
    ("amount", "text"),
    [(5, "5.00"), (0.2132, "0.2132"), (0.213, "0.213"), (7.199999999, "7.20"), (1e4, "10000.00")],
)
def test_an_amount_hides_no_cents(amount, text):
    assert usd(amount) == text
