"""The driver of AWS: an Auto Scaling group per pool, grown by its desired capacity and shrunk by name.

Calls are boto3's, each in a thread. A look at a region costs one call for its groups, one for their machines, and one
more for each group that is short of machines: AWS refuses launches late, in the group's activity log.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lb.clouds.aws_errors import call, refused
from lb.clouds.protocol import (
    REPLICA_PORT,
    DriverError,
    Instance,
    InstancePhase,
    NotFound,
    PoolObservation,
    Refusal,
)
from spec.desired import Pool, Prices

GROUPS_A_CALL = 100
INSTANCES_A_CALL = 200
ACTIVITIES = 10
"""Of a group that is short of machines, the last so many are read."""
PRICES_FOR_S = 300.0

_STOPPING = frozenset({"shutting-down", "stopping", "stopped"})

Clients = Callable[[str, str], Any]
"""A boto3 client by the names of service and region."""


class AwsDriver:
    """Drives the Auto Scaling groups of one environment.

    A pool's `resource` names its `group`. `regions`: whose limits `quotas` tells. `private_in`: regions in which everybody who calls a replica is in the
    replica's own network, so that its private address is used.
    """

    refills = True

    def __init__(
        self,
        clients: Clients,
        *,
        regions: frozenset[str] = frozenset(),
        private_in: frozenset[str] = frozenset(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clients = clients
        self._regions = regions
        self._private_in = private_in
        self._now = now
        self._prices: dict[str, tuple[float, dict[str, Prices]]] = {}

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        """One observation per pool. A region that fails costs only its own pools."""
        regions = _by_region(pools)
        looks = [call(self._observe_region, region, found) for region, found in regions.items()]
        answers = await asyncio.gather(*looks, return_exceptions=True)
        by_id: dict[str, PoolObservation] = {}
        for found, answer in zip(regions.values(), answers, strict=True):
            if isinstance(answer, DriverError):
                by_id |= {p.id: PoolObservation(p.id, 0, error=f"{answer.kind}: {answer}") for p in found}
            elif isinstance(answer, BaseException):
                raise answer
            else:
                by_id |= answer
        return [by_id[pool.id] for pool in pools]

    async def set_size(self, pool: Pool, size: int) -> None:
        """Sets the group's desired capacity; machines come later, or a refusal does."""
        await call(
            self._clients("autoscaling", pool.region).set_desired_capacity,
            AutoScalingGroupName=pool.resource["group"],
            DesiredCapacity=size,
            HonorCooldown=False,
        )

    async def terminate(self, pool: Pool, instance_id: str) -> None:
        """Ends the machine and lowers the desired capacity with it."""
        try:
            await call(
                self._clients("autoscaling", pool.region).terminate_instance_in_auto_scaling_group,
                InstanceId=instance_id,
                ShouldDecrementDesiredCapacity=True,
            )
        except NotFound:
            return

    async def prices(self, pools: Sequence[Pool]) -> dict[str, Prices]:
        """Spot prices of now, of each pool its dearest type's; on demand as the stack declared it."""
        found: dict[str, Prices] = {}
        for region, of_region in _by_region(pools).items():
            found |= await call(self._prices_of, region, of_region)
        return found

    async def quotas(self) -> dict[str, float]:
        """Limits on vCPUs by `{region}/{code} {name}`."""
        limits: dict[str, float] = {}
        for region in sorted(self._regions):
            limits |= await call(self._quotas, region)
        return limits

    # ------------------------------------------------------------ in a thread

    def _observe_region(self, region: str, pools: Sequence[Pool]) -> dict[str, PoolObservation]:
        groups = self._groups(region, [p.resource["group"] for p in pools])
        ids = [i["InstanceId"] for g in groups.values() for i in g["Instances"]]
        machines = self._machines(region, ids)
        prices = self._prices_now(region, pools)
        return {
            pool.id: self._observation(
                pool, groups.get(pool.resource["group"]), machines, prices.get(pool.id)
            )
            for pool in pools
        }

    def _observation(
        self,
        pool: Pool,
        group: Mapping[str, Any] | None,
        machines: Mapping[str, Mapping[str, Any]],
        prices: Prices | None,
    ) -> PoolObservation:
        if group is None:
            name = pool.resource["group"]
            return PoolObservation(
                pool.id, 0, error=f"{NotFound.kind}: there is no Auto Scaling group {name}"
            )
        size = group["DesiredCapacity"]
        short = size > len(group["Instances"])
        return PoolObservation(
            pool.id,
            size,
            instances=tuple(
                self._instance(pool, member, machines.get(member["InstanceId"]))
                for member in group["Instances"]
                if member["LifecycleState"] != "Terminated"
            ),
            refusals=self._refusals(pool) if short else (),
            prices=prices,
        )

    def _instance(self, pool: Pool, member: Mapping[str, Any], machine: Mapping[str, Any] | None) -> Instance:
        if machine is None:  # EC2 tells of a new machine a little later than its group
            return Instance(
                member["InstanceId"], InstancePhase.PENDING, None, REPLICA_PORT, REPLICA_PORT, self._now()
            )
        own = "PrivateIpAddress" if pool.region in self._private_in else "PublicIpAddress"
        return Instance(
            member["InstanceId"],
            _phase(member["LifecycleState"], machine["State"]["Name"]),
            machine.get(own),
            REPLICA_PORT,
            REPLICA_PORT,
            machine["LaunchTime"].timestamp(),
            private=machine.get("PrivateIpAddress"),
        )

    def _groups(self, region: str, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        paginator = self._clients("autoscaling", region).get_paginator("describe_auto_scaling_groups")
        return {
            group["AutoScalingGroupName"]: group
            for some in _chunks(names, GROUPS_A_CALL)
            for page in paginator.paginate(AutoScalingGroupNames=some)
            for group in page["AutoScalingGroups"]
        }

    def _machines(self, region: str, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """By a filter: named outright, one that is gone would fail the whole call."""
        paginator = self._clients("ec2", region).get_paginator("describe_instances")
        return {
            machine["InstanceId"]: machine
            for some in _chunks(ids, INSTANCES_A_CALL)
            for page in paginator.paginate(Filters=[{"Name": "instance-id", "Values": some}])
            for reservation in page["Reservations"]
            for machine in reservation["Instances"]
        }

    def _refusals(self, pool: Pool) -> tuple[Refusal, ...]:
        log = self._clients("autoscaling", pool.region).describe_scaling_activities(
            AutoScalingGroupName=pool.resource["group"], MaxRecords=ACTIVITIES
        )
        return tuple(
            Refusal(
                refused(a.get("StatusMessage", "")), a.get("StatusMessage", ""), a["StartTime"].timestamp()
            )
            for a in reversed(log["Activities"])
            if a["StatusCode"] in ("Failed", "Cancelled")
        )

    def _prices_now(self, region: str, pools: Sequence[Pool]) -> dict[str, Prices]:
        """Asked for every few minutes; prices that can't be had hold nothing up."""
        asked_at, known = self._prices.get(region, (float("-inf"), {}))
        if self._now() - asked_at >= PRICES_FOR_S or not {p.id for p in pools} <= known.keys():
            try:
                known = {p.id: p.prices for p in pools} | self._prices_of(region, pools)
            except (ClientError, BotoCoreError):
                known = {p.id: p.prices for p in pools} | known
            self._prices[region] = (self._now(), known)
        return known

    def _prices_of(self, region: str, pools: Sequence[Pool]) -> dict[str, Prices]:
        ec2 = self._clients("ec2", region)
        zones = {z["ZoneName"]: z["ZoneId"] for z in ec2.describe_availability_zones()["AvailabilityZones"]}
        types = sorted({t for p in pools for t in p.instance_types})
        now = datetime.fromtimestamp(self._now(), UTC)
        pages = ec2.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=types, ProductDescriptions=["Linux/UNIX"], StartTime=now
        )
        spot: dict[tuple[str | None, str], float] = {}
        for item in (i for page in pages for i in page["SpotPriceHistory"]):
            spot.setdefault(
                (zones.get(item["AvailabilityZone"]), item["InstanceType"]), float(item["SpotPrice"])
            )
        found: dict[str, Prices] = {}
        for pool in pools:
            of_types = [spot.get((pool.zone, t)) for t in pool.instance_types]
            known = [p for p in of_types if p is not None]
            if known and len(known) == len(of_types):
                found[pool.id] = pool.prices.model_copy(
                    update={"spot": max(known), "as_of": f"{now:%Y-%m-%d}"}
                )
        return found

    def _quotas(self, region: str) -> dict[str, float]:
        pages = (
            self._clients("service-quotas", region)
            .get_paginator("list_service_quotas")
            .paginate(ServiceCode="ec2")
        )
        return {
            f"{region}/{q['QuotaCode']} {q['QuotaName']}": q["Value"]
            for page in pages
            for q in page["Quotas"]
            if "Spot Instance Requests" in q["QuotaName"] or q["QuotaName"].startswith("Running On-Demand")
        }


def _phase(lifecycle: str, state: str) -> InstancePhase:
    if lifecycle.startswith("Terminating") or state in _STOPPING or state == "terminated":
        return InstancePhase.STOPPING
    return InstancePhase.RUNNING if state == "running" else InstancePhase.PENDING


def _by_region(pools: Sequence[Pool]) -> dict[str, list[Pool]]:
    regions: defaultdict[str, list[Pool]] = defaultdict(list)
    for pool in pools:
        regions[pool.region].append(pool)
    return dict(regions)


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
