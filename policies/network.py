"""Who may come in: callers to the edges, edges and controller to replicas, nobody else anywhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from policies.rules import Config, Rule, at, computed, has, items

EDGE_PORT, REPLICA_PORT, SSH = 443, 9443, 22
_WORLD = frozenset({"0.0.0.0/0", "::/0", "*", "Internet", "Any", "any"})
_LARGEST_OWNED = 8
"""Bits of the largest range of public addresses (a /8) that one owner ever had."""
_OWN_ADDRESSES = frozenset(
    {"aws:ec2/eip:Eip", "azure-native:network:PublicIPAddress", "gcp:compute/address:Address"}
)
"""An unknown source that comes from these alone is an address of this very stack."""


@dataclass(frozen=True)
class Opening:
    """Ports (first, last) that a range of addresses may reach. `source`: None = an address of this stack, or a group."""

    source: str | None
    ports: tuple[int, int]

    @property
    def is_for_all(self) -> bool:
        """Whether anybody may come: two halves of the world are the world, too."""
        if self.source is None or self.source in _WORLD:
            return self.source is not None
        try:
            return ipaddress.ip_network(self.source).prefixlen < _LARGEST_OWNED
        except ValueError:
            return False  # names of many, and not of all

    @property
    def is_wide(self) -> bool:
        """Whether more than one address may."""
        if self.source is None:
            return False
        try:
            return ipaddress.ip_network(self.source).num_addresses > 1
        except ValueError:
            return True  # names of many: `VirtualNetwork`, a prefix list

    def covers(self, port: int) -> bool:
        """Whether the port is among them."""
        return self.ports[0] <= port <= self.ports[1]


def openings(resource: PolicyResource) -> Iterator[Opening]:
    """What a firewall's resource lets in. Raises UnknownValueError."""
    reader = _READERS.get(resource.resource_type)
    if reader is not None:
        yield from reader(resource)


def _aws_rule(resource: PolicyResource) -> Iterator[Opening]:
    props = resource.props
    every = at(props, "ipProtocol") == "-1"
    ports = (0, 65535) if every else (int(at(props, "fromPort", 0)), int(at(props, "toPort", 65535)))
    if has(props, "referencedSecurityGroupId"):
        yield Opening(None, ports)
    for key in ("cidrIpv4", "cidrIpv6"):
        if has(props, key):
            yield Opening(_source(resource, props, key), ports)
    if has(props, "prefixListId"):
        yield Opening("a prefix list", ports)


def _aws_inline(resource: PolicyResource) -> Iterator[Opening]:
    try:
        rules = items(resource.props, "ingress")
    except UnknownValueError:
        if computed(resource, "ingress"):
            return  # rules of a group whose rules are resources of their own
        raise
    for rule in rules:
        ports = (int(at(rule, "fromPort", 0)), int(at(rule, "toPort", 65535)))
        if at(rule, "protocol") == "-1":
            ports = (0, 65535)
        sources = [*at(rule, "cidrBlocks", []), *at(rule, "ipv6CidrBlocks", [])]
        yield from (Opening(source, ports) for source in sources)


def _gcp_firewall(resource: PolicyResource) -> Iterator[Opening]:
    props = resource.props
    if at(props, "direction", "INGRESS") != "INGRESS" or at(props, "disabled", default=False):
        return
    sources: list[str | None] = []
    try:
        sources += at(props, "sourceRanges", [])
    except UnknownValueError:
        if not _of_this_stack(resource, "sourceRanges"):
            raise
        sources.append(None)
    if not sources:
        sources = [None] if at(props, "sourceTags") or at(props, "sourceServiceAccounts") else ["0.0.0.0/0"]
    for allowed in items(props, "allows"):
        for text in at(allowed, "ports", None) or ["0-65535"]:
            yield from (Opening(source, _ports(text)) for source in sources)


def _azure_group(resource: PolicyResource) -> Iterator[Opening]:
    for rule in items(resource.props, "securityRules"):
        if at(rule, "access") != "Allow" or at(rule, "direction") != "Inbound":
            continue
        texts = at(rule, "destinationPortRanges", None) or [at(rule, "destinationPortRange", "*")]
        sources: list[str | None] = []
        for key in ("sourceAddressPrefix", "sourceAddressPrefixes"):
            try:
                found = at(rule, key, [])
            except UnknownValueError:
                if not _of_this_stack(resource, "securityRules"):
                    raise
                found = [None]
            sources += [found] if isinstance(found, str) else found
        for text in texts:
            yield from (Opening(source, _ports(text)) for source in sources or [None])


_READERS = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _aws_rule,
    "aws:ec2/securityGroup:SecurityGroup": _aws_inline,
    "gcp:compute/firewall:Firewall": _gcp_firewall,
    "azure-native:network:NetworkSecurityGroup": _azure_group,
}


def _source(resource: PolicyResource, props: Mapping[str, Any], key: str) -> str | None:
    try:
        return at(props, key)
    except UnknownValueError:
        if _of_this_stack(resource, key):
            return None
        raise


def _of_this_stack(resource: PolicyResource, key: str) -> bool:
    """Whether what is unknown about a property can only be static addresses of this stack, and ids of its groups."""
    depends = resource.property_dependencies.get(key, [])
    others = {
        "azure-native:network:ApplicationSecurityGroup",
        "azure-native:resources:ResourceGroup",
    }
    kinds = {d.resource_type for d in depends}
    return bool(kinds & _OWN_ADDRESSES) and kinds <= _OWN_ADDRESSES | others


def _ports(text: str) -> tuple[int, int]:
    if text == "*":
        return 0, 65535
    first, _, last = text.partition("-")
    return int(first), int(last or first)


# ---------------------------------------------------------------- the policies


def _open_ports(resource: PolicyResource, _config: Config) -> Iterator[str]:
    for opening in openings(resource):
        if opening.is_for_all and opening.ports != (EDGE_PORT, EDGE_PORT):
            yield (
                f"lets everybody reach {_words(opening.ports)}; only the edges' port {EDGE_PORT} is for all. "
                "Name the addresses that may."
            )


def _no_ssh(resource: PolicyResource, _config: Config) -> Iterator[str]:
    if any(opening.covers(SSH) for opening in openings(resource)):
        yield "lets somebody reach port 22. Machines are looked into through their cloud's own session service."


def _replica_ingress(resource: PolicyResource, _config: Config) -> Iterator[str]:
    for opening in openings(resource):
        if opening.covers(REPLICA_PORT) and opening.is_wide:
            yield (
                f"lets more than single addresses reach {_words(opening.ports)}. Replicas are for edges and controller: "
                "name their static addresses or groups."
            )


def _words(ports: tuple[int, int]) -> str:
    return f"port {ports[0]}" if ports[0] == ports[1] else f"ports {ports[0]} to {ports[1]}"


RULES = (
    Rule(
        "open-ports",
        f"Nothing but the edges' port {EDGE_PORT} is open to everybody.",
        "CIS AWS Foundations 5.2 and 5.3, CIS GCP 3.6, CIS Azure 6.1",
        each=_open_ports,
    ),
    Rule(
        "no-ssh",
        "Nobody reaches port 22.",
        "CIS AWS Foundations 5.2, CIS GCP 3.6, CIS Azure 6.2",
        each=_no_ssh,
    ),
    Rule(
        "replica-ingress",
        f"Replicas' port {REPLICA_PORT} is for edges and controller only.",
        "docs/architecture.md",
        each=_replica_ingress,
    ),
)
