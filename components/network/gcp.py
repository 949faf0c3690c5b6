"""One region's network in Google Cloud: a network with one subnet, and firewall rules for the tag of each role.

Google's networks could span the world. Each region has one of its own all the same: regions meet at public addresses
anyhow, as clouds do, and so a region comes and goes, or is the user's own network, without touching another. Google
lets nobody in by default, so a door is all that is declared. There is no NAT: every machine has a public address, which
costs nothing while there is no machine, and the way to Google's own services is free.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pulumi
from pulumi_gcp import compute

from components.cloud import CONTROLLER_PORT, EDGE_PORT, PEER_PORTS, REPLICA_PORT, Network, NetworkArgs
from spec.clouds import ExistingNetwork
from spec.errors import InputError
from spec.names import cloud_name

_ANYWHERE = "0.0.0.0/0"


class GcpNetwork(pulumi.ComponentResource):
    """`network`: for machines of the region. The user's own network is used where `tradewind:network` names one."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:network:GcpNetwork", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        self._id, subnet = self._place()
        replicas, edges, controller = (self._named(role) for role in ("replicas", "edges", "controller"))
        callers = [args.callers[key] for key in sorted(args.callers)]
        if "replicas" in args.roles:
            self._door("callers-to-replicas", replicas, str(REPLICA_PORT), callers, [edges, controller])
        if "controller" in args.roles:
            self._door("callers-to-controller", controller, str(CONTROLLER_PORT), callers, [edges])
        if "edges" in args.roles:  # from anywhere, so also from Google's health checks
            self._door("anybody-to-edges", edges, str(EDGE_PORT), [_ANYWHERE])
        peers = {service: self._named(f"peers-{service}") for service in args.gangs}
        for service, tag in peers.items():
            first, last = PEER_PORTS
            self._door(f"peers-of-{service}", tag, f"{first}-{last}", [], [tag])
        self.network = Network(
            cloud="gcp",
            region=args.region,
            id=self._id,
            subnets={"": subnet},
            replicas=replicas,
            edges=edges,
            controller=controller,
            peers=peers,
        )
        self.register_outputs({"id": self._id, "subnet": subnet})

    def _place(self) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """Ids of the network and of its subnet."""
        args = self._args
        chosen = args.scope.config.network.get(f"gcp/{args.region}", "create")
        if isinstance(chosen, ExistingNetwork):
            return chosen.id, _the_subnet(chosen, args.region)
        network = compute.Network(
            self._name,
            name=self._named("network"),
            description=f"Tradewind {args.scope.env}: {args.region}",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=self._opts,
        )
        subnet = compute.Subnetwork(
            f"{self._name}-machines",
            name=self._named("machines"),
            region=args.region,
            network=network.id,
            # Half of the range: what somebody adds later has room.
            ip_cidr_range=str(next(ipaddress.IPv4Network(args.cidr).subnets())),
            private_ip_google_access=True,
            opts=self._opts,
        )
        return network.id, subnet.id

    def _door(
        self,
        what: str,
        of: str,
        ports: str,
        ranges: Sequence[pulumi.Input[str]],
        tags: Sequence[str] = (),
    ) -> None:
        """One port, or a range of them, of the machines with the tag `of`, for ranges of addresses and for machines of the same network."""
        compute.Firewall(
            f"{self._name}-{what}",
            name=self._named(what),
            description=f"Tradewind {self._args.scope.env}: {what}",
            network=self._id,
            direction="INGRESS",
            allows=[compute.FirewallAllowArgs(protocol="tcp", ports=[ports])],
            source_ranges=list(ranges) or None,
            source_tags=list(tags) or None,
            target_tags=[of],
            opts=self._opts,
        )

    def _named(self, what: str) -> str:
        return cloud_name(self._args.scope.env, f"{self._args.region}-{what}")


def _the_subnet(chosen: ExistingNetwork, region: str) -> str:
    found = sorted(set(chosen.subnets.values()))
    if len(found) != 1:
        raise InputError(
            f"tradewind:network.gcp/{region}.subnets names {len(found)}: {', '.join(found)}. "
            "Subnets of Google Cloud span the region: name the one whose machines these are."
        )
    return found[0]
