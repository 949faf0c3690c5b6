"""Hosts are placed once: afterwards neither a price table nor a version of ours moves them, only the settings do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.fixed import load_fixed
from planner import hosts
from planner.hosts import check_hosts, place_hosts
from spec.errors import SpecError
from spec.lock import Lock
from tests.planner.test_layout import ZONES, config

PRICES = load_fixed()


def placed(zones=ZONES, before=None, **settings):
    return place_hosts(config(**settings), zones, before or {})


def checked(found, zones=ZONES, **settings):
    return check_hosts(Lock(schema=2, hosts=found), config(**settings), zones, PRICES, env="prod")


def unfit(found, **more):
    with pytest.raises(SpecError) as e:
        checked(found, **more)
    return str(e.value)


def test_hosts_of_one_edge_stand_in_different_zones_and_have_our_types():
    found = {name: (h.region, h.zone, h.instance_type) for name, h in placed().items()}
    assert found == {
        "controller": ("us-east-1", "use1-az1", "t3.small"),
        "edge-aws-us-east-1-1": ("us-east-1", "use1-az1", "c7i.large"),
        "edge-aws-us-east-1-2": ("us-east-1", "use1-az2", "c7i.large"),
        "edge-azure-eastus-1": ("eastus", None, "Standard_D2s_v5"),
    }
    assert checked(placed()) == ()


@given(st.lists(st.sampled_from(["use1-az0", "use1-az1", "use1-az3", "use1-az9"]), min_size=1, unique=True))
def test_no_change_of_the_price_table_moves_a_host(zones):
    before = placed()
    other = {**ZONES, ("aws", "us-east-1"): tuple(sorted(zones))}
    assert placed(other, before) == before
    checked(before, other)


def test_a_zone_that_nobody_knows_any_more_is_noted_with_the_nearest():
    before = placed()
    other = {**ZONES, ("aws", "us-east-1"): ("use1-az2",)}
    assert checked(before, other) == (
        (
            "pools.prod.lock: hosts.controller: the price table has no zone use1-az1 of aws/us-east-1, and the host stays there. "
            "Did you mean `use1-az2`?"
        ),
        (
            "pools.prod.lock: hosts.edge-aws-us-east-1-1: the price table has no zone use1-az1 of aws/us-east-1, and the host "
            "stays there. Did you mean `use1-az2`?"
        ),
    )


def test_another_default_of_ours_changes_no_host_that_is_there(monkeypatch):
    before = placed()
    monkeypatch.setitem(hosts.EDGE_TYPES, "aws", "c7i.xlarge")
    assert placed(before=before) == before
    assert checked(before) == ()


def test_a_host_more_takes_the_emptiest_zone_and_moves_nobody():
    before = placed()
    edges = [{"cloud": "aws", "region": "us-east-1", "hosts": 4}, {"cloud": "azure", "region": "eastus"}]
    assert "hosts: has no place for the host `edge-aws-us-east-1-3`. tradewind:edges asks for it. " in (
        unfit(before, edges=edges)
    )
    after = placed(before=before, edges=edges)
    assert {name: after[name] for name in before} == before
    assert [after[f"edge-aws-us-east-1-{n}"].zone for n in (3, 4)] == ["use1-az4", "use1-az1"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"home": {"cloud": "gcp", "region": "us-central1"}},
            (
                "hosts.controller: is in aws/us-east-1, and tradewind:home says gcp/us-central1. Undo the one or the other, or "
                "./tw plan --stack prod --lock moves it"
            ),
        ),
        (
            {"home": {"cloud": "aws", "region": "us-east-1", "instanceType": "t3.large"}},
            "hosts.controller: is a t3.small, and tradewind:home says t3.large.",
        ),
        (
            {"network": {"aws/us-east-1": {"id": "vpc-1", "subnets": {"use1-az2": "a", "use1-az4": "b"}}}},
            "hosts.controller: is in use1-az1, in which your network of aws/us-east-1 has no subnet.",
        ),
        (
            {"edges": [{"cloud": "azure", "region": "eastus"}]},
            "hosts.edge-aws-us-east-1-1: is no host of this stack. Did you mean `edge-azure-eastus-1`?",
        ),
    ],
)
def test_settings_that_say_another_place_or_type_are_told_until_a_renewal_takes_them(settings, said):
    before = placed()
    assert said in unfit(before, **settings)
    after = placed(before=before, **settings)
    assert checked(after, **settings) == ()


def test_what_still_fits_stays_when_something_else_moves():
    subnets = {"use1-az2": "a", "use1-az4": "b"}
    after = placed(before=placed(), network={"aws/us-east-1": {"id": "vpc-1", "subnets": subnets}})
    assert [after[f"edge-aws-us-east-1-{n}"].zone for n in (1, 2)] == ["use1-az4", "use1-az2"]


def test_a_misspelt_name_is_told_with_the_one_that_was_meant():
    before = placed()
    before["contoller"] = before.pop("controller")
    text = unfit(before)
    assert "hosts: has no place for the host `controller`. Is it `contoller`?" in text
    assert "hosts.contoller: is no host of this stack. Did you mean `controller`?" in text


@pytest.mark.parametrize(
    ("name", "zone", "said"),
    [
        ("controller", None, "has no zone, and one has to be named there."),
        ("edge-azure-eastus-1", "1", "has the zone 1, and azure/eastus has none to choose."),
    ],
)
def test_a_zone_too_few_or_too_many_is_told(name, zone, said):
    before = placed()
    before[name] = before[name].model_copy(update={"zone": zone})
    assert f"hosts.{name}: {said}" in unfit(before)


def test_a_misspelt_type_is_told_with_the_line_and_the_nearest_one():
    before = placed()
    before["controller"] = before["controller"].model_copy(update={"instance_type": "t3.smal"})
    assert unfit(before) == (
        "pools.prod.lock: hosts.controller.instance_type: no price is known for t3.smal on aws. Did you mean `t3.small`? For a "
        "type of your own, add a row to catalog/fixed.csv."
    )
