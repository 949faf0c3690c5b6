"""Where a service may run that reads a bucket."""

import pytest

from planner.constraints import Constraints
from planner.planner import plan
from planner.rank import NoPlace
from spec.service import Mount

MOUNTS = (Mount(target="/m", source="gs://weights/llama"),)


def test_only_the_clouds_whose_machines_can_read_the_bucket_are_planned_and_the_others_say_why(
    service, catalog
):
    planned = plan([service("L4:1", file_mounts=MOUNTS)], catalog, Constraints(), env="e").services[0]
    assert {p.cloud for p in planned.pools} == {"gcp"}
    reasons = {(x.cloud, x.reason) for x in planned.left_out if "file_mounts" in x.reason}
    assert ("aws", "`file_mounts` has gs://weights/llama, which only machines of gcp can read") in reasons


def test_a_service_that_may_run_nowhere_is_told_which_bucket_stands_in_the_way(service, catalog):
    with pytest.raises(NoPlace, match=r"can read gs://weights/llama"):
        plan([service("L4:1", file_mounts=MOUNTS)], catalog, Constraints(clouds=("aws",)), env="e")


def test_the_local_cloud_runs_it_without_and_says_so(service, catalog):
    planned = plan(
        [service("L4:1", file_mounts=MOUNTS)], catalog, Constraints(clouds=("local",)), env="dev"
    ).services[0]
    assert {p.cloud for p in planned.pools} == {"local"}
    assert any("the local cloud copies and mounts nothing" in note for note in planned.notes)
