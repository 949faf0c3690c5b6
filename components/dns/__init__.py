"""The name of an environment: one module per owner of names."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.cloud import Scope
from spec.clouds import Dns


@dataclass(frozen=True, kw_only=True)
class Site:
    """One edge as the environment's name leads to it. `address`: static, of its host or of its balancer.

    `more`: further addresses of the same balancer; AWS's has one in each zone.
    """

    id: str
    cloud: str
    region: str
    address: pulumi.Input[str]
    more: tuple[pulumi.Input[str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """`scope`: of the cloud that owns the name, which need not have pools. `sites`: in the order of `tradewind:edges`."""

    scope: Scope
    dns: Dns
    sites: tuple[Site, ...]
