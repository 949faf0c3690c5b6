"""Everything that is declared in Google Cloud, with Pulumi's real engine and a stand-in that knows Google's rules."""

from pathlib import Path

import pytest

from tests.standins import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

GROUP = "gcp:compute/instanceGroupManager:InstanceGroupManager"
TEMPLATE = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"
INSTANCE = "gcp:compute/instance:Instance"
MEMBERS = "gcp:compute/instanceGroup:InstanceGroup"
VERSION = "gcp:secretmanager/secretVersion:SecretVersion"
EDITED = {"TAG": "two", "TEXT": "#cloud-config\n# two\n"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return Program(tmp_path_factory.mktemp("p"), (Path(__file__).parent / "gcp_program.py").read_text())


def by_name(program, type_):
    return {live.name: live for live in program.live.objects(type_)}


def test_an_environment_in_gcp_lives_its_whole_life_and_keeps_the_sizes_that_the_controller_set(program):
    made = program.up()
    assert set(made) == {"create"}
    groups = program.live.objects(GROUP)
    assert {g.properties["targetSize"] for g in groups} == {0}
    assert len(program.live.objects(TEMPLATE)) == 3, "pools of one region share a template"

    for group in groups:
        program.live.set(GROUP, group.id, "targetSize", 3)
    machines = by_name(program, INSTANCE).keys()
    program.up(**EDITED)
    assert {g.properties["targetSize"] for g in program.live.objects(GROUP)} == {3}
    assert {g.id for g in program.live.objects(GROUP)} == {g.id for g in groups}
    templates = {t.id for t in program.live.objects(TEMPLATE)}
    assert len(templates) == 3
    for group in program.live.objects(GROUP):
        assert group.properties["allInstancesConfig"]["labels"]["team"] == "two"
        assert any(group.properties["versions"][0]["instanceTemplate"].endswith(t) for t in templates)
    assert by_name(program, INSTANCE).keys() == machines, "an edit of pools touches no host"

    program.refresh(**EDITED)
    assert program.preview(**EDITED) == {"same": made["create"]}


def test_a_host_with_new_user_data_is_another_machine_and_stands_behind_the_balancer_again(program):
    before = by_name(program, INSTANCE).keys()
    program.up(**EDITED, HOST_TEXT="#cloud-config\n# other\n")
    after = by_name(program, INSTANCE)
    assert len(after) == len(before)
    assert not before & after.keys()
    members = [m for group in program.live.objects(MEMBERS) for m in group.properties["instances"]]
    assert {m.rpartition("/")[2] for m in members} == {name for name in after if "edge" in name}


def test_a_secret_that_the_controller_renews_is_never_written_again(program):
    now = {**EDITED, "HOST_TEXT": "#cloud-config\n# other\n"}
    assert set(program.preview(**now, LEAF="other")) == {"same"}
    assert program.up(**now, TOKEN="hf_other")["replace"] == 1


def test_an_edited_object_is_edited_and_not_deleted(program):
    now = {**EDITED, "HOST_TEXT": "#cloud-config\n# other\n", "TOKEN": "hf_other"}
    assert program.up(**now, DESIRED='{"x": 1}')["update"] == 1
    assert not program.live.journal("delete", "gcp:storage/bucketObject:BucketObject")


def test_a_controller_elsewhere_is_declared_and_everything_is_destroyed_at_the_end(program):
    assert program.up(AWAY="yes")
    program.destroy(AWAY="yes")
    assert program.live.objects() == []


def test_an_environment_that_was_destroyed_is_created_again_at_once_as_another_incarnation(program):
    assert "a deleted pool keeps its id for 30 days" in program.refused("up", AWAY="yes")
    assert "create" in program.up(AWAY="yes", INCARNATION="2")
    program.destroy(AWAY="yes", INCARNATION="2")
    assert program.live.objects() == []
