"""The driver of GCP: a zonal managed instance group per pool, grown by its target size and shrunk by name.

A look costs two calls for all groups and all machines of the environment, whatever their zones, and two more for each
group that wants machines. A machine is known by the number that Compute Engine gives it: a group makes a machine that
it lost again under its old name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from spec.labels import ENV_TAG

BASE = "https://compute.googleapis.com/compute/v1"
ELSEWHERE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"
"""Google's own variable for the endpoint that Private Service Connect gives a project."""
CALLS_AT_ONCE = 16

_PHASES = {
    "RUNNING": InstancePhase.RUNNING,
    "STOPPING": InstancePhase.STOPPING,
    "PENDING_STOP": InstancePhase.STOPPING,
    "SUSPENDING": InstancePhase.STOPPING,
    "STOPPED": InstancePhase.STOPPING,
    "TERMINATED": InstancePhase.STOPPING,
}
_ENDING = frozenset({"DELETING", "ABANDONING", "RECREATING"})


class GcpDriver:
    """Drives the managed instance groups of one environment; a pool's `resource` names its `group`."""

    refills = True

    def __init__(
        self,
        client: httpx.AsyncClient,
        token: Token,
        *,
        project: str,
        env: str,
        private_in: frozenset[str] = frozenset(),
    ) -> None:
        self._rest = Rest(client, endpoint(ELSEWHERE, BASE), token, refine=_refine)
        self._project = f"/projects/{project}"
        self._env = env
        self._private_in = private_in
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        """One observation per pool, in their order."""
        groups, machines = await asyncio.gather(self._groups(), self._machines())
        return list(await asyncio.gather(*(self._observe(p, groups, machines) for p in pools)))

    async def set_size(self, pool: Pool, size: int) -> None:
        """Sets the group's target size; machines come later, or an error in its list does."""
        await self._rest.call("POST", f"{self._group(pool)}/resize", params={"size": str(size)})

    async def terminate(self, pool: Pool, instance_id: str) -> None:
        """Deletes the machine of that number, and the target size falls with it."""
        members = await self._members(pool)
        url = next((m["instance"] for m in members if m.get("id") == instance_id), None)
        if url is not None:
            body = {"instances": [url], "skipInstancesOnValidationError": True}
            await self._rest.call("POST", f"{self._group(pool)}/deleteInstances", body=body)

    async def prices(self, pools: Sequence[Pool]) -> dict[str, Prices]:  # noqa: ARG002  the protocol's
        """None: Compute Engine tells no price of now; the price table holds."""
        return {}

    async def quotas(self) -> dict[str, float]:
        """Limits by `{region}/{metric}`."""
        return {
            f"{region['name']}/{quota['metric']}": float(quota["limit"])
            async for page in self._rest.pages(f"{self._project}/regions")
            for region in page.get("items", ())
            for quota in region.get("quotas", ())
        }

    # ------------------------------------------------------------ one look

    async def _observe(
        self, pool: Pool, groups: Mapping[tuple[str, str], int], machines: Mapping[str, Mapping[str, Any]]
    ) -> PoolObservation:
        size = groups.get((pool.zone or "", pool.resource["group"]))
        if size is None:
            why = f"there is no instance group {pool.resource['group']} in {pool.zone}"
            return PoolObservation(pool.id, 0, error=f"{NotFound.kind}: {why}")
        if size == 0 and not any(_is_of(pool, url) for url in machines):
            return PoolObservation(pool.id, 0)
        try:
            async with self._slots:
                members = await self._members(pool)
                found = [self._instance(pool, m, machines.get(_path(m["instance"]))) for m in members]
                instances = tuple(i for i in found if i is not None)
                refusals = await self._refusals(pool) if len(instances) < size else ()
        except DriverError as e:
            return PoolObservation(pool.id, 0, error=f"{e.kind}: {e}")
        return PoolObservation(pool.id, size, instances, refusals)

    async def _groups(self) -> dict[tuple[str, str], int]:
        """Target sizes by zone and name."""
        params = {"filter": f"name eq tw-{self._env}-.*", "returnPartialSuccess": "true"}
        return {
            (_last(group["zone"]), group["name"]): int(group.get("targetSize", 0))
            async for page in self._rest.pages(
                f"{self._project}/aggregated/instanceGroupManagers", params=params
            )
            for scope in page.get("items", {}).values()
            for group in scope.get("instanceGroupManagers", ())
        }

    async def _machines(self) -> dict[str, Mapping[str, Any]]:
        """By the path of their URL."""
        params = {"filter": f"labels.{ENV_TAG} = {self._env}", "returnPartialSuccess": "true"}
        return {
            _path(machine["selfLink"]): machine
            async for page in self._rest.pages(f"{self._project}/aggregated/instances", params=params)
            for scope in page.get("items", {}).values()
            for machine in scope.get("instances", ())
        }

    async def _members(self, pool: Pool) -> list[dict[str, Any]]:
        return [
            member
            async for page in self._rest.pages(f"{self._group(pool)}/listManagedInstances", method="POST")
            for member in page.get("managedInstances", ())
        ]

    async def _refusals(self, pool: Pool) -> tuple[Refusal, ...]:
        return tuple(
            sorted(
                [
                    Refusal(
                        _refused(e["error"]["code"]), e["error"].get("message", ""), _moment(e["timestamp"])
                    )
                    async for page in self._rest.pages(f"{self._group(pool)}/listErrors")
                    for e in page.get("items", ())
                ],
                key=lambda refusal: refusal.at,
            )
        )

    def _instance(
        self, pool: Pool, member: Mapping[str, Any], machine: Mapping[str, Any] | None
    ) -> Instance | None:
        """None for a place in the group that has no machine yet."""
        if not member.get("id") or machine is None or machine["id"] != member["id"]:
            return None
        ending = member.get("currentAction") in _ENDING
        return Instance(
            member["id"],
            InstancePhase.STOPPING if ending else _PHASES.get(machine["status"], InstancePhase.PENDING),
            _address(machine, private=pool.region in self._private_in),
            REPLICA_PORT,
            REPLICA_PORT,
            _moment(machine["creationTimestamp"]),
            private=_address(machine, private=True),
        )

    def _group(self, pool: Pool) -> str:
        return f"{self._project}/zones/{pool.zone}/instanceGroupManagers/{pool.resource['group']}"


def _address(machine: Mapping[str, Any], *, private: bool) -> str | None:
    card = next(iter(machine.get("networkInterfaces", ())), {})
    if private:
        return card.get("networkIP")
    return next((a["natIP"] for a in card.get("accessConfigs", ()) if a.get("natIP")), None)


def _is_of(pool: Pool, path: str) -> bool:
    """Machines are named for their group, with four letters more."""
    return f"/zones/{pool.zone}/instances/{pool.resource['group']}-" in path


def _last(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _path(url: str) -> str:
    """Without the host and version, of which Google has several for the same thing."""
    return url[url.index("/projects/") :]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# ---------------------------------------------------------------- errors


def _refused(code: str) -> str:
    if "EXHAUSTED" in code or "STOCKOUT" in code or "NOT_AVAILABLE" in code:
        return InsufficientCapacity.kind
    if "QUOTA" in code:
        return QuotaExceeded.kind
    return DriverError.kind


def _refine(code: str, _message: str) -> type[DriverError] | None:
    """A limit on calls and a limit on machines are both a 403, as is a right that is missing."""
    if code in ("rateLimitExceeded", "userRateLimitExceeded"):
        return Throttled
    return QuotaExceeded if code == "quotaExceeded" else None
