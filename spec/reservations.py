"""Machines that the user has reserved with a cloud, as `tradewind:reservations` names them.

A reservation costs the same whether it is used or not, so pools in it are filled first. What one is called, and whether it has to
be said, differs: Azure uses none that a machine does not name; AWS and Google Cloud use any open one of that type and zone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from spec.setting import Setting

if TYPE_CHECKING:
    from spec.desired import Pool

NAMES = {
    "aws": re.compile(r"cr-[0-9a-f]{8,17}"),
    "gcp": re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"),
    "azure": re.compile(
        r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/capacityReservationGroups/[^/]+"
    ),
}
"""By cloud. AWS: the id; Google Cloud: the name; Azure: the id of the group that the reservation is in."""
NAMED = frozenset({"azure"})
"""Clouds in which a reservation that is not named is not used."""


class Reservation(Setting):
    """`machines`: how many are reserved. `name`: of a particular one, see `NAMES`; empty = any that is open to all."""

    machines: int = Field(ge=1)
    name: str = ""


Reservations = dict[str, dict[str, Reservation]]
"""By `<cloud>/<zone>`, where the cloud has no zones by `<cloud>/<region>`, and by instance type."""


def reserved_as(reservations: Reservations, pool: Pool) -> str:
    """The name of a pool's reservation; empty when it has none, or any."""
    of_place = reservations.get(f"{pool.cloud}/{pool.zone or pool.region}", {})
    found = of_place.get(pool.instance_types[0])
    return found.name if found is not None else ""
