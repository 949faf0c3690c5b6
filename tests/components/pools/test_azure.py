"""Scale sets of Azure, as they are declared: what they are made of, and that no edit of one carries a size."""

import base64
import hashlib
import json

import pulumi
import pytest

from components.azure import KEY_SENTENCE, NOBODYS_KEY
from components.pools.azure_machine import flattened
from spec.names import Market
from tests.components.azure_world import network, pool, pools, recorded, scope

POOL = pool()
TEXT = "#cloud-config\nruncmd: [boot]\n"


def declare(*wanted, tags=None, **how):
    def declared():
        of = scope(**({"tags": tags} if tags else {}))
        mine = pools(of, network(of), **{"user_data": TEXT, **how})
        for one in wanted or (POOL,):
            mine.declare(one, pulumi.ResourceOptions())

    return recorded(declared)


@pytest.fixture(scope="module")
def declared():
    return declare()


@pytest.fixture(scope="module")
def scale_set(declared):
    return declared.one("compute:VirtualMachineScaleSet")


@pytest.fixture(scope="module")
def edit(declared):
    """The template by which the scale set is edited."""
    [resource] = declared.one("resources:Deployment")["properties"]["template"]["resources"]
    return resource


def profile(recorder):
    return recorder.one("compute:VirtualMachineScaleSet")["virtualMachineProfile"]


def test_a_pool_is_a_regional_flexible_scale_set_without_machines(scale_set):
    assert scale_set["orchestrationMode"] == "Flexible"
    assert scale_set["platformFaultDomainCount"] == 1
    assert scale_set["singlePlacementGroup"] is False
    assert scale_set["upgradePolicy"] == {"mode": "Manual"}
    assert scale_set["sku"] == {"name": "Standard_NC24ads_A100_v4", "tier": "Standard", "capacity": 0}
    assert "zones" not in scale_set


def test_an_edit_carries_everything_of_the_scale_set_but_its_size(scale_set, edit):
    assert "sku" not in edit
    assert "capacity" not in json.dumps(edit)
    assert edit["name"] == scale_set["vmScaleSetName"]
    assert edit["type"] == "Microsoft.Compute/virtualMachineScaleSets"
    same = ("location", "tags")
    assert {key: edit[key] for key in same} == {key: scale_set[key] for key in same}
    made_of = flattened(edit["properties"])
    assert made_of == {key: scale_set[key] for key in made_of}
    assert list(edit["identity"]["userAssignedIdentities"]) == scale_set["identity"]["userAssignedIdentities"]


def test_a_machine_learns_its_pool_from_its_tags(scale_set):
    assert scale_set["tags"] == {
        "cost-center": "ml",
        "tradewind-env": "prod",
        "tradewind-service": "chat",
        "tradewind-pool": POOL.id,
        "tradewind-max-size": str(POOL.max_size),
    }


def test_spot_machines_are_bought_up_to_the_price_on_demand_and_deleted_when_evicted():
    bought = profile(declare(pool(market=Market.SPOT)))
    assert (bought["priority"], bought["evictionPolicy"]) == ("Spot", "Delete")
    assert bought["billingProfile"] == {"maxPrice": -1}


@pytest.mark.parametrize("market", [Market.ON_DEMAND, Market.RESERVED])
def test_other_machines_are_never_evicted(market):
    bought = profile(declare(pool(market=market)))
    assert bought["priority"] == "Regular"
    assert not {"evictionPolicy", "billingProfile"} & bought.keys()


def test_nothing_of_a_machine_outlives_it(scale_set):
    made_of = scale_set["virtualMachineProfile"]
    [card] = made_of["networkProfile"]["networkInterfaceConfigurations"]
    [address] = card["ipConfigurations"]
    assert made_of["storageProfile"]["osDisk"]["deleteOption"] == "Delete"
    assert card["deleteOption"] == "Delete"
    assert address["publicIPAddressConfiguration"]["deleteOption"] == "Delete"


def test_a_machine_has_the_replicas_firewall_and_a_public_address_as_its_only_way_out(scale_set):
    [card] = scale_set["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"]
    assert card["networkSecurityGroup"] == {"id": "/network-eastus-replicas"}
    [address] = card["ipConfigurations"]
    assert address["subnet"] == {"id": "/network-eastus-machines"}
    assert address["publicIPAddressConfiguration"]["sku"]["name"] == "Standard"


def test_the_machine_is_warned_before_it_goes(scale_set):
    notice = scale_set["virtualMachineProfile"]["scheduledEventsProfile"]["terminateNotificationProfile"]
    assert notice == {"enable": True, "notBeforeTimeout": "PT5M"}


def test_user_data_is_the_same_text_in_base64_without_the_pools_name(scale_set):
    data = scale_set["virtualMachineProfile"]["userData"]
    assert base64.b64decode(data).decode() == TEXT
    assert "customData" not in scale_set["virtualMachineProfile"]["osProfile"]


def test_nobody_can_log_in_because_the_only_key_has_no_private_half(scale_set):
    account = scale_set["virtualMachineProfile"]["osProfile"]
    assert "adminPassword" not in account
    assert account["linuxConfiguration"]["disablePasswordAuthentication"] is True
    [key] = account["linuxConfiguration"]["ssh"]["publicKeys"]
    point = base64.b64decode(key["keyData"].split()[1])[-32:]
    assert key["keyData"] == NOBODYS_KEY
    assert point == hashlib.sha256(KEY_SENTENCE.encode()).digest()


def test_the_public_key_is_a_valid_one():
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    assert load_ssh_public_key(NOBODYS_KEY.encode()).public_bytes_raw()


@pytest.mark.parametrize(
    ("accelerator", "type_", "publisher"),
    [
        ("A100-80GB", "Standard_NC24ads_A100_v4", "microsoft-dsvm"),
        ("H100", "Standard_NC40ads_H100_v5", "microsoft-dsvm"),
        ("H100", "Standard_ND96isr_H100_v5", "microsoft-dsvm"),
        ("T4", "Standard_NC4as_T4_v3", "microsoft-dsvm"),
        ("V100", "Standard_NC6s_v3", "Canonical"),
        ("V100-32GB", "Standard_ND40rs_v2", "Canonical"),
        ("A10", "Standard_NV36ads_A10_v5", "Canonical"),
    ],
)
def test_the_image_has_a_driver_for_the_accelerator_or_an_extension_brings_it(accelerator, type_, publisher):
    made_of = profile(declare(pool(accelerator, 1, type_)))
    assert made_of["storageProfile"]["imageReference"]["publisher"] == publisher
    extensions = made_of.get("extensionProfile", {}).get("extensions", [])
    assert [e["type"] for e in extensions] == (["NvidiaGpuDriverLinux"] if publisher == "Canonical" else [])
    assert made_of["osProfile"]["allowExtensionOperations"] is bool(extensions)


@pytest.mark.parametrize(("asked", "made"), [(512, 512), (30, 128)])
def test_disks_are_the_fast_kind_and_as_large_as_asked_for_but_never_smaller_than_the_image(asked, made):
    disk = profile(declare(disk_gib=asked))["storageProfile"]["osDisk"]
    assert (disk["diskSizeGB"], disk["managedDisk"]) == (made, {"storageAccountType": "Premium_LRS"})


def test_names_leave_room_for_those_of_the_machines():
    long = pool("A100-80GB", 4, "Standard_NC96ads_A100_v4", Market.ON_DEMAND, "southcentralus")
    other = pool("A100-80GB", 2, "Standard_NC48ads_A100_v4", Market.ON_DEMAND, "southcentralus")

    def declared():
        of = scope()
        mine = pools(of, network(of, "southcentralus"))
        mine.declare(long, pulumi.ResourceOptions())
        mine.declare(other, pulumi.ResourceOptions())

    sets = recorded(declared).of("compute:VirtualMachineScaleSet").values()
    names = {s["vmScaleSetName"] for s in sets}
    assert len(names) == 2
    assert all(len(f"{name}_12345678") <= 64 for name in names)


def test_a_tag_that_looks_like_a_formula_of_a_template_stays_text():
    declared = declare(tags={"team": "[concat('a')]"})
    [edit] = declared.one("resources:Deployment")["properties"]["template"]["resources"]
    assert edit["tags"]["team"] == "[[concat('a')]"
    assert declared.one("compute:VirtualMachineScaleSet")["tags"]["team"] == "[concat('a')]"


def test_a_network_of_another_cloud_is_a_mistake_of_the_composition():
    from components.cloud import Network

    other = Network(
        cloud="gcp", region="eastus", id="n", subnets={"": "s"}, replicas="r", edges="e", controller="c"
    )
    with pytest.raises(TypeError, match="a network of gcp was given to a module of azure"):
        recorded(lambda: pools(scope(), other).declare(POOL, pulumi.ResourceOptions()))


def test_machines_of_gangs_are_named_for_the_rule_between_them_also_by_later_edits():
    def declared():
        of = scope()
        pools(of, network(of, gangs=("chat",))).declare(POOL, pulumi.ResourceOptions())

    recorder = recorded(declared)
    [card] = profile(recorder)["networkProfile"]["networkInterfaceConfigurations"]
    [edit] = recorder.one("resources:Deployment")["properties"]["template"]["resources"]
    assert card["ipConfigurations"][0]["applicationSecurityGroups"] == [{"id": "/network-eastus-peers-chat"}]
    assert "/network-eastus-peers-chat" in json.dumps(edit)


def test_a_machine_that_is_a_replica_by_itself_is_named_for_no_peers(scale_set):
    assert "applicationSecurityGroups" not in json.dumps(scale_set)


GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/a100"
RESERVING = {"azure/eastus": {"Standard_NC24ads_A100_v4": {"machines": 2, "name": GROUP}}}


def reserving(market):
    def declared():
        of = scope(reservations=RESERVING)
        pools(of, network(of)).declare(pool(market=market), pulumi.ResourceOptions())

    return recorded(declared)


def test_reserved_machines_name_their_reservation_also_by_later_edits():
    recorder = reserving(Market.RESERVED)
    wanted = {"capacityReservationGroup": {"id": GROUP}}
    assert profile(recorder)["capacityReservation"] == wanted
    [edit] = recorder.one("resources:Deployment")["properties"]["template"]["resources"]
    assert edit["properties"]["virtualMachineProfile"]["capacityReservation"] == wanted


@pytest.mark.parametrize("market", [Market.SPOT, Market.ON_DEMAND])
def test_machines_of_other_markets_leave_the_reservation_alone(market):
    assert "capacityReservation" not in profile(reserving(market))
