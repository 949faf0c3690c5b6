import random
from dataclasses import replace

import pytest

from catalog.accelerators import kind_of
from catalog.load import Offer, load
from catalog.quotes import Quote
from catalog.refresh import refresh, write
from spec.errors import OutsideError
from spec.names import Market

TODAY = {"as_of": "2026-05-06", "source": "test"}


def offer(**changes):
    base = Offer(
        cloud="gcp",
        region="us-east4",
        zone="us-east4-a",
        instance_type="g2-standard-4",
        vcpus=4,
        memory_gib=16,
        accelerator="L4",
        accelerator_count=1,
        accelerator_memory_gib=24,
        on_demand_usd_hour=0.7,
        spot_usd_hour=0.28,
        source="old",
        as_of="2024",
    )
    return replace(base, **changes)


def quotes_of(o, *, location=None, on_demand=None, spot=None):
    common = {
        "cloud": o.cloud,
        "location": location or o.zone or o.region,
        "instance_type": o.instance_type,
        "vcpus": o.vcpus,
        "memory_gib": o.memory_gib,
        "accelerator": o.accelerator,
        "accelerator_count": o.accelerator_count,
    }
    return [
        Quote(**common, spot=market is Market.SPOT, price=price)
        for market, price in ((Market.ON_DEMAND, on_demand), (Market.SPOT, spot))
        if price is not None
    ]


def test_a_price_that_moved_is_written_with_its_date_and_percent():
    new = refresh([offer()], quotes_of(offer(), on_demand=0.77, spot=0.14), **TODAY)
    (change,) = new.changed
    assert new.offers == (
        offer(on_demand_usd_hour=0.77, spot_usd_hour=0.14, source="test", as_of="2026-05-06"),
    )
    assert change.percent(Market.ON_DEMAND) == pytest.approx(10)
    assert change.percent(Market.SPOT) == pytest.approx(-50)


def test_a_price_that_stood_is_dated_today_and_no_change():
    new = refresh([offer()], quotes_of(offer(), on_demand=0.7, spot=0.28), **TODAY)
    assert (new.changed, new.confirmed, new.offers[0].as_of) == ((), 1, "2026-05-06")


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        ({"on_demand": 0.7, "spot": 0.75}, "spot 0.75 is dearer than on demand 0.7"),
        ({"on_demand": 0.7, "spot": 0.0}, "spot 0 USD/hour is no price"),
        ({"on_demand": -1.0, "spot": 0.28}, "on demand -1 USD/hour is no price"),
        ({"on_demand": float("nan"), "spot": 0.28}, "on demand nan USD/hour is no price"),
        ({"on_demand": 7.0, "spot": 0.28}, "outside 0.2333 to 2.1"),
        ({"on_demand": 0.7, "spot": 0.01}, "outside 0.09333 to 0.84"),
    ],
)
def test_an_implausible_row_is_refused_and_keeps_its_old_price(prices, reason):
    new = refresh([offer()], quotes_of(offer(), **prices), **TODAY)
    assert new.offers == (offer(),)
    assert new.changed == ()
    assert "gcp us-east4-a g2-standard-4" in new.refused[0].key
    assert reason in new.refused[0].reason


def test_a_jump_by_more_than_five_times_is_refused_even_inside_the_band():
    cheap, dear = offer(spot_usd_hour=0.05), offer(zone="us-east4-b", spot_usd_hour=0.6)
    fetched = quotes_of(cheap, on_demand=0.7, spot=0.3) + quotes_of(dear, on_demand=0.7, spot=0.6)
    new = refresh([cheap, dear], fetched, **TODAY)
    assert "0.05 -> 0.3 USD/hour is more than a factor of 5" in new.refused[0].reason
    assert new.offers[0] == cheap


def test_a_place_that_is_no_longer_sold_is_removed():
    zones = [offer(zone=f"us-east4-{z}") for z in "abc"]
    fetched = [q for o in zones[:2] for q in quotes_of(o, on_demand=0.7, spot=0.28)]
    new = refresh(zones, fetched, **TODAY)
    assert [o.zone for o in new.removed] == ["us-east4-c"]
    assert [o.zone for o in new.offers] == ["us-east4-a", "us-east4-b"]


def test_a_source_that_lost_most_of_a_cloud_removes_nothing():
    zones = [offer(zone=f"us-east4-{z}") for z in "abc"]
    new = refresh(zones, quotes_of(zones[0], on_demand=0.7, spot=0.28), **TODAY)
    assert new.removed == ()
    assert len(new.offers) == 3
    assert "2 of 3 rows would vanish" in new.refused[0].reason


def test_a_new_zone_is_added():
    fresh = offer(zone="us-east4-c")
    fetched = quotes_of(offer(), on_demand=0.7, spot=0.28) + quotes_of(fresh, on_demand=0.71, spot=0.3)
    (added,) = refresh([offer()], fetched, **TODAY).added
    assert (added.region, added.zone, added.spot_usd_hour) == ("us-east4", "us-east4-c", 0.3)


def test_regional_clouds_are_added_by_region():
    azure = offer(cloud="azure", region="eastus", zone=None, instance_type="NV4")
    fetched = quotes_of(replace(azure, region="westeurope"), on_demand=0.8)
    fetched += quotes_of(azure, on_demand=0.7, spot=0.28)
    (added,) = refresh([azure], fetched, **TODAY).added
    assert (added.region, added.zone) == ("westeurope", None)


def test_a_new_aws_type_is_listed_because_its_zones_are_unknown():
    aws = offer(cloud="aws", region="us-east-1", zone="use1-az1", instance_type="g6.xlarge")
    fetched = quotes_of(aws, location="us-east-1", on_demand=0.7, spot=0.28)
    fetched += quotes_of(replace(aws, instance_type="g7.xlarge"), location="us-east-1", on_demand=0.9)
    new = refresh([aws], fetched, **TODAY)
    assert new.added == ()
    assert "its zones are not in the source" in new.refused[0].reason


def test_a_regions_spot_price_moves_all_its_zones_in_proportion():
    zones = [
        offer(cloud="aws", region="us-east-1", zone=f"use1-az{n}", spot_usd_hour=spot)
        for n, spot in ((1, 0.2), (2, 0.3))
    ]
    new = refresh(zones, quotes_of(zones[0], location="us-east-1", on_demand=0.7, spot=0.24), **TODAY)
    assert [o.spot_usd_hour for o in new.offers] == pytest.approx([0.24, 0.36])


def test_what_the_source_does_not_cover_stays():
    tpu = offer(accelerator="TPU-v5e", instance_type="tpu-v5litepod-1", accelerator_memory_gib=16)
    other = offer(cloud="runpod")
    new = refresh([offer(), tpu, other], quotes_of(offer(), on_demand=0.7, spot=0.28), **TODAY)
    assert {tpu, other} <= set(new.offers)


def test_n1_hosts_are_not_multiplied_by_every_accelerator_that_fits():
    t4 = offer(instance_type="n1-standard-4", accelerator="T4", accelerator_memory_gib=16)
    fetched = quotes_of(t4, on_demand=0.7, spot=0.28)
    fetched += quotes_of(replace(t4, instance_type="n1-standard-8"), on_demand=0.8)
    assert refresh([t4], fetched, **TODAY).added == ()


def test_the_whole_table_confirmed_is_the_same_table_in_the_same_order():
    old = load().offers
    fetched = [
        q
        for o in old
        if o.cloud in {"gcp", "azure"} and kind_of(o.accelerator).vendor == "nvidia"
        for q in quotes_of(o, on_demand=o.on_demand_usd_hour, spot=o.spot_usd_hour)
    ]
    random.Random(1).shuffle(fetched)
    new = refresh(old, fetched, **TODAY)
    assert (new.added, new.removed, new.changed, new.refused) == ((), (), (), ())
    assert [o.key for o in new.offers] == [o.key for o in old]


def test_the_table_is_replaced_whole(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("old")
    write(path, [offer()])
    assert load(path).offers == (offer(),)
    assert [p.name for p in tmp_path.iterdir()] == ["prices.csv"]


def test_a_table_that_can_not_be_written_is_said(tmp_path):
    with pytest.raises(OutsideError, match=r"can't be written"):
        write(tmp_path / "none" / "prices.csv", [offer()])


def test_a_source_without_spot_prices_of_a_cloud_leaves_them_and_their_date():
    (kept,) = refresh([offer()], quotes_of(offer(), on_demand=0.77), **TODAY).offers
    assert (kept.on_demand_usd_hour, kept.spot_usd_hour, kept.as_of) == (0.77, 0.28, "2024")
