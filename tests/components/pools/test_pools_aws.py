"""Pools of AWS as they are declared: groups, and the templates that they share."""

import base64

import pytest

from spec.errors import InputError
from spec.names import Market, cloud_name
from tests.components.aws_world import USER_DATA, ZONES, a_pool, network_of, pools_of, recorded, scope

ON_DEMAND = a_pool(ZONES[1], market=Market.ON_DEMAND, types=("g6.xlarge", "g6.2xlarge"))
RESERVED = a_pool(market=Market.RESERVED)
NEURON = a_pool(accelerator="Inferentia2", types=("inf2.xlarge",))
POOLS = (a_pool(ZONES[0]), a_pool(ZONES[1]), ON_DEMAND, RESERVED, NEURON)


def declared(*pools, config=None, **more):
    def declare():
        a_scope = scope(**(config or {}))
        pools_of(a_scope, network_of(a_scope), *pools, **more)

    return recorded(declare)


@pytest.fixture(scope="module")
def world():
    return declared(*POOLS)


def template_of(world, pool):
    policy = world.of("Group")[pool.id]["mixedInstancesPolicy"]
    named = policy["launchTemplate"]["launchTemplateSpecification"]["launchTemplateId"]
    return world.of("LaunchTemplate")[named.removeprefix("id of ")]


def test_a_pool_is_a_group_in_one_zone_found_by_its_computed_name(world):
    groups = world.of("Group")
    assert groups.keys() == {p.id for p in POOLS}
    for pool in POOLS:
        assert groups[pool.id]["name"] == cloud_name("prod", pool.id)
        assert groups[pool.id]["vpcZoneIdentifiers"] == [f"id of network-us-east-1-{pool.zone}"]


def test_the_size_is_the_controller_s(world):
    for pool in POOLS:
        group = world.of("Group")[pool.id]
        assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (0, 0, 4)
        assert world.options["aws:autoscaling/group:Group", pool.id]["ignore_changes"] == ["desiredCapacity"]


def test_aws_chooses_no_machine_to_end_and_starts_none_of_its_own_accord(world):
    for group in world.of("Group").values():
        assert group["protectFromScaleIn"]
        assert not group["capacityRebalance"]
        assert group["healthCheckType"] == "EC2"


def test_an_update_waits_for_no_machine_and_destroy_removes_all(world):
    for group in world.of("Group").values():
        assert group["waitForCapacityTimeout"] == "0"
        assert group["forceDelete"]


def test_the_market_stands_in_the_group_and_never_in_the_template(world):
    for pool in POOLS:
        distribution = world.of("Group")[pool.id]["mixedInstancesPolicy"]["instancesDistribution"]
        assert distribution["onDemandBaseCapacity"] == 0
        on_demand = 0 if pool.market is Market.SPOT else 100
        assert distribution["onDemandPercentageAboveBaseCapacity"] == on_demand
        assert distribution["spotAllocationStrategy"] == "price-capacity-optimized"
        assert "instanceMarketOptions" not in template_of(world, pool)
        assert "instanceType" not in template_of(world, pool)


def test_the_group_names_the_types(world):
    overrides = world.of("Group")[ON_DEMAND.id]["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
    assert overrides == [{"instanceType": "g6.xlarge"}, {"instanceType": "g6.2xlarge"}]


def test_only_reserved_pools_run_in_reservations_and_only_there(world):
    found = {name: group.get("capacityReservationSpecification") for name, group in world.of("Group").items()}
    only = {"capacityReservationPreference": "capacity-reservations-only"}
    assert found == {p.id: only if p is RESERVED else None for p in POOLS}


def test_machines_and_what_they_are_made_of_tell_whose_they_are(world):
    pool = POOLS[0]
    tags = world.of("Group")[pool.id]["tags"]
    assert all(tag["propagateAtLaunch"] for tag in tags)
    assert {tag["key"]: tag["value"] for tag in tags} == {
        "cost-center": "ml",
        "tradewind-env": "prod",
        "tradewind-pool": pool.id,
        "tradewind-service": "chat",
    }
    for specification in template_of(world, pool)["tagSpecifications"]:
        assert specification["tags"]["tradewind-env"] == "prod"


def test_pools_of_one_shape_and_market_share_a_template_in_which_no_pool_is_named(world):
    assert len(world.of("LaunchTemplate")) == 4
    assert template_of(world, POOLS[0]) is template_of(world, POOLS[1])
    for template in world.of("LaunchTemplate").values():
        assert not any(zone in str(template) for zone in ZONES)
        assert base64.b64decode(template["userData"]).decode() == USER_DATA


def test_a_new_version_of_a_template_changes_no_group(world):
    for pool in POOLS:
        policy = world.of("Group")[pool.id]["mixedInstancesPolicy"]["launchTemplate"]
        assert policy["launchTemplateSpecification"]["version"] == "$Default"
        assert template_of(world, pool)["updateDefaultVersion"]


def test_images_are_looked_up_by_aws_and_have_the_driver_of_the_shape(world):
    nvidia = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
    neuron = "/aws/service/neuron/dlami/multi-framework/ubuntu-24.04/latest/image_id"
    assert template_of(world, POOLS[0])["imageId"] == f"resolve:ssm:{nvidia}"
    assert template_of(world, NEURON)["imageId"] == f"resolve:ssm:{neuron}"


def test_the_metadata_service_wants_a_token_and_tells_a_machine_its_tags(world):
    for template in world.of("LaunchTemplate").values():
        options = template["metadataOptions"]
        assert options["httpTokens"] == "required"
        assert options["instanceMetadataTags"] == "enabled"
        assert options["httpPutResponseHopLimit"] == 2


def test_disks_are_encrypted_and_end_with_their_machine(world):
    for template in world.of("LaunchTemplate").values():
        [disk] = template["blockDeviceMappings"]
        assert disk["deviceName"] == "/dev/sda1"
        assert disk["ebs"]["encrypted"] == disk["ebs"]["deleteOnTermination"] == "true"
        assert (disk["ebs"]["volumeType"], disk["ebs"]["volumeSize"]) == ("gp3", 256)


def test_no_disk_is_smaller_than_its_image_needs():
    [template] = declared(a_pool(), disk_gib=10).of("LaunchTemplate").values()
    assert template["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 150


def test_machines_have_a_public_address_and_the_replicas_firewall(world):
    for template in world.of("LaunchTemplate").values():
        [card] = template["networkInterfaces"]
        assert card["associatePublicIpAddress"] == "true"
        assert card["securityGroups"] == ["id of network-us-east-1-replicas"]
        assert template["iamInstanceProfile"] == {"name": "profile of chat"}
        assert "keyName" not in template


def test_a_pool_that_no_image_drives_is_named_with_the_way_out():
    with pytest.raises(InputError, match=r"pool chat\.aws.*driver for V100.*newer accelerators"):
        declared(a_pool(accelerator="V100", types=("p3.2xlarge",)))


def test_a_tag_that_would_make_every_launch_fail_is_named():
    with pytest.raises(InputError, match=r"tradewind:tags\.cost center"):
        declared(a_pool(), config={"tags": {"cost center": "ml"}})


def test_a_reservation_that_is_named_is_the_only_one_used():
    def declare():
        named = {"aws/use1-az1": {"g6.xlarge": {"machines": 2, "name": "cr-0123456789abcdef0"}}}
        a_scope = scope(reservations=named)
        pools_of(a_scope, network_of(a_scope), RESERVED)

    assert recorded(declare).one("Group")["capacityReservationSpecification"] == {
        "capacityReservationPreference": "capacity-reservations-only",
        "capacityReservationTarget": {"capacityReservationIds": ["cr-0123456789abcdef0"]},
    }
