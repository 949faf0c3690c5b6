"""Regions and zones that exist: docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html (2026-11)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.standins.check import Failure, near
from tools.standins.cloud import Made

_NAMES = """
af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7
ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2
eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1
us-gov-west-1 us-west-1 us-west-2
"""
REGIONS = tuple(_NAMES.split())
_SHORT = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c"}


def region_of(made: Made) -> Iterator[Failure]:
    """The region that a resource names for itself."""
    region = made.get("region")
    if isinstance(region, str) and region not in REGIONS:
        yield Failure("region", f"AWS has no region {region}{near(region, list(REGIONS))}")


def zone_failures(made: Made) -> Iterator[Failure]:
    """A zone, by name (us-east-1a) or by id (use1-az1), must be one of the resource's region."""
    region = made.get("region") or made.config.get("region")
    if not isinstance(region, str) or region not in REGIONS:
        return
    name, id_ = made.get("availabilityZone"), made.get("availabilityZoneId")
    if isinstance(name, str) and not re.fullmatch(rf"{region}[a-f]", name):
        yield Failure("availabilityZone", f"{name} is no zone of {region}: {region}a, ...")
    prefix = zone_prefix(region)
    if isinstance(id_, str) and not re.fullmatch(rf"{prefix}-az[1-6]", id_):
        yield Failure("availabilityZoneId", f"{id_} is no zone id of {region}: {prefix}-az1, ...")


def zone_prefix(region: str) -> str:
    """`us-east-1` -> `use1`, `ap-southeast-2` -> `apse2`."""
    area, *words, number = region.split("-")
    letters = "".join(
        "".join(_SHORT[w] for w in re.findall("|".join(_SHORT), word)) or word[0] for word in words
    )
    return f"{area}{letters}{number}"
