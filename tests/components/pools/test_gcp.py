"""Pools in Google Cloud, as they are declared."""

import pulumi
import pytest

from planner.layout import located
from spec.errors import InputError
from spec.names import Market
from tests.components.gcp_world import ZONES, network, pool, pools, recorded, scope

TEXT = "#cloud-config\nruncmd: [boot]\n"
POOL = pool()


def declare(*wanted, config=None, **how):
    def declared():
        of = scope(**{"env": "prod", **(config or {})})
        mine = pools(of, network(of), **{"user_data": TEXT, **how})
        for one in wanted or (POOL,):
            mine.declare(one, pulumi.ResourceOptions())

    return recorded(declared)


@pytest.fixture(scope="module")
def declared():
    return declare()


def template(recorder):
    return recorder.one("RegionInstanceTemplate")


def test_a_pool_is_a_group_in_its_zone_without_machines_and_nobody_waits_for_any(declared):
    group = declared.one("InstanceGroupManager")
    assert (group["zone"], group["targetSize"], group["waitForInstances"]) == (ZONES[0], 0, False)


def test_a_new_template_touches_no_machine_that_runs(declared):
    group = declared.one("InstanceGroupManager")
    assert group["updatePolicy"]["type"] == "OPPORTUNISTIC"
    assert group["instanceLifecyclePolicy"] == {"forceUpdateOnRepair": "YES"}


def test_a_machine_learns_its_pool_from_metadata_of_its_group_and_the_driver_finds_it_by_its_label(declared):
    config = declared.one("InstanceGroupManager")["allInstancesConfig"]
    assert config["metadata"] == {
        "tradewind-pool": POOL.id,
        "tradewind-service": "chat",
        "tradewind-max-size": "4",
    }
    assert config["labels"] == {
        "cost-center": "ml",
        "tradewind-env": "prod",
        "tradewind-service": "chat",
    }
    assert not config["metadata"].keys() & template(declared)["metadata"].keys()


def test_the_group_has_the_name_that_the_driver_asks_for_and_its_machines_begin_with_it():
    long = pool("A100-80GB", 8, "a2-ultragpu-8g", Market.ON_DEMAND, "northamerica-northeast1-a")

    def declared():
        of = scope()
        pools(of, network(of, "northamerica-northeast1")).declare(long, pulumi.ResourceOptions())

    group = recorded(declared).one("InstanceGroupManager")
    assert group["name"] == located(long, "prod").resource["group"]
    assert group["baseInstanceName"] == group["name"]
    assert group["name"].startswith("tw-prod-")
    assert len(f"{group['name']}-abcd") <= 63


def test_pools_of_one_service_region_shape_and_market_share_a_template():
    others = (pool(zone=ZONES[1]), pool(market=Market.ON_DEMAND), pool(count=2, type_="g2-standard-24"))
    recorder = declare(POOL, *others)
    assert len(recorder.of("InstanceGroupManager")) == 4
    templates = recorder.of("RegionInstanceTemplate")
    assert len(templates) == 3
    assert len({t["namePrefix"] for t in templates.values()}) == 3
    assert all(len(t["namePrefix"]) <= 37 for t in templates.values())
    by_zone = {
        g["zone"]: g["versions"][0]["instanceTemplate"]
        for name, g in recorder.of("InstanceGroupManager").items()
        if name.endswith("L4x1.spot")
    }
    assert len(set(by_zone.values())) == 1


def test_spot_machines_are_deleted_when_they_are_taken_away(declared):
    assert template(declared)["scheduling"] == {
        "provisioningModel": "SPOT",
        "preemptible": True,
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "instanceTerminationAction": "DELETE",
    }


@pytest.mark.parametrize("market", [Market.ON_DEMAND, Market.RESERVED])
def test_other_machines_are_never_preempted(market):
    scheduling = template(declare(pool(market=market)))["scheduling"]
    assert (scheduling["provisioningModel"], scheduling["preemptible"]) == ("STANDARD", False)
    assert "instanceTerminationAction" not in scheduling


def test_reserved_machines_take_the_projects_reservations():
    assert template(declare(pool(market=Market.RESERVED)))["reservationAffinity"] == {
        "type": "ANY_RESERVATION"
    }


@pytest.mark.parametrize(
    ("given", "attached"),
    [
        (pool(), None),
        (pool("A100", 4, "a2-highgpu-4g"), None),
        (pool("T4", 2, "n1-standard-16"), [{"type": "nvidia-tesla-t4", "count": 2}]),
    ],
)
def test_machine_types_bring_their_accelerators_but_n1_is_given_some(given, attached):
    assert template(declare(given)).get("guestAccelerators") == attached


def test_an_accelerator_that_n1_can_not_be_given_is_told():
    with pytest.raises(
        InputError, match=r"pool chat\.gcp\.us-central1-a\.V100x1\.spot: .*Name others .* T4\."
    ):
        declare(pool("V100", 1, "n1-standard-4"))


@pytest.mark.parametrize(
    ("type_", "kind"),
    [("g2-standard-8", "pd-ssd"), ("a3-highgpu-8g", "pd-ssd"), ("a3-ultragpu-8g", "hyperdisk-balanced")],
)
def test_disks_are_of_the_fast_kind_that_the_machine_type_takes(type_, kind):
    assert template(declare(pool(type_=type_)))["disks"][0]["diskType"] == kind


@pytest.mark.parametrize(("asked", "made"), [(512, 512), (30, 60)])
def test_disks_are_as_large_as_asked_for_but_never_smaller_than_the_image(asked, made):
    [disk] = template(declare(disk_gib=asked))["disks"]
    assert (disk["diskSizeGb"], disk["autoDelete"], disk["boot"]) == (made, True, True)


def test_a_machine_has_the_replicas_tag_its_services_identity_and_a_public_address_as_its_only_way_out(
    declared,
):
    made = template(declared)
    assert made["tags"][0].startswith("tw-prod-us-central1-replicas-")
    assert made["serviceAccount"]["email"] == "chat@accounts"
    [card] = made["networkInterfaces"]
    assert (card["subnetwork"], len(card["accessConfigs"])) == ("/network-us-central1-machines", 1)
    assert "natIp" not in card["accessConfigs"][0]


def test_user_data_is_the_text_and_nobody_logs_in(declared):
    assert template(declared)["metadata"] == {
        "user-data": TEXT,
        "block-project-ssh-keys": "TRUE",
        "serial-port-enable": "FALSE",
    }


# ---------------------------------------------------------------- labels


def test_what_a_machine_boots_is_measured_and_drivers_need_no_signature(declared):
    assert template(declared)["shieldedInstanceConfig"] == {
        "enableVtpm": True,
        "enableIntegrityMonitoring": True,
        "enableSecureBoot": False,
    }


def test_tags_are_written_as_labels_allow():
    declared = declare(config={"tags": {"CostCenter": "R&D 7"}})
    assert declared.one("InstanceGroupManager")["allInstancesConfig"]["labels"]["costcenter"] == "r-d-7"


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"Team": "a", "team": "b"}, r"tradewind:tags\.team: Google Cloud writes it `team`, and two of them"),
        ({"1st": "a"}, r"tradewind:tags\.1st: .* a label begins with a letter"),
    ],
)
def test_tags_that_labels_can_not_tell_apart_are_refused(tags, told):
    with pytest.raises(InputError, match=told):
        declare(config={"tags": tags})


def test_a_stack_whose_name_is_no_label_is_refused():
    with pytest.raises(InputError, match=r"the stack's name `Prod\.2` can't be a label"):
        declare(config={"env": "Prod.2"})


def test_machines_of_gangs_have_their_service_s_tag_besides():
    def declared():
        of = scope()
        where.append(network(of, gangs=("chat",)))
        pools(of, where[0]).declare(POOL, pulumi.ResourceOptions())

    where = []
    assert template(recorded(declared))["tags"] == [where[0].replicas, where[0].peers["chat"]]


def test_a_reservation_that_is_named_is_the_only_one_used_and_is_of_one_zone():
    named = {f"gcp/{ZONES[0]}": {"g2-standard-8": {"machines": 2, "name": "l4"}}}
    both = [pool(market=Market.RESERVED, zone=zone) for zone in ZONES[:2]]
    templates = declare(*both, config={"reservations": named}).of("RegionInstanceTemplate").values()
    affinities = [t["reservationAffinity"] for t in templates]
    key = "compute.googleapis.com/reservation-name"
    specific = {"type": "SPECIFIC_RESERVATION", "specificReservation": {"key": key, "values": ["l4"]}}
    assert sorted(affinities, key=str) == sorted([specific, {"type": "ANY_RESERVATION"}], key=str)
