"""What a scale set of Azure makes its machines of, written once in the API's own names.

Two resources carry it: the scale set, flattened as azure-native wants it, and the template that later edits go
through (see `components.pools.azure`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pulumi

from components.azure import no_login
from spec.desired import Pool
from spec.names import Market

HPC_IMAGE = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404", "version": "latest"}
"""Ubuntu 24.04 (Python 3.12) with NVIDIA's driver, Docker and its container toolkit. The driver is of the open kind."""
PLAIN_IMAGE = {
    "publisher": "Canonical",
    "offer": "ubuntu-24_04-lts",
    "sku": "server",
    "version": "latest",
}
"""Ubuntu 24.04 alone; an extension of Azure's installs the driver."""

_OTHER_DRIVER = re.compile(r"V100|A10$")
"""Accelerators that the open driver does not drive: V100 is too old, and Azure cuts A10 up, which needs NVIDIA's GRID.
https://github.com/Azure/azhpc-images/issues/398 and 406."""

_NO_ACCELERATED_NETWORK = re.compile(r"_(NC\d+r?s_v3|ND40rs_v2)$")

_DRIVER = {
    "name": "nvidia-driver",
    "properties": {
        "publisher": "Microsoft.HpcCompute",
        "type": "NvidiaGpuDriverLinux",
        "typeHandlerVersion": "1.10",
        "autoUpgradeMinorVersion": True,
        "settings": {},
    },
}
_SMALLEST_DISK_GIB = 128
"""A disk can't be smaller than its image, and drivers and containers take about half of this."""

_NOTICE = "PT5M"
"""How long Azure waits between its notice of a deletion and the deletion, unless the machine approves it sooner."""

_NETWORK_API = "2022-11-01"
"""A Flexible scale set makes network cards itself, with this version of the network's API."""


def machine_profile(
    pool: Pool,
    *,
    subnet: pulumi.Input[str],
    firewall: pulumi.Input[str],
    user_data: pulumi.Input[str],
    disk_gib: int,
    peers: pulumi.Input[str] | None = None,
    reservation: str = "",
) -> dict[str, Any]:
    """`virtualMachineProfile` of a pool. `user_data`: in base64. `peers`: of a pool with gangs. `reservation`: of a reserved one,
    the id of its group.
    """
    driver_apart = _OTHER_DRIVER.search(pool.accelerator.removesuffix("-32GB")) is not None
    profile = {
        **_price(pool.market, reservation),
        "osProfile": {"computerNamePrefix": "tw-", **no_login(extensions=driver_apart)},
        "storageProfile": {
            "imageReference": PLAIN_IMAGE if driver_apart else HPC_IMAGE,
            "osDisk": {
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "deleteOption": "Delete",
                "diskSizeGB": max(disk_gib, _SMALLEST_DISK_GIB),
                "managedDisk": {"storageAccountType": "Premium_LRS"},
            },
        },
        "networkProfile": {
            "networkApiVersion": _NETWORK_API,
            "networkInterfaceConfigurations": [_card(pool, subnet, firewall, peers)],
        },
        "scheduledEventsProfile": {
            "terminateNotificationProfile": {"enable": True, "notBeforeTimeout": _NOTICE}
        },
        "userData": user_data,
    }
    return {**profile, "extensionProfile": {"extensions": [_DRIVER]}} if driver_apart else profile


def _price(market: Market, reservation: str) -> dict[str, Any]:
    if market is Market.RESERVED and reservation:
        return {
            "priority": "Regular",
            "capacityReservation": {"capacityReservationGroup": {"id": reservation}},
        }
    if market is not Market.SPOT:
        return {"priority": "Regular"}
    # Up to the price on demand: what the budget allows is decided by the controller, not by an eviction.
    return {"priority": "Spot", "evictionPolicy": "Delete", "billingProfile": {"maxPrice": -1}}


def _card(
    pool: Pool,
    subnet: pulumi.Input[str],
    firewall: pulumi.Input[str],
    peers: pulumi.Input[str] | None,
) -> dict[str, Any]:
    """The network card. Its public address is the machine's way out: there is no other, and none without machines."""
    address = {
        "name": "public",
        "sku": {"name": "Standard", "tier": "Regional"},
        "properties": {"deleteOption": "Delete"},
    }
    configuration = {
        "primary": True,
        "subnet": {"id": subnet},
        "privateIPAddressVersion": "IPv4",
        "publicIPAddressConfiguration": address,
        **({} if peers is None else {"applicationSecurityGroups": [{"id": peers}]}),
    }
    return {
        "name": "card",
        "properties": {
            "primary": True,
            "deleteOption": "Delete",
            "enableAcceleratedNetworking": not _NO_ACCELERATED_NETWORK.search(pool.instance_types[0]),
            "networkSecurityGroup": {"id": firewall},
            "ipConfigurations": [{"name": "primary", "properties": configuration}],
        },
    }


def flattened(body: Any) -> Any:
    """As azure-native names it: what the API nests in `properties` stands beside the rest."""
    if isinstance(body, list):
        return [flattened(item) for item in body]
    if not isinstance(body, Mapping):
        return body
    flat = {key: flattened(value) for key, value in body.items() if key != "properties"}
    return {**flat, **flattened(body["properties"])} if "properties" in body else flat
