"""Controller and edge hosts in Google Cloud: single machines with a static public address each, and a balancer for several.

A host's own address is its way out, so that replicas in every cloud know it. The balancer only brings callers in: it
passes their packets through with their addresses, and asks each host whether it is ready.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from components.cloud import EDGE_PORT, Address, HostArgs, Scope
from components.gcp import CLOUD_PLATFORM, HOST_IMAGE, closed, labels
from lb.envoy.names import READY_PATH
from planner.fixed import HOST_DISK_GIB
from spec.names import cloud_name

_PROBE_S = 5
_PROBES = 2
_DRAIN_S = 300
_TIER = "PREMIUM"


def static_address(name: str, *, scope: Scope, region: str, opts: pulumi.ResourceOptions) -> Address:
    """A static public address, which Google's other resources name by the address itself."""
    made = compute.Address(
        name,
        name=cloud_name(scope.env, name),
        region=region,
        address_type="EXTERNAL",
        network_tier=_TIER,
        labels=labels(scope),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=scope.provider)),
    )
    return Address(ip=made.address, attach=made.address)


@dataclass(frozen=True, kw_only=True)
class GcpHostsArgs:
    """`hosts`: the controller, or the edges of one region. `balancer`: the address that callers of several edges use."""

    hosts: tuple[HostArgs, ...]
    balancer: Address | None = None


class GcpHosts(pulumi.ComponentResource):
    """Hosts of one role in one region."""

    def __init__(self, name: str, args: GcpHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:hosts:GcpHosts", name, {}, opts)
        first = args.hosts[0]
        self._name, self._scope, self._network = name, first.scope, first.network
        self._opts, self._labels = first.scope.child(self), labels(first.scope)
        zones: dict[str, list[compute.Instance]] = {}
        for host in args.hosts:
            assert host.zone is not None, f"{host.name}: hosts of GCP have a zone"
            zones.setdefault(host.zone, []).append(self._host(host, host.zone))
        if args.balancer is not None:
            self._balancer(args.balancer, zones)
        self.register_outputs({})

    def _host(self, host: HostArgs, zone: str) -> compute.Instance:
        """A machine, which leaves its address to the next one before that comes."""
        user_data: pulumi.Output[str] = pulumi.Output.from_input(host.user_data)
        network = self._network
        # A newer image is no reason for another machine: hosts keep their packages up to date by themselves.
        kept = pulumi.ResourceOptions(
            delete_before_replace=True, ignore_changes=["bootDisk.initializeParams.image"]
        )
        return compute.Instance(
            host.name,
            # A machine reads its user data once, so an edit of it is another machine. That has another name, because
            # an instance group forgets a machine that is deleted, and would not be told of one that is called the same.
            name=user_data.apply(lambda text: cloud_name(self._scope.env, f"{host.name}-{_digest(text)}")),
            zone=zone,
            machine_type=host.instance_type,
            allow_stopping_for_update=True,
            boot_disk=compute.InstanceBootDiskArgs(
                auto_delete=True,
                initialize_params=compute.InstanceBootDiskInitializeParamsArgs(
                    image=HOST_IMAGE, size=HOST_DISK_GIB["gcp"], type="pd-balanced", labels=self._labels
                ),
            ),
            network_interfaces=[
                compute.InstanceNetworkInterfaceArgs(
                    subnetwork=network.subnets[""],
                    nic_type="GVNIC",
                    access_configs=[
                        compute.InstanceNetworkInterfaceAccessConfigArgs(
                            nat_ip=host.address.attach, network_tier=_TIER
                        )
                    ],
                )
            ],
            service_account=compute.InstanceServiceAccountArgs(
                email=host.identity.attach, scopes=[CLOUD_PLATFORM]
            ),
            shielded_instance_config=compute.InstanceShieldedInstanceConfigArgs(
                enable_secure_boot=True, enable_vtpm=True, enable_integrity_monitoring=True
            ),
            tags=[network.controller if host.role == "controller" else network.edges],
            metadata=closed(user_data),
            labels=self._labels,
            opts=pulumi.ResourceOptions.merge(self._opts, kept),
        )

    def _balancer(self, address: Address, zones: Mapping[str, list[compute.Instance]]) -> None:
        """Layer 4, and nothing in between: TLS ends at the hosts, and answers leave by their own way."""
        region, named = self._network.region, cloud_name(self._scope.env, self._name)
        groups = [
            compute.InstanceGroup(
                f"{self._name}-{zone}",
                name=named,
                zone=zone,
                network=self._network.id,
                instances=[machine.self_link for machine in machines],
                opts=self._opts,
            )
            for zone, machines in sorted(zones.items())
        ]
        check = compute.RegionHealthCheck(
            f"{self._name}-ready",
            name=named,
            region=region,
            check_interval_sec=_PROBE_S,
            timeout_sec=_PROBE_S,
            healthy_threshold=_PROBES,
            unhealthy_threshold=_PROBES,
            https_health_check=compute.RegionHealthCheckHttpsHealthCheckArgs(
                port=EDGE_PORT, request_path=READY_PATH
            ),
            opts=self._opts,
        )
        hosts = compute.RegionBackendService(
            f"{self._name}-hosts",
            name=named,
            region=region,
            load_balancing_scheme="EXTERNAL",
            protocol="TCP",
            health_checks=check.id,
            backends=[
                compute.RegionBackendServiceBackendArgs(group=group.self_link, balancing_mode="CONNECTION")
                for group in groups
            ],
            connection_draining_timeout_sec=_DRAIN_S,
            opts=self._opts,
        )
        compute.ForwardingRule(
            f"{self._name}-balancer",
            name=named,
            region=region,
            load_balancing_scheme="EXTERNAL",
            network_tier=_TIER,
            ip_address=address.attach,
            ip_protocol="TCP",
            ports=[str(EDGE_PORT)],
            backend_service=hosts.id,
            labels=self._labels,
            opts=self._opts,
        )


def _digest(user_data: str) -> str:
    """Of what makes it another machine."""
    return hashlib.sha256(f"{HOST_DISK_GIB['gcp']} {user_data}".encode()).hexdigest()[:8]
