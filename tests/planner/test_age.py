"""Old prices are said with their age, and refused above the age that the stack allows. The day is given."""

from datetime import date

import pytest

from catalog.age import days_old, oldest
from planner.age import age_notes
from spec.clouds import CatalogAge
from spec.desired import Pool, Prices
from spec.errors import SpecError
from spec.names import Market, PoolKind

TODAY = date(2026, 11, 28)


def pools(**as_of):
    return [
        Pool(
            id=f"chat.{cloud}.z.L4x1.spot",
            service="chat",
            kind=PoolKind.VM,
            cloud=cloud,
            region="r",
            market=Market.SPOT,
            accelerator="L4",
            accelerator_count=1,
            instance_types=("x",),
            max_size=3,
            prices=Prices(spot=1.0, as_of=text),
        )
        for cloud, text in as_of.items()
    ]


def test_fresh_prices_are_no_news():
    assert age_notes(pools(aws="2026-11-01"), CatalogAge(), TODAY, env="prod") == ()


def test_old_prices_are_said_by_cloud_with_their_age_and_the_way_out():
    notes = age_notes(
        pools(gcp="2026-11-01", aws="2026-09-28", azure="2024"), CatalogAge(), TODAY, env="prod"
    )
    assert notes == (
        "prices of aws are up to 61 days old (as of 2026-09-28): ./tw catalog refresh gets today's",
        "prices of azure are up to 1062 days old (as of 2024): ./tw catalog refresh gets today's",
    )


def test_prices_older_than_the_stack_allows_are_an_error():
    allowed = CatalogAge(fail_days=90)
    assert len(age_notes(pools(aws="2026-09-01"), allowed, TODAY, env="prod")) == 1
    with pytest.raises(SpecError) as e:
        age_notes(pools(aws="2026-08"), allowed, TODAY, env="prod")
    assert str(e.value) == (
        "Pulumi.prod.yaml: tradewind:catalog.failDays: prices of aws are up to 119 days old (as of 2026-08), and 90 days "
        "are allowed. ./tw catalog refresh gets today's."
    )


def test_a_price_without_a_date_may_be_of_any_age():
    assert "nobody knows how old" in age_notes(pools(aws="unknown"), CatalogAge(), TODAY, env="prod")[0]
    with pytest.raises(SpecError, match="nobody knows how old"):
        age_notes(pools(aws="unknown"), CatalogAge(fail_days=10_000), TODAY, env="prod")


def test_a_date_is_as_old_as_it_may_be():
    assert days_old("2026", TODAY) == 331
    assert oldest(["2026-05", "2026", "2026-01-02"]) == "2026"
    assert oldest(["2024", "unknown"]) == "unknown"
