"""Pools in Azure: a Flexible scale set for each, whose size Pulumi never sends after it has created it with 0.

azure-native updates by sending the whole object, and Azure demands a size in it: a later edit would send the size that
is in Pulumi's state. So the provider creates and deletes scale sets and never updates one; edits of tags and of
the machine's profile go through a resource template that has no `sku`, which Azure merges into what is there
(docs/clouds.md says how sure that is). Another instance type is another scale set.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_azure_native import compute, resources

from components.cloud import POOL_TAG, SERVICE_TAG, PoolsArgs
from components.network.azure import AzureRegion, azure_region
from components.pools.azure_machine import flattened, machine_profile
from planner.layout import located
from spec.desired import Pool
from spec.labels import MAX_SIZE_TAG
from spec.reservations import reserved_as

API = "2024-11-01"
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


class AzurePools:
    """A `components.cloud.Pools`. Nothing is shared between pools: Azure keeps a template in its scale set."""

    def __init__(self, args: PoolsArgs) -> None:
        self._args = args

    def declare(self, pool: Pool, opts: pulumi.ResourceOptions) -> None:
        """The scale set, and the template by which it is edited."""
        scope, network = self._args.scope, azure_region(self._args.networks[pool.region])
        name = located(pool, scope.env).resource["scale_set"]
        body, machine_type = self._body(pool, network), pool.instance_types[0]
        made = flattened(body["properties"])
        own = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=scope.provider))
        scale_set = compute.VirtualMachineScaleSet(
            pool.id,
            vm_scale_set_name=name,
            resource_group_name=network.group,
            location=pool.region,
            sku=compute.SkuArgs(name=machine_type, tier="Standard", capacity=0),
            identity=compute.VirtualMachineScaleSetIdentityArgs(
                type=compute.ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[self._args.identities[pool.service].attach],
            ),
            orchestration_mode=made["orchestrationMode"],
            platform_fault_domain_count=made["platformFaultDomainCount"],
            single_placement_group=made["singlePlacementGroup"],
            upgrade_policy=made["upgradePolicy"],
            virtual_machine_profile=made["virtualMachineProfile"],
            tags=body["tags"],
            opts=pulumi.ResourceOptions.merge(
                own,
                pulumi.ResourceOptions(
                    ignore_changes=["*"], replacement_trigger=machine_type, delete_before_replace=True
                ),
            ),
        )
        resources.Deployment(
            f"{pool.id}/edits",
            deployment_name=name,
            resource_group_name=network.group,
            properties=resources.DeploymentPropertiesArgs(
                mode=resources.DeploymentMode.INCREMENTAL, template=_template(name, body)
            ),
            tags=scope.tags,
            opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[scale_set])),
        )

    def _body(self, pool: Pool, network: AzureRegion) -> dict[str, Any]:
        """The scale set without its size."""
        args = self._args
        text: pulumi.Output[str] = pulumi.Output.from_input(args.user_data(pool))
        identity: pulumi.Output[str] = pulumi.Output.from_input(args.identities[pool.service].attach)
        return {
            "location": pool.region,
            "tags": {
                **args.scope.tags,
                SERVICE_TAG: pool.service,
                POOL_TAG: pool.id,
                MAX_SIZE_TAG: str(pool.max_size),
            },
            "identity": {
                "type": "UserAssigned",
                "userAssignedIdentities": identity.apply(lambda id_: {id_: {}}),
            },
            "properties": {
                "orchestrationMode": "Flexible",
                "platformFaultDomainCount": 1,
                "singlePlacementGroup": False,
                "upgradePolicy": {"mode": "Manual"},
                "virtualMachineProfile": machine_profile(
                    pool,
                    subnet=network.subnets[""],
                    firewall=network.replicas,
                    user_data=text.apply(lambda t: base64.b64encode(t.encode()).decode()),
                    disk_gib=args.disk_gib(pool),
                    peers=network.peers.get(pool.service),
                    reservation=reserved_as(args.scope.config.reservations, pool),
                ),
            },
        }


def _template(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    scale_set = {
        "type": "Microsoft.Compute/virtualMachineScaleSets",
        "apiVersion": API,
        "name": name,
        **_quoted(body),
    }
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": [scale_set]}


def _quoted(value: Any) -> Any:
    """As a template takes it literally: a text that begins with a bracket would be a formula."""
    if isinstance(value, Mapping):
        return {key: _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return f"[{value}" if isinstance(value, str) and value.startswith("[") else value
