"""Pools of Google Cloud: a zonal managed instance group each, and an instance template that groups of a region share.

A group is declared with size 0 and its size is never sent again: the controller sets it, and ends machines by name. A
template can't be edited, so another one takes its place, and groups are led to it without touching a machine that runs
(`OPPORTUNISTIC`). A machine learns its pool from metadata that its group adds. Google's groups have no maximum of their
own: the controller holds it.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_gcp import compute

from components.cloud import POOL_TAG, SERVICE_TAG, PoolsArgs
from components.gcp import CLOUD_PLATFORM, closed, labels
from components.pools.gcp_machine import IMAGE, accelerators, disk_type, scheduling, shielded
from planner.layout import located
from spec.desired import Pool
from spec.labels import MAX_SIZE_TAG
from spec.names import Market, cloud_name
from spec.reservations import reserved_as

_SMALLEST_DISK_GIB = 60
"""The image with its driver, and room for an engine's environment."""
_PREFIX = 36
"""Google's provider adds 26 letters to the prefix of a template's name, and 63 are allowed."""


class GcpPools:
    """A `components.cloud.Pools`. Raises InputError for tags that labels can't tell apart."""

    def __init__(self, args: PoolsArgs) -> None:
        self._args = args
        self._templates: dict[str, compute.RegionInstanceTemplate] = {}

    def declare(self, pool: Pool, opts: pulumi.ResourceOptions) -> None:
        """Declares the pool's group and, once per service, region, shape and market, its template."""
        args = self._args
        name = located(pool, args.scope.env).resource["group"]
        template = self._template(pool, opts)
        owned_by_the_controller = pulumi.ResourceOptions(ignore_changes=["targetSize"])
        compute.InstanceGroupManager(
            pool.id,
            name=name,
            base_instance_name=name,
            description=f"Tradewind: replicas of {pool.service}",
            zone=pool.zone,
            versions=[
                compute.InstanceGroupManagerVersionArgs(name="replicas", instance_template=template.self_link)
            ],
            target_size=0,
            wait_for_instances=False,  # an update never waits for machines
            update_policy=compute.InstanceGroupManagerUpdatePolicyArgs(
                type="OPPORTUNISTIC", minimal_action="REPLACE", replacement_method="SUBSTITUTE"
            ),
            instance_lifecycle_policy=compute.InstanceGroupManagerInstanceLifecyclePolicyArgs(
                force_update_on_repair="YES"  # a machine that comes back is made of the newest template
            ),
            all_instances_config=compute.InstanceGroupManagerAllInstancesConfigArgs(
                labels=self._labels(pool),
                metadata={
                    SERVICE_TAG: pool.service,
                    POOL_TAG: pool.id,
                    MAX_SIZE_TAG: str(pool.max_size),
                },
            ),
            opts=self._with(opts, owned_by_the_controller),
        )

    def _template(self, pool: Pool, opts: pulumi.ResourceOptions) -> compute.RegionInstanceTemplate:
        shape = f"{pool.accelerator}x{pool.accelerator_count}"
        name = f"{pool.service}.gcp.{pool.region}.{shape}.{pool.instance_types[0]}.{pool.market}"
        if named := reserved_as(self._args.scope.config.reservations, pool):
            name = f"{name}.{named}"  # a reservation is in one zone
        if name not in self._templates:
            self._templates[name] = self._declare_template(name, named, pool, opts)
        return self._templates[name]

    def _declare_template(
        self, name: str, named: str, pool: Pool, opts: pulumi.ResourceOptions
    ) -> compute.RegionInstanceTemplate:
        args, network = self._args, self._args.networks[pool.region]
        peers = network.peers.get(pool.service)
        return compute.RegionInstanceTemplate(
            name,
            region=pool.region,
            name_prefix=f"{cloud_name(args.scope.env, name, limit=_PREFIX)}-",
            description=f"Tradewind: replicas of {pool.service}",
            machine_type=pool.instance_types[0],
            guest_accelerators=accelerators(pool) or None,
            scheduling=scheduling(pool.market),
            reservation_affinity=_reservation(pool.market, named),
            disks=[
                compute.RegionInstanceTemplateDiskArgs(
                    boot=True,
                    auto_delete=True,
                    source_image=IMAGE,
                    disk_type=disk_type(pool),
                    disk_size_gb=max(args.disk_gib(pool), _SMALLEST_DISK_GIB),
                    labels=self._labels(pool),
                )
            ],
            network_interfaces=[
                compute.RegionInstanceTemplateNetworkInterfaceArgs(
                    subnetwork=network.subnets[""],
                    nic_type="GVNIC",
                    # The machine's public address, and so its way out: there is no other, and none without machines.
                    access_configs=[
                        compute.RegionInstanceTemplateNetworkInterfaceAccessConfigArgs(network_tier="PREMIUM")
                    ],
                )
            ],
            service_account=compute.RegionInstanceTemplateServiceAccountArgs(
                email=args.identities[pool.service].attach, scopes=[CLOUD_PLATFORM]
            ),
            shielded_instance_config=shielded(),
            tags=[network.replicas, *([peers] if peers is not None else [])],
            metadata=closed(args.user_data(pool)),
            opts=self._with(opts),
        )

    def _labels(self, pool: Pool) -> dict[str, str]:
        return labels(self._args.scope, {SERVICE_TAG: pool.service})

    def _with(
        self, opts: pulumi.ResourceOptions, more: pulumi.ResourceOptions | None = None
    ) -> pulumi.ResourceOptions:
        ours = pulumi.ResourceOptions(provider=self._args.scope.provider)
        return pulumi.ResourceOptions.merge(pulumi.ResourceOptions.merge(opts, ours), more)


def _reservation(market: Market, named: str) -> Any:
    """Reserved pools run in the reservation that is named, and nowhere else; without a name in the project's own of that type
    and zone first, and on demand beyond them.
    """
    if market is not Market.RESERVED:
        return None
    if named:
        return compute.RegionInstanceTemplateReservationAffinityArgs(
            type="SPECIFIC_RESERVATION",
            specific_reservation=compute.RegionInstanceTemplateReservationAffinitySpecificReservationArgs(
                key="compute.googleapis.com/reservation-name", values=[named]
            ),
        )
    return compute.RegionInstanceTemplateReservationAffinityArgs(type="ANY_RESERVATION")
