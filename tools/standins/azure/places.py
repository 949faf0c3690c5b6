"""Locations that exist: learn.microsoft.com/azure/reliability/regions-list (2026-11)."""

from __future__ import annotations

from collections.abc import Iterator

from tools.standins.check import Failure, near
from tools.standins.cloud import Made, items

_NAMES = """
australiacentral australiacentral2 australiaeast australiasoutheast austriaeast belgiumcentral brazilsouth
brazilsoutheast canadacentral canadaeast centralindia centralus chilecentral eastasia eastus eastus2
francecentral francesouth germanynorth germanywestcentral indonesiacentral israelcentral italynorth
japaneast japanwest jioindiacentral jioindiawest koreacentral koreasouth malaysiawest mexicocentral
newzealandnorth northcentralus northeurope norwayeast norwaywest polandcentral qatarcentral southafricanorth
southafricawest southcentralus southeastasia southindia spaincentral swedencentral swedensouth
switzerlandnorth switzerlandwest uaecentral uaenorth uksouth ukwest westcentralus westeurope westindia
westus westus2 westus3
"""
LOCATIONS = tuple(_NAMES.split())


def location_failures(made: Made) -> Iterator[Failure]:
    """The location that a resource names for itself (`eastus` or `East US`), and its zones 1 to 3."""
    location = made.get("location")
    if isinstance(location, str):
        folded = location.lower().replace(" ", "")
        if folded not in (*LOCATIONS, "global"):
            yield Failure("location", f"Azure has no location {location}{near(folded, list(LOCATIONS))}")
    for number, zone in enumerate(items(made.get("zones"))):
        if zone not in ("1", "2", "3"):
            yield Failure(f"zones[{number}]", f"{zone!r} is none of the zones 1, 2, 3")
