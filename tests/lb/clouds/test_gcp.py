"""The driver of GCP against a stand-in that answers as Compute Engine's REST interface does."""

import asyncio
import json
import re
from urllib.parse import parse_qs

import httpx
import pytest

from lb.clouds.gcp import GcpDriver
from lb.clouds.protocol import (
    Denied,
    InstancePhase,
    InsufficientCapacity,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unreachable,
)
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind

PROJECT, ENV, ZONE, GROUP = "acme", "test", "us-central1-a", "tw-test-chat-1234"
ROOT = f"/compute/v1/projects/{PROJECT}"


def a_pool(zone=ZONE, group=GROUP):
    return Pool(
        id=f"chat.gcp.{zone}.L4x1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="gcp",
        region=zone[:-2],
        zone=zone,
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("g2-standard-8",),
        resource={"group": group},
        max_size=4,
        prices=Prices(spot=0.3, on_demand=0.8),
    )


POOL = a_pool()


class ComputeEngine:
    """Groups and machines of one project; a machine appears as soon as a size asks for it."""

    def __init__(self):
        self.sizes, self.machines, self.errors, self.made = {(ZONE, GROUP): 0}, {}, [], 0
        self.fail, self.action, self.page = None, "NONE", 500

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        if self.fail:
            status, body = self.fail
            return httpx.Response(status, json=body)
        path, query = request.url.path, parse_qs(request.url.query.decode())
        if path == f"{ROOT}/aggregated/instanceGroupManagers":
            assert query["filter"] == ["name eq tw-test-.*"]
            groups = [
                {"name": n, "zone": f"https://x/projects/{PROJECT}/zones/{z}", "targetSize": s}
                for (z, n), s in self.sizes.items()
            ]
            items = {"zones/a": {"instanceGroupManagers": groups}, "zones/b": {"warning": {}}}
            return httpx.Response(200, json={"items": items})
        if path == f"{ROOT}/aggregated/instances":
            assert query["filter"] == ["labels.tradewind-env = test"]
            machines = list(self.machines.values())
            start = int(query.get("pageToken", ["0"])[0])
            answer = {"items": {"zones/a": {"instances": machines[start : start + self.page]}}}
            if start + self.page < len(machines):
                answer["nextPageToken"] = str(start + self.page)
            return httpx.Response(200, json=answer)
        found = re.fullmatch(rf"{ROOT}/zones/([^/]+)/instanceGroupManagers/([^/]+)/(\w+)", path)
        zone, name, verb = found.groups()
        if (zone, name) not in self.sizes:
            return httpx.Response(404, json={"error": {"code": 404, "message": f"{name} was not found"}})
        return httpx.Response(200, json=getattr(self, verb)(zone, name, query, request))

    def resize(self, zone, name, query, _request):
        size = self.sizes[zone, name] = int(query["size"][0])
        for _ in range(size - len(self.machines)):
            self.made += 1
            url = f"https://www.googleapis.com{ROOT}/zones/{zone}/instances/{name}-{self.made:04}"
            self.machines[url] = {
                "id": str(7000 + self.made),
                "selfLink": url,
                "status": "RUNNING",
                "creationTimestamp": "2026-11-01T04:00:00.000-07:00",
                "networkInterfaces": [
                    {"networkIP": "10.64.0.2", "accessConfigs": [{"natIP": "203.0.113.7"}]}
                ],
            }
        return {}

    def listManagedInstances(self, *_):  # noqa: N802  Google's name
        known = [
            {"instance": u, "id": m["id"], "currentAction": self.action} for u, m in self.machines.items()
        ]
        to_come = [{"instance": f"https://x{ROOT}/zones/z/instances/none", "currentAction": "CREATING"}]
        return {"managedInstances": known + to_come}

    def listErrors(self, *_):  # noqa: N802  Google's name
        return {"items": self.errors}

    def deleteInstances(self, zone, name, _query, request):  # noqa: N802  Google's name
        for url in json.loads(request.content)["instances"]:
            del self.machines[url]
            self.sizes[zone, name] -= 1
        return {}


@pytest.fixture
def engine():
    return ComputeEngine()


def run(engine, use, **options):
    async def token():
        return "t0ken"

    async def go():
        async with httpx.AsyncClient(transport=httpx.MockTransport(engine)) as client:
            return await use(GcpDriver(client, token, project=PROJECT, env=ENV, **options))

    return asyncio.run(go())


def observe(engine, *pools, **options):
    return run(engine, lambda d: d.observe(pools or (POOL,)), **options)


def test_a_group_grows_to_the_size_that_is_set(engine):
    run(engine, lambda d: d.set_size(POOL, 2))
    [found] = observe(engine)
    assert (found.size, found.error) == (2, None)
    assert [(i.instance_id, i.phase, i.address, i.port) for i in found.instances] == [
        ("7001", InstancePhase.RUNNING, "203.0.113.7", 9443),
        ("7002", InstancePhase.RUNNING, "203.0.113.7", 9443),
    ]
    assert found.instances[0].launched_at == 1793530800.0


def test_a_listing_of_several_pages_is_read_to_its_end(engine):
    engine.page = 1
    run(engine, lambda d: d.set_size(POOL, 3))
    assert len(observe(engine)[0].instances) == 3


def test_the_named_machine_ends_and_the_size_falls_with_it(engine):
    run(engine, lambda d: d.set_size(POOL, 2))
    run(engine, lambda d: d.terminate(POOL, "7001"))
    [found] = observe(engine)
    assert found.size == 1
    assert [i.instance_id for i in found.instances] == ["7002"]


def test_ending_a_machine_that_is_gone_is_success(engine):
    run(engine, lambda d: d.set_size(POOL, 1))
    run(engine, lambda d: d.terminate(POOL, "1"))
    assert observe(engine)[0].size == 1


def test_a_machine_made_again_under_its_old_name_is_another_one(engine):
    run(engine, lambda d: d.set_size(POOL, 1))
    [url] = engine.machines
    engine.machines[url]["id"] = "9999"
    assert [i.instance_id for i in observe(engine)[0].instances] == ["9999"]


def test_a_machine_that_the_group_is_about_to_delete_is_stopping(engine):
    run(engine, lambda d: d.set_size(POOL, 1))
    engine.action = "DELETING"
    assert observe(engine)[0].instances[0].phase is InstancePhase.STOPPING


def test_callers_of_the_same_network_use_the_private_address(engine):
    run(engine, lambda d: d.set_size(POOL, 1))
    [found] = observe(engine, private_in=frozenset({"us-central1"}))
    assert found.instances[0].address == "10.64.0.2"


def test_machines_of_a_gang_are_told_private_addresses_whichever_callers_use(engine):
    run(engine, lambda d: d.set_size(POOL, 1))
    [machine] = observe(engine)[0].instances
    assert machine.private == "10.64.0.2" != machine.address


def test_refusals_arrive_from_the_errors_of_a_group_that_is_short_of_machines(engine):
    engine.sizes[ZONE, GROUP] = 1
    engine.errors = [
        {
            "error": {"code": "QUOTA_EXCEEDED", "message": "Quota 'GPUS' exceeded"},
            "timestamp": "2026-11-01T12:01:00Z",
        },
        {
            "error": {"code": "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "message": "no L4"},
            "timestamp": "2026-11-01T12:00:00Z",
        },
    ]
    [found] = observe(engine)
    assert [r.kind for r in found.refusals] == ["insufficient_capacity", "quota_exceeded"], "oldest first"


def test_a_group_that_nobody_has_declared_is_an_error_of_its_pool_only(engine):
    first, second = observe(engine, a_pool("us-central1-b"), POOL)
    assert first.error == f"not_found: there is no instance group {GROUP} in us-central1-b"
    assert second.error is None


def refusal(status, reason, message="no"):
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (refusal(403, "rateLimitExceeded"), Throttled),
        (refusal(403, "quotaExceeded"), QuotaExceeded),
        (refusal(403, "forbidden"), Denied),
        (refusal(401, "authError"), Denied),
        (refusal(404, "notFound"), NotFound),
        (refusal(429, "rateLimitExceeded"), Throttled),
        (refusal(503, "backendError"), Unreachable),
        ((500, ["not", "an", "object"]), Unreachable),
    ],
)
def test_each_refusal_of_google_has_its_word(engine, fail, expected):
    engine.fail = fail
    with pytest.raises(expected, match=str(fail[0])):
        run(engine, lambda d: d.set_size(POOL, 2))


def test_a_cloud_that_does_not_answer_is_unreachable():
    def silent(_request):
        raise httpx.ConnectTimeout("no answer")

    with pytest.raises(Unreachable, match="ConnectTimeout"):
        run(silent, lambda d: d.set_size(POOL, 2))


def test_full_zones_and_quotas_have_their_words():
    from lb.clouds.gcp import _refused

    assert _refused("ZONE_RESOURCE_POOL_EXHAUSTED") == InsufficientCapacity.kind
    assert _refused("QUOTA_EXCEEDED") == QuotaExceeded.kind
    assert _refused("SOMETHING_ELSE") == "error"
