"""One region's network in AWS: a public subnet per zone, a way out, and a security group per role of a machine.

There is no NAT: it costs about 33 USD a month and region before the first byte, and machines that other clouds reach
need public addresses anyway. What is closed is closed by the groups. Their rules are resources of their own, not
inline, because edges, controller and replicas name each other, and because a preview then says which door opens.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import pulumi
from pulumi_aws import ec2, vpc

from components.cloud import CONTROLLER_PORT, EDGE_PORT, PEER_PORTS, REPLICA_PORT, Network, NetworkArgs
from spec.clouds import ExistingNetwork
from spec.errors import InputError
from spec.names import cloud_name

_SUBNET_PREFIX = 20
_ANYWHERE = "0.0.0.0/0"


class AwsNetwork(pulumi.ComponentResource):
    """`network`: for machines of the region. The user's own network is used where `tradewind:network` names one."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:network:AwsNetwork", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        network_id, subnets = self._place()
        self._groups = {role: self._group(network_id, role) for role in sorted(args.roles)}
        self._doors()
        peers = {service: self._peers(network_id, service) for service in args.gangs}
        ids = {role: group.id for role, group in self._groups.items()}
        self.network = Network(
            cloud="aws",
            region=args.region,
            id=network_id,
            subnets=subnets,
            replicas=ids.get("replicas", ""),
            edges=ids.get("edges", ""),
            controller=ids.get("controller", ""),
            peers=peers,
        )
        self.register_outputs({"id": network_id, "subnets": subnets})

    def _doors(self) -> None:
        """Who reaches whom: by group inside the network, by static address from outside."""
        groups, callers = self._groups, self._args.callers
        if "edges" in groups:
            self._door("anybody-to-edges", groups["edges"], EDGE_PORT, cidr=_ANYWHERE)
        for role, port in (("replicas", REPLICA_PORT), ("controller", CONTROLLER_PORT)):
            if role not in groups:
                continue
            for caller in sorted({"edges", "controller"} & groups.keys() - {role}):
                self._door(f"{caller}-to-{role}", groups[role], port, group=groups[caller].id)
            for caller in sorted(callers.keys() - {role}):
                self._door(f"{caller}-address-to-{role}", groups[role], port, cidr=callers[caller])

    def _peers(self, network_id: pulumi.Input[str], service: str) -> pulumi.Output[str]:
        """A group whose machines reach each other. The way out is that of their role."""
        group = self._empty_group(network_id, f"peers-{service}")
        self._door(f"peers-of-{service}", group, *PEER_PORTS, group=group.id)
        return group.id

    def _place(self) -> tuple[pulumi.Input[str], dict[str, pulumi.Input[str]]]:
        """Ids of the network and, by zone, of its subnets."""
        args = self._args
        chosen = args.scope.config.network.get(f"aws/{args.region}", "create")
        if isinstance(chosen, ExistingNetwork):
            return chosen.id, _existing(chosen, args)
        made = ec2.Vpc(
            self._name,
            region=args.region,
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("network"),
            opts=self._opts,
        )
        # AWS's own group lets everything in a network reach everything: without rules it lets nothing.
        ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            region=args.region,
            vpc_id=made.id,
            tags=self._tags("default"),
            opts=self._opts,
        )
        routes, out = self._routes(made)
        cidrs = subnet_cidrs(args.cidr, args.zones)
        return made.id, {zone: self._subnet(made, (routes, out), zone, cidrs[zone]) for zone in args.zones}

    def _routes(self, made: ec2.Vpc) -> tuple[ec2.RouteTable, ec2.Route]:
        """Out through the internet gateway, and to S3 of the same region for nothing. The table and the way out."""
        region = self._args.region
        gateway = ec2.InternetGateway(
            f"{self._name}-gateway",
            region=region,
            vpc_id=made.id,
            tags=self._tags("gateway"),
            opts=self._opts,
        )
        routes = ec2.RouteTable(
            f"{self._name}-routes", region=region, vpc_id=made.id, tags=self._tags("routes"), opts=self._opts
        )
        out = ec2.Route(
            f"{self._name}-out",
            region=region,
            route_table_id=routes.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=self._opts,
        )
        ec2.VpcEndpoint(
            f"{self._name}-s3",
            region=region,
            vpc_id=made.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            tags=self._tags("s3"),
            opts=self._opts,
        )
        return routes, out

    def _subnet(
        self, made: ec2.Vpc, way: tuple[ec2.RouteTable, ec2.Route], zone: str, cidr: str
    ) -> pulumi.Output[str]:
        """The id of a zone's subnet, known once it has a way out: addresses and balancers need one to attach to."""
        region, (routes, out) = self._args.region, way
        subnet = ec2.Subnet(
            f"{self._name}-{zone}",
            region=region,
            vpc_id=made.id,
            availability_zone_id=zone,  # a zone's name means another zone in another account
            cidr_block=cidr,
            map_public_ip_on_launch=False,  # templates and hosts ask for their address
            tags=self._tags(zone),
            opts=self._opts,
        )
        return ec2.RouteTableAssociation(
            f"{self._name}-{zone}-routes",
            region=region,
            subnet_id=subnet.id,
            route_table_id=routes.id,
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[out])),
        ).subnet_id.apply(lambda id_: id_ or "")

    def _empty_group(self, network_id: pulumi.Input[str], what: str) -> ec2.SecurityGroup:
        region = self._args.region
        return ec2.SecurityGroup(
            f"{self._name}-{what}",
            region=region,
            name=cloud_name(self._args.scope.env, f"{region}-{what}"),
            description=f"Tradewind {self._args.scope.env}: {what}",
            vpc_id=network_id,
            tags=self._tags(what),
            opts=self._opts,
        )

    def _group(self, network_id: pulumi.Input[str], role: str) -> ec2.SecurityGroup:
        """Of one role, with the way out."""
        region, group = self._args.region, self._empty_group(network_id, role)
        vpc.SecurityGroupEgressRule(
            f"{self._name}-{role}-out",
            region=region,
            security_group_id=group.id,
            description="images, models, the bucket, other clouds",
            ip_protocol="-1",
            cidr_ipv4=_ANYWHERE,
            tags=self._tags(f"{role}-out"),
            opts=self._opts,
        )
        return group

    def _door(
        self,
        what: str,
        of: ec2.SecurityGroup,
        port: int,
        last: int | None = None,
        *,
        cidr: pulumi.Input[str] | None = None,
        group: pulumi.Input[str] | None = None,
    ) -> None:
        """One port, or all up to the last, for one range of addresses or for the machines of one group."""
        vpc.SecurityGroupIngressRule(
            f"{self._name}-{what}",
            region=self._args.region,
            security_group_id=of.id,
            description=what,
            ip_protocol="tcp",
            from_port=port,
            to_port=last or port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group,
            tags=self._tags(what),
            opts=self._opts,
        )

    def _tags(self, what: str) -> dict[str, str]:
        return {**self._args.scope.tags, "Name": f"tradewind {self._args.scope.env} {what}"}


def subnet_cidrs(cidr: str, zones: Sequence[str]) -> dict[str, str]:
    """A /20 for each zone, chosen by its number, so that another zone hardly ever moves one that is there."""
    slots = [str(s) for s in ipaddress.IPv4Network(cidr).subnets(new_prefix=_SUBNET_PREFIX)]
    found: dict[str, str] = {}
    for zone in sorted(zones, key=lambda z: (z.count("-"), z)):  # those of the region before local ones
        number = re.search(r"\d+$", zone)
        slot = int(number[0]) % len(slots) if number else 0
        while slots[slot] in found.values():
            slot = (slot + 1) % len(slots)
        found[zone] = slots[slot]
    return found


def _existing(chosen: ExistingNetwork, args: NetworkArgs) -> dict[str, pulumi.Input[str]]:
    if missing := [zone for zone in args.zones if zone not in chosen.subnets]:
        raise InputError(
            f"tradewind:network.aws/{args.region}.subnets has no subnet for {', '.join(missing)}. "
            f"Add one by the zone's id (`{missing[0]}: subnet-...`), public and with a route to the internet."
        )
    return {zone: chosen.subnets[zone] for zone in args.zones}
