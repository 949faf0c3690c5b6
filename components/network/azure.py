"""One region's network in Azure: a network with one subnet, and a firewall per role of a machine.

Azure lets everything of a virtual network, and its balancers, into every machine by default, and traffic from the
internet as soon as a rule says so. Here each firewall ends with a rule that denies all of that, so what is allowed is
what stands before it. New networks have no way out by default any more: each machine has a public address for that,
which costs less than a NAT gateway, and nothing while there is no machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import network, resources

from components.azure import resource_group
from components.cloud import CONTROLLER_PORT, EDGE_PORT, PEER_PORTS, REPLICA_PORT, Network, NetworkArgs
from spec.clouds import ExistingNetwork
from spec.errors import InputError
from spec.names import cloud_name

_FIRST = 100
_STEP = 10
_LAST = 4096
"""The lowest priority that a rule of a user can have; Azure's own begin at 65000."""

_INBOUND: dict[str, Any] = {"source_port_range": "*", "direction": "Inbound"}
_ANY: dict[str, Any] = {**_INBOUND, "destination_address_prefix": "*"}


@dataclass(frozen=True, kw_only=True)
class AzureRegion(Network):
    """A region's network as the other modules of Azure know it.

    `group`, `group_id`: name and id of the region's resource group. `insiders`: the application security group that network cards of edges
    and controller are in, so that a rule can name them by role and not by address.
    """

    group: pulumi.Input[str]
    group_id: pulumi.Input[str]
    insiders: pulumi.Input[str]


def azure_region(given: Network) -> AzureRegion:
    """The network of this module that another one was given."""
    if not isinstance(given, AzureRegion):
        raise TypeError(f"a network of {given.cloud} was given to a module of azure")
    return given


class AzureNetwork(pulumi.ComponentResource):
    """`network`: for machines of the region. The user's own network is used where `tradewind:network` names one."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:network:AzureNetwork", name, {}, opts)
        self._name, self._args = name, args
        scope, self._opts = args.scope, args.scope.child(self)
        group = resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=resource_group(scope.env, args.region),
            location=args.region,
            tags=scope.tags,
            opts=self._opts,
        )
        self._group = group.name
        insiders = self._name_for("insiders")
        peers = {service: self._name_for(f"peers-{service}") for service in args.gangs}
        place, subnet = self._place()
        self.network = AzureRegion(
            cloud="azure",
            region=args.region,
            id=place,
            subnets={"": subnet},
            replicas=self._firewall(
                "replicas", [*self._from_callers(REPLICA_PORT, insiders), *_between_peers(peers)]
            ),
            edges=self._firewall("edges", [_allow("anybody", EDGE_PORT, _FIRST, source_address_prefix="*")]),
            controller=self._firewall("controller", self._from_callers(CONTROLLER_PORT, insiders)),
            group=self._group,
            group_id=group.id,
            insiders=insiders,
            peers=peers,
        )
        self.register_outputs({"id": place, "subnet": subnet})

    def _place(self) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """Ids of the network and of its subnet."""
        args = self._args
        chosen = args.scope.config.network.get(f"azure/{args.region}", "create")
        if isinstance(chosen, ExistingNetwork):
            return chosen.id, _the_subnet(chosen, args.region)
        virtual = network.VirtualNetwork(
            self._name,
            virtual_network_name=self._named("network"),
            resource_group_name=self._group,
            location=args.region,
            address_space={"address_prefixes": [args.cidr]},
            tags=args.scope.tags,
            opts=self._opts,
        )
        subnet = network.Subnet(
            f"{self._name}-machines",
            subnet_name="machines",
            virtual_network_name=virtual.name,
            resource_group_name=self._group,
            # Half of the range: what somebody adds later has room.
            address_prefix=str(next(ipaddress.IPv4Network(args.cidr).subnets())),
            default_outbound_access=False,
            opts=self._opts,
        )
        return virtual.id, subnet.id

    def _name_for(self, what: str) -> pulumi.Output[str]:
        """The id of a name that network cards are given, for rules about them."""
        return network.ApplicationSecurityGroup(
            f"{self._name}-{what}",
            application_security_group_name=self._named(what),
            resource_group_name=self._group,
            location=self._args.region,
            tags=self._args.scope.tags,
            opts=self._opts,
        ).id

    def _from_callers(self, port: int, insiders: pulumi.Input[str]) -> list[network.SecurityRuleArgs]:
        """From the environment's edges and controller: those in this network by role, the others by static address."""
        group = network.ApplicationSecurityGroupArgs(id=insiders)
        rules = [_allow("insiders", port, _FIRST, source_application_security_groups=[group])]
        if callers := [self._args.callers[key] for key in sorted(self._args.callers)]:
            rules.append(_allow("callers", port, _FIRST + _STEP, source_address_prefixes=callers))
        return rules

    def _firewall(self, role: str, rules: Sequence[network.SecurityRuleArgs]) -> pulumi.Output[str]:
        nobody_else = network.SecurityRuleArgs(
            name="nobody-else",
            description="Also what Azure allows by default: the whole network, and its balancers",
            access="Deny",
            priority=_LAST,
            protocol="*",
            source_address_prefix="*",
            destination_port_range="*",
            **_ANY,
        )
        return network.NetworkSecurityGroup(
            f"{self._name}-{role}",
            network_security_group_name=self._named(role),
            resource_group_name=self._group,
            location=self._args.region,
            security_rules=[*rules, nobody_else],
            tags=self._args.scope.tags,
            opts=self._opts,
        ).id

    def _named(self, what: str) -> str:
        return cloud_name(self._args.scope.env, f"{self._args.region}-{what}")


def _between_peers(peers: Mapping[str, pulumi.Input[str]]) -> list[network.SecurityRuleArgs]:
    """Machines of one service reach each other, and none of another."""
    first, last = PEER_PORTS
    return [
        network.SecurityRuleArgs(
            name=f"peers-of-{service}",
            access="Allow",
            priority=_FIRST + (2 + number) * _STEP,
            protocol="Tcp",
            source_application_security_groups=[network.ApplicationSecurityGroupArgs(id=peers[service])],
            destination_application_security_groups=[network.ApplicationSecurityGroupArgs(id=peers[service])],
            destination_port_range=f"{first}-{last}",
            **_INBOUND,
        )
        for number, service in enumerate(sorted(peers))
    ]


def _allow(name: str, port: int, priority: int, **source: Any) -> network.SecurityRuleArgs:
    return network.SecurityRuleArgs(
        name=name,
        access="Allow",
        priority=priority,
        protocol="Tcp",
        destination_port_range=str(port),
        **_ANY,
        **source,
    )


def _the_subnet(chosen: ExistingNetwork, region: str) -> str:
    if len(chosen.subnets) != 1:
        raise InputError(
            f"tradewind:network.azure/{region}.subnets names {len(chosen.subnets)}: {', '.join(sorted(chosen.subnets))}. "
            "Subnets of Azure span the region: name the one whose machines these are."
        )
    return next(iter(chosen.subnets.values()))
