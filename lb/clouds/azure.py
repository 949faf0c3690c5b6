"""The driver of Azure: a Flexible scale set per pool, grown by its capacity and shrunk by name.

Everything of an environment in one region is in one resource group, so a look costs four listings a group: scale
sets, machines, network cards, public addresses. Azure refuses a launch after it has accepted it; why is in the state of
the scale set, which is read when machines are missing. What it evicts it does not bring back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from lb.clouds.protocol import (
    REPLICA_PORT,
    DriverError,
    Instance,
    InstancePhase,
    InsufficientCapacity,
    NotFound,
    PoolObservation,
    QuotaExceeded,
    Refusal,
    Throttled,
)
from lb.clouds.rest import Rest, Token, endpoint
from spec.desired import Pool, Prices

BASE = "https://management.azure.com"
ELSEWHERE = "AZURE_RESOURCE_MANAGER_ENDPOINT"
"""Azure's own operators read the Resource Manager's place from this one."""
COMPUTE = "2024-11-01"
NETWORK = "2024-05-01"

_STOPPING = frozenset({"Deleting", "Failed"})


@dataclass(frozen=True)
class _Group:
    """A resource group at one moment; everything by lower-case id, for Azure changes the case as it likes."""

    sets: Mapping[str, Mapping[str, Any]]
    machines: Mapping[str, list[Mapping[str, Any]]]
    """By scale set."""
    private: Mapping[str, str]
    """Addresses by machine."""
    public: Mapping[str, str]


class AzureDriver:
    """Drives the scale sets of one environment; a pool's `resource` names its `resource_group` and `scale_set`; see AwsDriver."""

    refills = False

    def __init__(
        self,
        client: httpx.AsyncClient,
        token: Token,
        *,
        subscription: str,
        regions: frozenset[str] = frozenset(),
        private_in: frozenset[str] = frozenset(),
    ) -> None:
        self._rest = Rest(client, endpoint(ELSEWHERE, BASE), token, refine=_refine)
        self._subscription = f"/subscriptions/{subscription}"
        self._regions = regions
        self._private_in = private_in

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        """One observation per pool. A resource group that fails costs only its own pools."""
        names = sorted({p.resource["resource_group"] for p in pools})
        answers = await asyncio.gather(*(self._look(n) for n in names), return_exceptions=True)
        groups = dict(zip(names, answers, strict=True))
        return list(
            await asyncio.gather(*(self._observe(p, groups[p.resource["resource_group"]]) for p in pools))
        )

    async def set_size(self, pool: Pool, size: int) -> None:
        """Sets the scale set's capacity and nothing else of it."""
        sku = {"name": pool.instance_types[0], "tier": "Standard", "capacity": size}
        await self._rest.call("PATCH", self._set(pool), params={"api-version": COMPUTE}, body={"sku": sku})

    async def terminate(self, pool: Pool, instance_id: str) -> None:
        """Deletes the machine of that name from the scale set, whose capacity falls with it."""
        try:
            await self._rest.call(
                "POST",
                f"{self._set(pool)}/delete",
                params={"api-version": COMPUTE, "forceDeletion": "true"},
                body={"instanceIds": [instance_id]},
            )
        except NotFound:
            return

    async def prices(self, pools: Sequence[Pool]) -> dict[str, Prices]:  # noqa: ARG002  the protocol's
        """None: the price table holds."""
        return {}

    async def quotas(self) -> dict[str, float]:
        """Limits on vCPUs by `{region}/{family}`."""
        limits: dict[str, float] = {}
        for region in sorted(self._regions):
            path = f"{self._subscription}/providers/Microsoft.Compute/locations/{region}/usages"
            limits |= {
                f"{region}/{u['name']['value']}": float(u["limit"]) for u in await self._list(path, COMPUTE)
            }
        return limits

    # ------------------------------------------------------------ one look

    async def _look(self, resource_group: str) -> _Group:
        compute = f"{self._subscription}/resourceGroups/{resource_group}/providers/Microsoft.Compute"
        network = f"{self._subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network"
        sets, machines, cards, addresses = await asyncio.gather(
            self._list(f"{compute}/virtualMachineScaleSets", COMPUTE),
            self._list(f"{compute}/virtualMachines", COMPUTE),
            self._list(f"{network}/networkInterfaces", NETWORK),
            self._list(f"{network}/publicIPAddresses", NETWORK),
        )
        ips = {a["id"].lower(): a["properties"].get("ipAddress") for a in addresses}
        private, public = {}, {}
        for card in cards:
            machine = (card["properties"].get("virtualMachine") or {}).get("id", "").lower()
            for configuration in card["properties"].get("ipConfigurations", ()):
                of_card = configuration["properties"]
                private[machine] = of_card.get("privateIPAddress")
                public[machine] = ips.get((of_card.get("publicIPAddress") or {}).get("id", "").lower())
        of_sets: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for machine in machines:
            of_sets[(machine["properties"].get("virtualMachineScaleSet") or {}).get("id", "").lower()].append(
                machine
            )
        return _Group({s["id"].lower(): s for s in sets}, of_sets, private, public)

    async def _list(self, path: str, version: str) -> list[dict[str, Any]]:
        pages = self._rest.pages(path, params={"api-version": version})
        return [item async for page in pages for item in page.get("value", ())]

    async def _observe(self, pool: Pool, group: _Group | BaseException) -> PoolObservation:
        if isinstance(group, DriverError):
            return PoolObservation(pool.id, 0, error=f"{group.kind}: {group}")
        if isinstance(group, BaseException):
            raise group
        key = self._set(pool).lower()
        if key not in group.sets:
            why = f"there is no scale set {pool.resource['scale_set']} in {pool.resource['resource_group']}"
            return PoolObservation(pool.id, 0, error=f"{NotFound.kind}: {why}")
        size = int(group.sets[key]["sku"].get("capacity", 0))
        instances = tuple(self._instance(pool, m, group) for m in group.machines.get(key, ()))
        try:
            refusals = await self._refusals(pool) if len(instances) < size else ()
        except DriverError as e:
            return PoolObservation(pool.id, 0, error=f"{e.kind}: {e}")
        return PoolObservation(pool.id, size, instances, refusals)

    def _instance(self, pool: Pool, machine: Mapping[str, Any], group: _Group) -> Instance:
        addresses = group.private if pool.region in self._private_in else group.public
        of_machine, key = machine["properties"], machine["id"].lower()
        state = of_machine.get("provisioningState", "")
        phase = InstancePhase.RUNNING if state in ("Succeeded", "Updating") else InstancePhase.PENDING
        return Instance(
            machine["name"],
            InstancePhase.STOPPING if state in _STOPPING else phase,
            addresses.get(key),
            REPLICA_PORT,
            REPLICA_PORT,
            datetime.fromisoformat(of_machine["timeCreated"]).timestamp(),
            private=group.private.get(key),
        )

    async def _refusals(self, pool: Pool) -> tuple[Refusal, ...]:
        view = await self._rest.call(
            "GET", f"{self._set(pool)}/instanceView", params={"api-version": COMPUTE}
        )
        return tuple(
            Refusal(
                _refused(status["code"], status.get("message", "")),
                status.get("message") or status["code"],
                datetime.fromisoformat(status["time"]).timestamp(),
            )
            for status in view.get("statuses", ())
            if status.get("level") == "Error" and status.get("time")
        )

    def _set(self, pool: Pool) -> str:
        group, name = pool.resource["resource_group"], pool.resource["scale_set"]
        return f"{self._subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"


# ---------------------------------------------------------------- errors

_CAPACITY = (
    "AllocationFailed",
    "SkuNotAvailable",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "CapacityNotAvailable",
)


def _refused(code: str, message: str) -> str:
    text = f"{code} {message}"
    if "QuotaExceeded" in text or "quota" in message.lower():
        return QuotaExceeded.kind
    if any(sign in text for sign in _CAPACITY):
        return InsufficientCapacity.kind
    return DriverError.kind


def _refine(code: str, message: str) -> type[DriverError] | None:
    """A full region and a used-up quota are both a 409, like a change that is still under way."""
    known = {InsufficientCapacity.kind: InsufficientCapacity, QuotaExceeded.kind: QuotaExceeded}
    if code in ("OperationNotAllowed", "Conflict") and "quota" not in message.lower():
        return Throttled
    return known.get(_refused(code, message))
