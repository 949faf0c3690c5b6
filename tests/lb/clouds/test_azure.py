"""The driver of Azure against a stand-in that answers as its Resource Manager does."""

import asyncio
import json

import httpx
import pytest

from lb.clouds.azure import AzureDriver
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

SUBSCRIPTION, GROUP, SET = "0000-1111", "tw-test-eastus", "tw-test-chat-1234"
COMPUTE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute"
NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network"


def a_pool(scale_set=SET, resource_group=GROUP):
    return Pool(
        id="chat.azure.eastus.A100-80GBx1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="azure",
        region="eastus",
        market=Market.SPOT,
        accelerator="A100-80GB",
        accelerator_count=1,
        instance_types=("Standard_NC24ads_A100_v4",),
        resource={"resource_group": resource_group, "scale_set": scale_set},
        max_size=4,
        prices=Prices(spot=0.9, on_demand=3.7),
    )


POOL = a_pool()


class ResourceManager:
    """One resource group with one scale set; ids come back in other letters than they were asked for."""

    def __init__(self):
        self.capacity, self.machines, self.statuses, self.fail = 0, {}, [], None

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        assert "api-version=" in str(request.url)
        if self.fail:
            status, body = self.fail
            return httpx.Response(status, json=body)
        path, method = request.url.path, request.method
        body = json.loads(request.content or b"{}")
        if method == "PATCH" and path == f"{COMPUTE}/virtualMachineScaleSets/{SET}":
            assert body.keys() == {"sku"}, "a size and nothing else"
            self.grow(body["sku"]["capacity"])
            return httpx.Response(202)
        if method == "POST" and path == f"{COMPUTE}/virtualMachineScaleSets/{SET}/delete":
            for name in body["instanceIds"]:
                if self.machines.pop(name, None) is None:
                    return httpx.Response(404, json={"error": {"code": "NotFound", "message": name}})
                self.capacity -= 1
            return httpx.Response(202)
        listings = {
            f"{COMPUTE}/virtualMachineScaleSets": self.sets,
            f"{COMPUTE}/virtualMachines": self.vms,
            f"{NETWORK}/networkInterfaces": self.cards,
            f"{NETWORK}/publicIPAddresses": self.addresses,
        }
        if path in listings:
            return httpx.Response(200, json={"value": listings[path]()})
        if path == f"{COMPUTE}/virtualMachineScaleSets/{SET}/instanceView":
            return httpx.Response(200, json={"statuses": self.statuses})
        error = {"code": "ResourceGroupNotFound", "message": path}
        return httpx.Response(404, json={"error": error})

    def grow(self, capacity):
        self.capacity = capacity
        for i in range(len(self.machines), capacity):
            self.machines[f"{SET}_{i:08}"] = "Succeeded"

    def id(self, name, kind="Microsoft.Compute/virtualMachines"):
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP.upper()}/providers/{kind}/{name}"

    def sets(self):
        return [
            {
                "id": self.id(SET, "Microsoft.Compute/virtualMachineScaleSets"),
                "sku": {"capacity": self.capacity},
            }
        ]

    def vms(self):
        of_set = {"id": self.id(SET, "microsoft.compute/VirtualMachineScaleSets")}
        return [
            {
                "id": self.id(name),
                "name": name,
                "properties": {
                    "provisioningState": state,
                    "timeCreated": "2026-11-01T12:00:00.1234567+00:00",
                    "virtualMachineScaleSet": of_set,
                },
            }
            for name, state in self.machines.items()
        ] + [
            {
                "id": self.id("host"),
                "name": "host",
                "properties": {"timeCreated": "2026-11-01T12:00:00+00:00"},
            }
        ]

    def cards(self):
        return [
            {
                "properties": {
                    "virtualMachine": {"id": self.id(name).lower()},
                    "ipConfigurations": [
                        {
                            "properties": {
                                "privateIPAddress": "10.65.0.4",
                                "publicIPAddress": {"id": self.id(f"ip-{name}", "x").upper()},
                            }
                        }
                    ],
                }
            }
            for name in self.machines
        ] + [{"properties": {}}]

    def addresses(self):
        return [
            {"id": self.id(f"ip-{name}", "x"), "properties": {"ipAddress": "203.0.113.9"}}
            for name in self.machines
        ]


@pytest.fixture
def manager():
    return ResourceManager()


def run(manager, use, **options):
    async def token():
        return "t0ken"

    async def go():
        async with httpx.AsyncClient(transport=httpx.MockTransport(manager)) as client:
            return await use(AzureDriver(client, token, subscription=SUBSCRIPTION, **options))

    return asyncio.run(go())


def observe(manager, *pools, **options):
    return run(manager, lambda d: d.observe(pools or (POOL,)), **options)


def test_a_scale_set_grows_to_the_size_that_is_set(manager):
    run(manager, lambda d: d.set_size(POOL, 2))
    [found] = observe(manager)
    assert (found.size, found.error) == (2, None)
    assert [(i.instance_id, i.phase, i.address, i.port) for i in found.instances] == [
        (f"{SET}_00000000", InstancePhase.RUNNING, "203.0.113.9", 9443),
        (f"{SET}_00000001", InstancePhase.RUNNING, "203.0.113.9", 9443),
    ]
    assert found.instances[0].launched_at == pytest.approx(1793534400.12)


def test_the_named_machine_ends_and_the_size_falls_with_it(manager):
    run(manager, lambda d: d.set_size(POOL, 2))
    run(manager, lambda d: d.terminate(POOL, f"{SET}_00000000"))
    [found] = observe(manager)
    assert found.size == 1
    assert [i.instance_id for i in found.instances] == [f"{SET}_00000001"]


def test_ending_a_machine_that_is_gone_is_success(manager):
    run(manager, lambda d: d.terminate(POOL, "gone"))


def test_callers_of_the_same_network_use_the_private_address(manager):
    run(manager, lambda d: d.set_size(POOL, 1))
    [found] = observe(manager, private_in=frozenset({"eastus"}))
    assert found.instances[0].address == "10.65.0.4"


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("Creating", InstancePhase.PENDING),
        ("Deleting", InstancePhase.STOPPING),
        ("Failed", InstancePhase.STOPPING),
    ],
)
def test_a_machine_that_comes_or_goes_is_not_running(manager, state, phase):
    run(manager, lambda d: d.set_size(POOL, 1))
    manager.machines = dict.fromkeys(manager.machines, state)
    assert observe(manager)[0].instances[0].phase is phase


def test_refusals_arrive_from_the_state_of_a_scale_set_that_is_short_of_machines(manager):
    manager.capacity = 1
    time = "2026-11-01T12:00:00+00:00"
    manager.statuses = [
        {
            "code": "ProvisioningState/failed/AllocationFailed",
            "level": "Error",
            "message": "Allocation failed",
            "time": time,
        },
        {"code": "ProvisioningState/updating", "level": "Info", "time": time},
    ]
    [found] = observe(manager)
    assert [(r.kind, r.message) for r in found.refusals] == [("insufficient_capacity", "Allocation failed")]


def test_what_nobody_has_declared_is_an_error_of_its_pool_only(manager):
    other_set, other_group, own = observe(manager, a_pool("none"), a_pool(resource_group="away"), POOL)
    assert other_set.error == f"not_found: there is no scale set none in {GROUP}"
    assert other_group.error.startswith("not_found: 404 ResourceGroupNotFound")
    assert own.error is None


def refusal(status, code, message="no"):
    return status, {"error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (refusal(409, "AllocationFailed"), InsufficientCapacity),
        (refusal(409, "SkuNotAvailable"), InsufficientCapacity),
        (refusal(409, "OperationNotAllowed", "exceeding approved LowPriorityCores quota"), QuotaExceeded),
        (refusal(409, "OperationNotAllowed", "another operation is in progress"), Throttled),
        (refusal(429, "TooManyRequests"), Throttled),
        (refusal(403, "AuthorizationFailed"), Denied),
        (refusal(404, "ResourceNotFound"), NotFound),
        (refusal(500, "InternalServerError"), Unreachable),
    ],
)
def test_each_refusal_of_azure_has_its_word(manager, fail, expected):
    manager.fail = fail
    with pytest.raises(expected, match=fail[1]["error"]["code"]):
        run(manager, lambda d: d.set_size(POOL, 2))


def test_machines_of_a_gang_are_told_private_addresses_whichever_callers_use(manager):
    run(manager, lambda d: d.set_size(POOL, 1))
    [machine] = observe(manager)[0].instances
    assert machine.private == "10.65.0.4" != machine.address
