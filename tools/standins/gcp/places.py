"""Regions and zones that exist: cloud.google.com/compute/docs/regions-zones (2026-11)."""

from __future__ import annotations

from collections.abc import Iterator

from tools.standins.check import Failure, near
from tools.standins.cloud import Made

_ABC = """
africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 europe-central2
europe-north1 europe-north2 europe-southwest1 europe-west10 europe-west12 europe-west2 europe-west3
europe-west4 europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1 northamerica-northeast1
northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1 us-east4 us-east5
us-south1 us-west1 us-west2 us-west3 us-west4
"""
REGIONS: dict[str, str] = {
    **dict.fromkeys(_ABC.split(), "abc"),
    "europe-west1": "bcd",
    "us-east1": "bcd",
    "us-central1": "abcf",
}
"""Region -> letters of its general zones."""


def place_failures(made: Made) -> Iterator[Failure]:
    """The region and zone that a resource names for itself."""
    region, zone = made.get("region"), made.get("zone")
    if isinstance(region, str) and region not in REGIONS:
        yield Failure("region", f"Google Cloud has no region {region}{near(region, list(REGIONS))}")
    if isinstance(zone, str):
        home, _, letter = zone.rpartition("-")
        if home not in REGIONS:
            yield Failure("zone", f"Google Cloud has no zone {zone}{near(home, list(REGIONS))}")
        elif len(letter) == 1 and letter not in REGIONS[home]:
            letters = ", ".join(f"{home}-{x}" for x in REGIONS[home])
            yield Failure("zone", f"Google Cloud has no zone {zone}; there are {letters}")
