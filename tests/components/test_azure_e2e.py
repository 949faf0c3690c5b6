"""Everything that is declared in Azure, with Pulumi's real engine and a stand-in that knows Azure's rules."""

from pathlib import Path

import pytest

from tests.standins import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SCALE_SET = "azure-native:compute:VirtualMachineScaleSet"
HOST = "azure-native:compute:VirtualMachine"
EDITED = {"TAG": "two", "TEXT": "#cloud-config\n# two\n"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return Program(tmp_path_factory.mktemp("p"), (Path(__file__).parent / "azure_program.py").read_text())


def sizes(program):
    return {live.name: live.properties["sku"]["capacity"] for live in program.live.objects(SCALE_SET)}


def test_an_environment_in_azure_lives_its_whole_life_and_keeps_the_sizes_that_the_controller_set(program):
    made = program.up()
    assert set(made) == {"create"}
    assert set(sizes(program).values()) == {0}
    assert program.outputs()["cname"].startswith("llm.example.com. 30 IN CNAME tw-prod-names-")

    for live in program.live.objects(SCALE_SET):
        program.live.set(SCALE_SET, live.id, "sku.capacity", 3)
    edited = program.up(**EDITED)
    assert "update" in edited
    hosts = len(program.live.objects(HOST))
    assert edited.get("replace") == hosts, "a host reads its user data once, and nothing else is made anew"
    assert not {"create", "delete"} & edited.keys()
    assert not program.live.journal("delete", SCALE_SET)
    assert set(sizes(program).values()) == {3}
    sent = program.live.journal("update", SCALE_SET)
    assert len(sent) == 4  # each scale set's template, when it was created and when it was edited
    assert not [request for request in sent if "sku" in request.sent]
    assert not [request for request in sent if "resources:Deployment" not in request.urn]
    for live in program.live.objects(SCALE_SET):
        assert live.properties["tags"]["team"] == "two"
        assert live.properties["virtualMachineProfile"]["userData"] == "I2Nsb3VkLWNvbmZpZwojIHR3bwo="

    program.refresh(**EDITED)
    assert program.preview(**EDITED) == {"same": made["create"]}

    larger = "Standard_NC48ads_A100_v4"
    before = {live.id for live in program.live.objects(SCALE_SET)}
    assert program.up(**EDITED, TYPE=larger)["replace"] == 1, "another instance type is another scale set"
    after = {live.id: live.properties["sku"] for live in program.live.objects(SCALE_SET)}
    assert after.keys() == before
    assert {"name": larger, "tier": "Standard", "capacity": 0} in after.values()

    program.destroy()
    assert program.live.objects() == []


def test_an_environment_that_was_destroyed_is_created_again_at_once_as_another_incarnation(program):
    assert "a vault of this name exists in deleted state" in program.refused("up")
    assert "create" in program.up(INCARNATION="2")
    program.destroy(INCARNATION="2")
    assert program.live.objects() == []
