"""Controller and edge hosts in Azure: single machines with a static public address each, and a balancer for several edges.

A host's own address is its way out, so that replicas in every cloud know it. The balancer only brings callers in: it
keeps their addresses, and asks each host whether it is ready.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import compute, network

from components.azure import no_login, subscription
from components.cloud import EDGE_PORT, Address, HostArgs, Scope
from components.network.azure import azure_region
from lb.envoy.names import READY_PATH
from spec.names import cloud_name

_IMAGE = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}
_DISK_GIB = 64
_PROBE_S = 5
_FAILURES = 2
_IDLE_MINUTES = 30
"""The longest that Azure keeps a silent connection; Envoy's own limits are shorter."""


def static_address(
    name: str, *, scope: Scope, region: str, group: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> Address:
    """A static public address. `group`: `AzureStore.group`, for an address is older than its region's network."""
    made = network.PublicIPAddress(
        name,
        public_ip_address_name=cloud_name(scope.env, name),
        resource_group_name=group,
        location=region,
        sku=network.PublicIPAddressSkuArgs(name="Standard", tier="Regional"),
        public_ip_allocation_method="Static",
        public_ip_address_version="IPv4",
        tags=scope.tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=scope.provider)),
    )
    return Address(ip=made.ip_address.apply(lambda ip: ip or ""), attach=made.id)


@dataclass(frozen=True, kw_only=True)
class AzureHostsArgs:
    """`hosts`: the controller, or the edges of one region. `balancer`: the address that callers of several edges use."""

    hosts: tuple[HostArgs, ...]
    balancer: Address | None = None


class AzureHosts(pulumi.ComponentResource):
    """Hosts of one role in one region."""

    def __init__(self, name: str, args: AzureHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:hosts:AzureHosts", name, {}, opts)
        first = args.hosts[0]
        self._name, self._scope = name, first.scope
        self._network, self._opts = azure_region(first.network), first.scope.child(self)
        members = [self._balancer(args.balancer)] if args.balancer is not None else []
        # Where the region has no zones, hosts of one role are kept on different racks.
        spread = self._spread() if len(args.hosts) > 1 and first.zone is None else None
        for host in args.hosts:
            self._host(host, members, spread)
        self.register_outputs({})

    def _host(
        self, host: HostArgs, members: list[pulumi.Output[str]], spread: pulumi.Output[str] | None
    ) -> None:
        region, scope = self._network, self._scope
        named = cloud_name(scope.env, host.name)
        card = network.NetworkInterface(
            f"{host.name}-card",
            network_interface_name=named,
            resource_group_name=region.group,
            location=region.region,
            enable_accelerated_networking=True,
            network_security_group=network.NetworkSecurityGroupArgs(
                id=region.controller if host.role == "controller" else region.edges
            ),
            ip_configurations=[
                network.NetworkInterfaceIPConfigurationArgs(
                    name="primary",
                    primary=True,
                    private_ip_allocation_method="Dynamic",
                    subnet=network.SubnetArgs(id=region.subnets[""]),
                    public_ip_address=network.PublicIPAddressArgs(id=host.address.attach),
                    application_security_groups=[network.ApplicationSecurityGroupArgs(id=region.insiders)],
                    load_balancer_backend_address_pools=[
                        network.BackendAddressPoolArgs(id=member) for member in members
                    ],
                )
            ],
            tags=scope.tags,
            opts=self._opts,
        )
        user_data: pulumi.Output[str] = pulumi.Output.from_input(host.user_data)
        account: Any = {"computerName": named, **no_login()}
        compute.VirtualMachine(
            host.name,
            vm_name=named,
            resource_group_name=region.group,
            location=region.region,
            zones=[host.zone] if host.zone else None,
            availability_set=compute.SubResourceArgs(id=spread) if spread is not None else None,
            hardware_profile=compute.HardwareProfileArgs(vm_size=host.instance_type),
            identity=compute.VirtualMachineIdentityArgs(
                type=compute.ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[host.identity.attach],
            ),
            network_profile=compute.NetworkProfileArgs(
                network_interfaces=[
                    compute.NetworkInterfaceReferenceArgs(id=card.id, primary=True, delete_option="Detach")
                ]
            ),
            os_profile=account,
            security_profile=compute.SecurityProfileArgs(
                security_type="TrustedLaunch",
                uefi_settings=compute.UefiSettingsArgs(secure_boot_enabled=True, v_tpm_enabled=True),
            ),
            storage_profile=compute.StorageProfileArgs(
                image_reference=compute.ImageReferenceArgs(**_IMAGE),
                os_disk=compute.OSDiskArgs(
                    create_option="FromImage",
                    delete_option="Delete",
                    disk_size_gb=_DISK_GIB,
                    managed_disk=compute.ManagedDiskParametersArgs(storage_account_type="StandardSSD_LRS"),
                ),
            ),
            user_data=user_data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            tags=scope.tags,
            # A machine reads its user data once, so an edit of it is a new machine. It keeps its card and its address, so
            # there is no room for the next one beside it.
            opts=pulumi.ResourceOptions.merge(
                self._opts,
                pulumi.ResourceOptions(delete_before_replace=True, replace_on_changes=["userData"]),
            ),
        )

    def _spread(self) -> pulumi.Output[str]:
        return compute.AvailabilitySet(
            f"{self._name}-racks",
            availability_set_name=cloud_name(self._scope.env, self._name),
            resource_group_name=self._network.group,
            location=self._network.region,
            platform_fault_domain_count=2,
            platform_update_domain_count=5,
            sku=compute.SkuArgs(name="Aligned"),
            tags=self._scope.tags,
            opts=self._opts,
        ).id

    def _balancer(self, address: Address) -> pulumi.Output[str]:
        """Id of the pool that hosts join."""
        region, named = self._network, cloud_name(self._scope.env, self._name)
        group: pulumi.Output[str] = pulumi.Output.from_input(region.group)
        own = pulumi.Output.concat(
            f"/subscriptions/{subscription(self._scope).subscription_id}/resourceGroups/",
            group,
            f"/providers/Microsoft.Network/loadBalancers/{named}",
        )
        balancer = network.LoadBalancer(
            f"{self._name}-balancer",
            load_balancer_name=named,
            resource_group_name=region.group,
            location=region.region,
            sku=network.LoadBalancerSkuArgs(name="Standard", tier="Regional"),
            frontend_ip_configurations=[
                network.FrontendIPConfigurationArgs(
                    name="callers", public_ip_address=network.PublicIPAddressArgs(id=address.attach)
                )
            ],
            backend_address_pools=[network.BackendAddressPoolArgs(name="hosts")],
            probes=[
                network.ProbeArgs(
                    name="ready",
                    protocol="Https",
                    port=EDGE_PORT,
                    request_path=READY_PATH,
                    interval_in_seconds=_PROBE_S,
                    probe_threshold=_FAILURES,
                )
            ],
            load_balancing_rules=[
                network.LoadBalancingRuleArgs(
                    name="https",
                    protocol="Tcp",
                    frontend_port=EDGE_PORT,
                    backend_port=EDGE_PORT,
                    frontend_ip_configuration=network.SubResourceArgs(
                        id=pulumi.Output.concat(own, "/frontendIPConfigurations/callers")
                    ),
                    backend_address_pool=network.SubResourceArgs(
                        id=pulumi.Output.concat(own, "/backendAddressPools/hosts")
                    ),
                    probe=network.SubResourceArgs(id=pulumi.Output.concat(own, "/probes/ready")),
                    idle_timeout_in_minutes=_IDLE_MINUTES,
                    enable_tcp_reset=True,
                    disable_outbound_snat=True,  # each host goes out by its own address
                )
            ],
            tags=self._scope.tags,
            opts=self._opts,
        )
        return pulumi.Output.concat(balancer.id, "/backendAddressPools/hosts")
