import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.envoy import names, order, xds
from lb.envoy.order import Remove, Write
from spec.desired import Routing
from spec.snapshot import Endpoint, Key, Snapshot, SnapshotService

DIRECTORY = Path("/srv/edge")


def files(services, key="a"):
    """`services`: name -> port of its only replica, or None for no replica."""
    made = tuple(
        SnapshotService(
            name=name,
            routing=Routing(models=(f"m-{name}",)),
            endpoints=(Endpoint(replica_id="r", address="10.0.0.1", port=port),) if port else (),
        )
        for name, port in services.items()
    )
    keys = (Key(id="k", sha256=key * 64),)
    return xds.render(Snapshot(epoch=1, seq=1, edge_id="e", services=made, keys=keys), directory=DIRECTORY)


def clusters_in(disk):
    return {c["name"]: c for c in json.loads(disk[names.CDS_FILE])["resources"]}


def assert_whole(disk):
    """What Envoy would find if it looked now: every route has its cluster, every cluster its file."""
    clusters = clusters_in(disk)
    for name in clusters:
        assert names.eds_file(name) in disk
    [config] = json.loads(disk[names.RDS_FILE])["resources"]
    routed = {r["route"]["cluster"] for r in config["virtual_hosts"][0]["routes"] if "route" in r}
    assert routed - {names.NO_CLUSTER} <= clusters.keys()


def walk(old, new):
    disk = dict(old)
    for step in order.steps(old, new):
        if isinstance(step, Write):
            disk[step.file] = step.text
        else:
            assert isinstance(step, Remove)
            del disk[step.file]
        yield disk


services = st.dictionaries(st.sampled_from(["a", "b", "c", "D/d"]), st.sampled_from([None, 1, 2]))


@given(services, services)
def test_no_step_leaves_a_route_without_cluster_or_a_cluster_without_endpoints(before, after):
    old, new = files(before), files(after, key="b")
    disk = old
    for disk in walk(old, new):
        assert_whole(disk)
    assert disk == new


def test_nothing_changed_is_no_step():
    assert order.steps(files({"a": 1}), files({"a": 1})) == []


def test_a_replica_more_is_one_file():
    assert [s.file for s in order.steps(files({"a": 1}), files({"a": 2}))] == ["eds-a.json"]


def test_a_revoked_key_does_not_wait_for_anything():
    assert order.steps(files({"a": 1}, key="a"), files({"b": 1}, key="b"))[0].file == names.KEYS_FILE


def test_a_service_that_takes_anothers_place_has_its_cluster_before_the_other_goes():
    seen = [set(clusters_in(disk)) for disk in walk(files({"a": 1}), files({"b": 1}))]
    assert {"a", "b"} in seen


def test_a_torn_file_is_replaced_like_a_missing_one():
    new = files({"a": 1})
    for torn in ("", "{", "[]", '{"resources": [1]}'):
        *_, disk = walk({**new, names.CDS_FILE: torn}, new)
        assert disk == new
    *_, disk = walk({}, new)
    assert disk == new


def held(*, endpoint, hold, draining=False):
    """The files of one service with or without its replica, held or not."""
    there = (Endpoint(replica_id="r", address="10.0.0.1", port=1, draining=draining),) if endpoint else ()
    made = SnapshotService(name="a", routing=Routing(), endpoints=there, hold=hold)
    return xds.render(Snapshot(epoch=1, seq=1, edge_id="e", services=(made,)), directory=DIRECTORY)


UP = held(endpoint=True, hold=False)
DRAINING = held(endpoint=True, hold=True, draining=True)
EMPTY = held(endpoint=False, hold=True)


@pytest.mark.parametrize("zero", [EMPTY, DRAINING], ids=["empty", "draining"])
def test_requests_are_held_before_the_last_endpoint_goes_and_until_the_first_has_come(zero):
    eds = names.eds_file("a")
    assert [s.file for s in order.steps(UP, zero)] == [names.RDS_FILE, eds]
    assert [s.file for s in order.steps(zero, UP)] == [eds, names.RDS_FILE]


def test_a_new_service_without_endpoints_has_its_file_before_its_cluster():
    nothing = xds.render(Snapshot(epoch=1, seq=1, edge_id="e"), directory=DIRECTORY)
    found = [s.file for s in order.steps(nothing, EMPTY)]
    assert found.index(names.eds_file("a")) < found.index(names.CDS_FILE) < found.index(names.RDS_FILE)
