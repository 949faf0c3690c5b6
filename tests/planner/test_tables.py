import pytest

from planner.constraints import Constraints
from planner.planner import plan
from planner.tables import left_out_lines, optimizer_tables, pool_table
from spec.names import Market


@pytest.fixture
def planned(mixtral, catalog):
    return plan([mixtral], catalog, Constraints(), env="e").services[0]


def test_the_table_has_the_columns_that_users_know_and_a_row_per_instance_type(planned):
    on_demand, spot = optimizer_tables(planned, everything=False)
    assert on_demand.title == "mixtral: on demand, USD per hour"
    assert spot.title == "mixtral: spot, USD per hour"
    assert on_demand.columns == (
        "CLOUD",
        "INSTANCE",
        "vCPUs",
        "Mem(GB)",
        "ACCELERATORS",
        "REGION/ZONE",
        "COST ($)",
        "CHOSEN",
    )
    assert (
        "azure",
        "Standard_NC48ads_A100_v4",
        "48",
        "440",
        "A100-80GB:2",
        "eastus",
        "7.35",
        "✔ in 3 places",
    ) in on_demand.rows
    assert ("gcp", "g2-standard-96", "96", "384", "L4:8", "us-east4-a", "7.98", "") in on_demand.rows
    assert len(on_demand.rows) == len({row[:2] for row in on_demand.rows}) == 16


def test_places_that_are_not_shown_are_counted(planned):
    short, full = (optimizer_tables(planned, everything=e)[0] for e in (False, True))
    assert short.footer == "139 more places (--all)"
    assert (len(full.rows), full.footer) == (155, "")


def test_places_without_a_driver_are_shown_with_their_price_and_not_chosen(planned):
    first = optimizer_tables(planned, everything=False)[0].rows[0]
    assert (first[0], first[-2], first[-1]) == ("runpod", "2.78", "not yet")


def test_chosen_pools_are_listed_with_their_limits(planned):
    table = pool_table(planned)
    assert table.title == "mixtral: 3 chosen pools"
    assert table.rows[0] == (
        "mixtral.azure.eastus.A100-80GBx2.on_demand",
        "Standard_NC48ads_A100_v4",
        "7.35",
        "3",
        "414 s",
        "8.41",
    )


def test_reasons_are_counted_and_the_rare_ones_summed_up(service, catalog):
    limits = Constraints(clouds=("gcp", "aws"), market=Market.SPOT, max_price_usd_hour=0.3)
    left_out = plan([service("L4:1", "H100:1")], catalog, limits, env="e").services[0].left_out
    lines = left_out_lines(left_out, at_most=2)
    assert len(lines) == 3
    assert lines[-1].endswith("other reasons (--all)")
    counts = [int(line.split(" x ")[0]) for line in lines]
    assert sum(counts) == len(left_out)
    assert len(left_out_lines(left_out)) > 3
