import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.envoy import names, routes, xds
from spec.desired import Routing
from spec.snapshot import Endpoint, Key, Snapshot, SnapshotService

DIRECTORY = Path("/srv/edge")


def snapshot(*services, keys=()):
    return Snapshot(epoch=1, seq=1, edge_id="e", services=services, keys=keys)


def service(name="chat", *endpoints, **routing):
    return SnapshotService(name=name, endpoints=endpoints, routing=Routing(**routing))


def endpoint(n=1, **more):
    return Endpoint(**{"replica_id": f"r{n}", "address": "10.0.0.1", "port": 8000 + n, **more})


def files(snap):
    return xds.render(snap, directory=DIRECTORY)


def resources(snap, file):
    return json.loads(files(snap)[file])["resources"]


def assignment(*endpoints):
    [found] = resources(snapshot(service("chat", *endpoints)), "eds-chat.json")
    return found["endpoints"]


def routed_clusters(snap):
    [config] = resources(snap, names.RDS_FILE)
    found = [r["route"]["cluster"] for r in config["virtual_hosts"][0]["routes"] if "route" in r]
    return set(found) - {names.NO_CLUSTER}


def test_the_order_of_a_snapshots_parts_does_not_matter():
    services = [service("a", endpoint(1), endpoint(2)), service("b", endpoint(3))]
    keys = [Key(id=f"k{n}", sha256=f"{n}" * 64) for n in range(3)]
    turned = [s.model_copy(update={"endpoints": s.endpoints[::-1]}) for s in services[::-1]]
    assert files(snapshot(*services, keys=tuple(keys))) == files(snapshot(*turned, keys=tuple(keys[::-1])))


def test_an_engines_model_chooses_its_service_beside_the_services_name():
    found = routes.claims([service("chat", model="chat-demo"), service("code", model="code-demo")])
    assert found == {"chat": ["chat", "chat-demo"], "code": ["code", "code-demo"]}


def test_models_that_are_named_go_before_those_that_engines_have():
    found = routes.claims([service("blue", model="m"), service("green", models=("m",), model="x")])
    assert found == {"blue": ["blue"], "green": ["green", "m"]}


def test_a_model_that_two_services_have_chooses_neither():
    found = routes.claims([service("blue", model="m"), service("green", model="m")])
    assert found == {"blue": ["blue"], "green": ["green"]}


def test_a_new_number_alone_changes_no_file():
    one = snapshot(service("chat", endpoint()))
    assert files(one) == files(one.model_copy(update={"epoch": 2, "seq": 77}))


def test_keys_are_there_by_hash_only():
    [extension] = resources(snapshot(keys=(Key(id="alice", sha256="a" * 64),)), names.KEYS_FILE)
    assert extension["typed_config"]["credentials"] == [{"key": "a" * 64, "client": "alice"}]
    assert extension["typed_config"]["key_sources"] == [{"header": names.KEY_HASH_HEADER}]
    assert extension["typed_config"]["forwarding"]["hide_credentials"] is True


def test_one_hash_under_two_ids_is_one_credential():
    keys = tuple(Key(id=i, sha256="a" * 64) for i in ("bob", "alice"))
    [extension] = resources(snapshot(keys=keys), names.KEYS_FILE)
    assert extension["typed_config"]["credentials"] == [{"key": "a" * 64, "client": "alice"}]


def test_priorities_are_made_dense():
    found = assignment(endpoint(1, priority=7), endpoint(2, priority=3), endpoint(3, priority=7))
    assert [(e["priority"], len(e["lb_endpoints"])) for e in found] == [(0, 1), (1, 2)]


def test_a_draining_replica_is_told_as_draining():
    [locality] = assignment(endpoint(1, draining=True), endpoint(2))
    assert [e["health_status"] for e in locality["lb_endpoints"]] == ["DRAINING", "HEALTHY"]


@pytest.mark.parametrize("address", ["replica.internal", "", "10.0.0.1:80", "fe80::1%eth0", "1.2.3"])
def test_an_address_that_envoy_would_refuse_costs_only_its_own_replica(address):
    bad = endpoint(1, address=address)
    [locality] = assignment(bad, endpoint(2))
    assert len(locality["lb_endpoints"]) == 1
    [said] = xds.problems(snapshot(service("chat", bad, endpoint(2))))
    assert "r1" in said


def test_one_address_is_there_once():
    [locality] = assignment(endpoint(1), endpoint(1, replica_id="again", priority=4))
    assert len(locality["lb_endpoints"]) == 1


def test_two_services_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'chat'"):
        files(snapshot(service("chat"), service("chat")))


@pytest.mark.parametrize("name", ["", names.NO_CLUSTER])
def test_a_name_that_means_no_service_is_refused(name):
    with pytest.raises(ValueError, match="named"):
        files(snapshot(service(name)))


def test_the_answer_timeout_is_off_and_the_idle_timeout_is_the_services():
    [config] = resources(snapshot(service("chat", stream_idle_timeout_s=12.5)), names.RDS_FILE)
    actions = [r["route"] for r in config["virtual_hosts"][0]["routes"] if "route" in r]
    assert {(a["timeout"], a["idle_timeout"]) for a in actions} == {("0s", "12.500s")}


def test_round_robin_is_there_for_those_who_ask():
    [cluster] = resources(snapshot(service("chat", policy="round_robin")), names.CDS_FILE)
    [policy] = cluster["load_balancing_policy"]["policies"]
    assert policy["typed_extension_config"]["name"].endswith("round_robin")


def test_the_body_limit_is_the_largest_of_all():
    snap = snapshot(service("a", max_request_bytes=5), service("b", max_request_bytes=7, models=("m",)))
    [extension] = resources(snap, names.BODY_LIMIT_FILE)
    assert extension["typed_config"]["max_request_bytes"] == "7"


def test_the_body_is_not_scanned_for_a_single_service():
    def scanned(snap):
        [config] = resources(snap, names.RDS_FILE)
        routes = config["virtual_hosts"][0]["routes"]
        found = [r["metadata"]["filter_metadata"].get(names.ADMIT_FILTER) for r in routes if "metadata" in r]
        return {f.get("scan", False) for f in found if f is not None}

    assert scanned(snapshot(service("chat"))) == {False}
    assert scanned(snapshot(service("chat"), service("code", models=("c",)))) == {True}


def test_a_model_that_two_services_name_goes_to_the_first_by_name():
    snap = snapshot(service("b", models=("m",)), service("a", models=("m",)))
    [config] = resources(snap, names.RDS_FILE)
    owners = [
        r["route"]["cluster"]
        for r in config["virtual_hosts"][0]["routes"]
        if "route" in r and '"m"' in json.dumps(r["match"])
    ]
    assert set(owners) == {"a"}


def test_several_services_without_models_are_named_as_a_problem():
    assert "own names" in xds.problems(snapshot(service("a"), service("b")))[0]
    assert xds.problems(snapshot(service("a"), service("b", models=("m",)))) == []


hostile = st.text(min_size=1, max_size=40).filter(lambda n: n not in (names.NO_CLUSTER, names.AGENT_CLUSTER))


@given(names_=st.lists(hostile, min_size=1, max_size=5, unique=True), model=hostile)
def test_no_name_breaks_a_file_or_leaves_the_folder(names_, model):
    snap = snapshot(*(service(n, endpoint(), models=(model + n,)) for n in names_))
    found = files(snap)
    assert len(found) == len(names_) + 4
    for file, text in found.items():
        assert re.fullmatch(r"[a-z0-9~_-]+\.json", file)
        assert isinstance(json.loads(text)["resources"], list)
    assert routed_clusters(snap) == set(names_)
    assert {c["name"] for c in resources(snap, names.CDS_FILE)} == set(names_)


@given(st.lists(hostile, min_size=2, max_size=8, unique=True))
def test_two_names_never_share_a_file_even_where_case_does_not_count(found):
    assert len({names.eds_file(n).lower() for n in found}) == len(found)


@given(st.lists(hostile, max_size=30, unique=True))
def test_a_direct_answer_is_never_larger_than_what_is_allowed(models):
    snap = snapshot(service("a", models=tuple(models)), service("b"))
    config = routes.render(snap)
    for route in config["virtual_hosts"][0]["routes"]:
        text = route.get("direct_response", {}).get("body", {}).get("inline_string", "")
        assert len(text.encode()) <= config["max_direct_response_body_size_bytes"]
