"""Pools of AWS: an Auto Scaling group per zone, and a launch template that groups of one region share.

A group is declared with size 0 and its size is never sent again: the controller sets it, and ends machines by name,
which is why AWS may choose none (`protect_from_scale_in`). The market stands in the group's mixed instances policy,
always, and so never in the template: AWS refuses both together.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import pulumi
from pulumi_aws import autoscaling, ec2

from components.aws import ROOT_DEVICE, replica_image, resolved_at_launch
from components.cloud import POOL_TAG, SERVICE_TAG, PoolsArgs
from planner.filters import NOT_DRIVEN
from spec.desired import Pool
from spec.errors import InputError
from spec.names import Market, cloud_name
from spec.reservations import Reservations, reserved_as

_SMALLEST_DISK_GIB = 150
"""What the largest of the images needs (Neuron's, 100 GiB), and room for an engine's image."""
_DISK_MB_S = 500
"""gp3's 125 MB/s would load 100 GB of weights in 13 minutes; 0.02 USD an hour while a machine runs."""
_METADATA_HOPS = 2
"""One more than to the machine itself: a container on Docker's bridge reads its data with the machine's role too."""
_TAG_IN_METADATA = re.compile(r"[A-Za-z0-9+\-=._:@,]{1,128}")
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html"""


class AwsPools:
    """A `components.cloud.Pools`. Raises InputError for a tag that would make every launch fail."""

    def __init__(self, args: PoolsArgs) -> None:
        self._args = args
        self._templates: dict[str, ec2.LaunchTemplate] = {}
        for key in args.scope.tags:
            if not _TAG_IN_METADATA.fullmatch(key):
                raise InputError(
                    f"tradewind:tags.{key}: machines of AWS read their tags from the metadata service, which has no "
                    "such name: use letters, digits and + - = . , _ : @"
                )

    def declare(self, pool: Pool, opts: pulumi.ResourceOptions) -> None:
        """Declares the pool's group and, once per service, region, shape and market, its template."""
        args, network = self._args, self._args.networks[pool.region]
        template = self._template(pool, opts)
        owned_by_the_controller = pulumi.ResourceOptions(ignore_changes=["desiredCapacity"])
        autoscaling.Group(
            pool.id,
            region=pool.region,
            name=cloud_name(args.scope.env, pool.id),
            vpc_zone_identifiers=[network.subnets[_zone(pool)]],
            min_size=0,
            max_size=pool.max_size,
            desired_capacity=0,
            mixed_instances_policy=_instances(pool, template),
            capacity_reservation_specification=_reservation(pool, args.scope.config.reservations),
            capacity_rebalance=False,  # it launches replacements beside the controller's own
            protect_from_scale_in=True,
            health_check_type="EC2",
            wait_for_capacity_timeout="0",  # an update never waits for machines
            force_delete=True,  # destroy removes the machines with the group
            tags=[
                {"key": key, "value": value, "propagate_at_launch": True}
                for key, value in sorted({**self._tags(pool), POOL_TAG: pool.id}.items())
            ],
            opts=self._with(opts, owned_by_the_controller),
        )

    def _template(self, pool: Pool, opts: pulumi.ResourceOptions) -> ec2.LaunchTemplate:
        name = f"{pool.service}.aws.{pool.region}.{pool.accelerator}x{pool.accelerator_count}.{pool.market}"
        if name not in self._templates:
            self._templates[name] = self._declare_template(name, pool, opts)
        return self._templates[name]

    def _declare_template(self, name: str, pool: Pool, opts: pulumi.ResourceOptions) -> ec2.LaunchTemplate:
        args, network = self._args, self._args.networks[pool.region]
        peers = network.peers.get(pool.service)
        user_data = pulumi.Output.from_input(args.user_data(pool))
        tags = self._tags(pool)
        return ec2.LaunchTemplate(
            name,
            region=pool.region,
            name=cloud_name(args.scope.env, name),
            description=f"Tradewind: replicas of {pool.service}",
            update_default_version=True,  # groups name the default, so a new version changes no group
            image_id=_image(pool),
            iam_instance_profile={"name": args.identities[pool.service].attach},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": _METADATA_HOPS,
                "instance_metadata_tags": "enabled",
            },
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "true",
                    "delete_on_termination": "true",
                    "security_groups": [network.replicas, *([peers] if peers is not None else [])],
                }
            ],
            block_device_mappings=[
                {
                    "device_name": ROOT_DEVICE,
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": max(args.disk_gib(pool), _SMALLEST_DISK_GIB),
                        "throughput": _DISK_MB_S,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            user_data=user_data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            # A group tags its machines only, not what they are made of.
            tag_specifications=[
                {"resource_type": kind, "tags": tags} for kind in ("volume", "network-interface")
            ],
            tags=tags,
            opts=self._with(opts),
        )

    def _tags(self, pool: Pool) -> dict[str, str]:
        return {**self._args.scope.tags, SERVICE_TAG: pool.service}

    def _with(
        self, opts: pulumi.ResourceOptions, more: pulumi.ResourceOptions | None = None
    ) -> pulumi.ResourceOptions:
        ours = pulumi.ResourceOptions(provider=self._args.scope.provider)
        return pulumi.ResourceOptions.merge(pulumi.ResourceOptions.merge(opts, ours), more)


def _instances(pool: Pool, template: ec2.LaunchTemplate) -> Any:
    """One way for every pool, also for one with a single type: what may run, and how it is bought."""
    spot = pool.market is Market.SPOT
    return {
        "instances_distribution": {
            "on_demand_base_capacity": 0,
            "on_demand_percentage_above_base_capacity": 0 if spot else 100,
            "on_demand_allocation_strategy": "lowest-price",
            "spot_allocation_strategy": "price-capacity-optimized",
        },
        "launch_template": {
            "launch_template_specification": {"launch_template_id": template.id, "version": "$Default"},
            "overrides": [{"instance_type": instance_type} for instance_type in pool.instance_types],
        },
    }


def _reservation(pool: Pool, reservations: Reservations) -> Any:
    """Reserved pools run in the account's capacity reservations of that type and zone, the named one or any that is open, and
    nowhere else.
    """
    if pool.market is not Market.RESERVED:
        return None
    named = reserved_as(reservations, pool)
    target = {"capacity_reservation_target": {"capacity_reservation_ids": [named]}} if named else {}
    return {"capacity_reservation_preference": "capacity-reservations-only", **target}


def _image(pool: Pool) -> str:
    """The planner chooses no pool that this refuses, but one may have been locked."""
    if (pool.cloud, pool.accelerator) in NOT_DRIVEN:
        raise InputError(
            f"pool {pool.id}: no current image of AWS has a driver for {pool.accelerator}. "
            "Name newer accelerators in the service's `resources.accelerators`, and plan again."
        )
    return resolved_at_launch(replica_image(pool.accelerator))


def _zone(pool: Pool) -> str:
    assert pool.zone is not None, f"{pool.id}: pools of AWS have a zone"
    return pool.zone
