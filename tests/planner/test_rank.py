import pytest

from catalog.load import Catalog
from planner.constraints import Constraints
from planner.rank import NoPlace, rank
from spec.errors import InputError
from spec.names import Market
from spec.service import Amount, ModelSize

BLOG_IN_ORDER_OF_OUR_PRICES = [
    "Standard_NC48ads_A100_v4",
    "g2-standard-96",
    "a2-ultragpu-2g",
    "Standard_NC96ads_A100_v4",
    "a2-highgpu-4g",
    "g5.48xlarge",
    "a2-ultragpu-4g",
    "p4d.24xlarge",
    "Standard_ND96asr_v4",
    "p4de.24xlarge",
    "a2-highgpu-8g",
    "Standard_ND96amsr_A100_v4",
    "a2-ultragpu-8g",
]
"""The blog's table, but that AWS cut the prices of p4d and p4de in 2025; g6.48xlarge is newer than the blog."""


def best_rows(places):
    best = {}
    for p in places:
        best.setdefault(p.offer.instance_type, p)
    return best


def test_the_blogs_thirteen_instance_types_come_out_in_price_order(mixtral, catalog):
    best = best_rows(rank(mixtral, catalog, Constraints(market=Market.ON_DEMAND)).places)
    assert [name for name in best if name != "g6.48xlarge"] == BLOG_IN_ORDER_OF_OUR_PRICES
    assert [p.price for p in best.values()] == sorted(p.price for p in best.values())


@pytest.mark.parametrize(
    ("instance_type", "price", "place"),
    [
        ("Standard_NC48ads_A100_v4", 7.35, "eastus"),
        ("g2-standard-96", 7.98, "us-east4-a"),
        ("a2-ultragpu-2g", 10.06, "us-central1-a"),
        ("a2-highgpu-4g", 14.69, "us-central1-a"),
        ("g5.48xlarge", 16.29, "use1-az1"),
        ("Standard_ND96asr_v4", 27.20, "eastus"),
        ("a2-ultragpu-8g", 40.22, "us-central1-a"),
    ],
)
def test_prices_and_places_are_those_of_the_blog(mixtral, catalog, instance_type, price, place):
    best = best_rows(rank(mixtral, catalog, Constraints(market=Market.ON_DEMAND)).places)[instance_type]
    assert round(best.price, 2) == price
    assert (best.offer.zone or best.offer.region) == place


def test_the_blogs_spelling_a10g_is_understood(service, catalog):
    places = rank(service("A10g:8"), catalog, Constraints()).places
    assert {p.offer.accelerator for p in places} == {"A10G"}


def test_places_where_nothing_can_be_deployed_are_left_out_with_their_price(mixtral, catalog):
    left_out = rank(mixtral, catalog, Constraints()).left_out
    assert {(x.cloud, x.reason) for x in left_out} == {
        ("lambda", "nothing deploys to lambda yet"),
        ("runpod", "nothing deploys to runpod yet"),
    }
    assert all(x.price_usd_hour for x in left_out)


def test_a_place_whose_accelerator_no_image_drives_is_left_out(service, catalog):
    ranked = rank(service("V100:1"), catalog, Constraints())
    assert "aws" not in {p.offer.cloud for p in ranked.places}
    assert "no current image of aws has a driver for V100" in {x.reason for x in ranked.left_out}


def test_a_place_without_a_price_in_the_market_is_left_out(service, catalog):
    left_out = rank(service("H100:1"), catalog, Constraints(market=Market.SPOT)).left_out
    assert {x.reason for x in left_out if x.cloud == "azure"} == {"its spot price is not known"}


def test_the_local_cloud_is_used_only_when_it_is_named(service, catalog):
    llama = service("L4:1")
    assert "local" not in {p.offer.cloud for p in rank(llama, catalog, Constraints()).places}
    assert {p.offer.cloud for p in rank(llama, catalog, Constraints(clouds=("local",))).places} == {"local"}
    named = service("L4:1", option={"cloud": "local"})
    assert {p.offer.cloud for p in rank(named, catalog, Constraints()).places} == {"local"}


def test_the_machine_must_have_the_cpus_and_memory_that_the_file_asks_for(service, catalog):
    asked = {"cpus": Amount(value=48), "memory_gib": Amount(value=100, at_least=True)}
    ranking = rank(service("L4:4", option=asked), catalog, Constraints())
    assert {p.offer.vcpus for p in ranking.places} == {48}
    assert all(p.offer.memory_gib >= 100 for p in ranking.places)


def test_an_instance_type_alone_is_enough(service, catalog):
    places = rank(service(option={"instance_type": "p4d.24xlarge"}), catalog, Constraints()).places
    assert {p.offer.instance_type for p in places} == {"p4d.24xlarge"}


def test_ordered_choices_are_ranked_before_price(service, catalog):
    places = rank(service("H100:8", "L4:1", ordered=True), catalog, Constraints()).places
    names = [p.offer.accelerator for p in places]
    assert names == sorted(names)  # H100 before L4, though dearer


def test_the_same_price_is_ranked_by_name(service, offer):
    rows = [offer(zone) for zone in ("r2-b", "r1-b", "r1-a")]
    places = rank(service("L4:1"), Catalog(tuple(rows)), Constraints()).places
    assert [p.offer.zone for p in places] == ["r1-a", "r1-b", "r2-b"]


def test_a_shape_of_a_set_that_nobody_has_is_a_note(service, catalog):
    ranking = rank(service("A10:8", "L4:8"), catalog, Constraints())
    assert ranking.notes == ("nobody has A10:8; A10 comes as 1, 2",)


def test_a_model_by_size_leaves_out_what_can_not_hold_it_and_shows_the_arithmetic(service, catalog):
    big = service(option={}, model_size=ModelSize(parameters_b=70))
    ranking = rank(big, catalog, Constraints())
    assert ("L4", 8) not in {(p.offer.accelerator, p.offer.accelerator_count) for p in ranking.places}
    reasons = {(x.accelerator, x.accelerator_count): x.reason for x in ranking.left_out}
    assert "22.8 GiB each, of 22.5 x 90% = 20.2 GiB: can't hold it" in reasons["L4", 8]
    assert any(line.startswith("A100-80GB x 4: ") for line in ranking.arithmetic)


def test_a_named_accelerator_of_another_vendor_is_the_users_own_judgement(service, catalog):
    trainium = service("Trainium:16", model_size=ModelSize(parameters_b=8))
    assert {p.offer.accelerator_count for p in rank(trainium, catalog, Constraints()).places} == {16}


# ---------------------------------------------------------------- nothing is left


def test_slices_that_are_no_machines_are_told_apart(service, catalog):
    told = why(service("tpu-v5e-8:1", model_size=ModelSize(parameters_b=8)), catalog)
    assert "13 places have TPU-v5e:8; none of those are machines of a group" in told


def why(service, catalog, **limits):
    with pytest.raises(NoPlace) as e:
        rank(service, catalog, Constraints(**limits))
    return str(e.value)


def test_the_condition_that_empties_the_set_is_named_with_the_way_out(service, catalog):
    said = why(service("L4:8"), catalog, clouds=("aws",), max_price_usd_hour=5, market=Market.ON_DEMAND)
    first, funnel, without, other = said.splitlines()
    assert first == "svc.yaml: no place is left for `svc`."
    assert funnel == (
        "  39 places have L4:8; 15 of them are on aws; none of those cost at most 5 USD/hour (on demand) "
        "(the nearest: costs 13.3504 USD/hour, more than the maximum of 5)."
    )
    assert without == "  Without the maximum price: 15 places, from 13.3504 USD/hour."
    assert other == "  In the other market, spot: 12 places, from 2.2079 USD/hour."


def test_conditions_that_exclude_each_other_are_both_named(service, catalog):
    said = why(service("L4:8"), catalog, clouds=("aws",), regions=("us-east4",))
    assert "none of those are in us-east4" in said
    assert "Without the clouds: 2 places" in said
    assert "Without the regions: 15 places" in said


def test_a_count_that_nobody_has_lists_those_there_are(service, catalog):
    assert "Nobody has L4:3; L4 comes as 1, 2, 4, 8." in why(service("L4:3"), catalog)


def test_an_accelerator_that_is_known_and_sold_nowhere_is_said(service, catalog):
    assert "Nobody has MI300X:8 or any MI300X." in why(service("MI300X:8"), catalog)


def test_a_model_that_nothing_holds_names_the_nearest_shape(service, catalog):
    said = why(service(option={}, model_size=ModelSize(parameters_b=5000)), catalog)
    assert "none of those can hold the model (the nearest: B200 x 8:" in said


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"cloud": "gpc"}, "no prices of a cloud `gpc`. Did you mean `gcp`?"),
        ({"region": "eu-nort-1"}, "no place in a region `eu-nort-1`. Did you mean `eu-north-1`?"),
        ({"zone": "us-east4-x"}, "no place in a zone `us-east4-x`. Did you mean"),
        ({"zone": "us-east-1a"}, "zones are zone ids. Of us-east-1: use1-az1, "),
        ({"instance_type": "p4d.24xlrge"}, "nobody has an instance type `p4d.24xlrge`. Did you mean"),
    ],
)
def test_an_unknown_name_in_the_file_offers_a_near_one(service, catalog, option, message):
    with pytest.raises(InputError, match=r"^svc.yaml: resources: ") as e:
        rank(service("L4:1", option=option), catalog, Constraints())
    assert message in str(e.value)


def test_an_accelerator_that_nobody_knows_offers_a_near_one(service, catalog):
    with pytest.raises(InputError, match=r"svc.yaml: resources.accelerators: .*`A1000`. Did you mean"):
        rank(service("L4:8", "A1000:8"), catalog, Constraints())


def test_a_file_that_names_no_machine_at_all_says_what_to_name(service, catalog):
    with pytest.raises(InputError, match=r"name `accelerators`, an `instance_type`, or the model's"):
        rank(service(option={}), catalog, Constraints())
