"""What is wrong with `tradewind:reservations`, by the price table: a place or a type that nobody sells, a name of another cloud's kind."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.load import Catalog
from spec.errors import did_you_mean
from spec.reservations import NAMED, NAMES, Reservation
from spec.stack import NAMESPACE, StackConfig

_Found = Iterator[tuple[str, str, str]]
"""Setting, what is wrong, the way out."""

_LIKE = {
    "aws": "cr-0123456789abcdef0, as `aws ec2 describe-capacity-reservations` prints it",
    "gcp": "my-reservation, as `gcloud compute reservations list` prints it",
    "azure": "/subscriptions/.../providers/Microsoft.Compute/capacityReservationGroups/my-group, as `az capacity reservation group "
    "list --query [].id` prints it",
}
_LISTED_AT_MOST = 20


def reservation_problems(config: StackConfig, catalog: Catalog) -> _Found:
    """Each with the way out."""
    for where, by_type in config.reservations.items():
        field = f"{NAMESPACE}:reservations.{where}"
        cloud, _, place = where.partition("/")
        if cloud not in NAMES or not place:
            yield (
                field,
                "is no `<cloud>/<zone>`.",
                "For example `aws/use1-az1`, `gcp/us-central1-a` or `azure/eastus`.",
            )
            continue
        sold = {o.instance_type for o in catalog.offers if o.cloud == cloud and (o.zone or o.region) == place}
        if not sold:
            places = {o.zone or o.region for o in catalog.offers if o.cloud == cloud}
            near = did_you_mean(place, sorted(places))
            yield (
                field,
                f"{cloud} sells no accelerator in `{place}`.",
                near or "Regions are for Azure, zones for the others.",
            )
            continue
        for type_, reservation in by_type.items():
            if type_ not in sold:
                some = f"There are: {', '.join(sorted(sold)[:_LISTED_AT_MOST])}."
                hint = did_you_mean(type_, sorted(sold)) or some
                yield f"{field}.{type_}", f"{cloud} sells no such type in {place}.", hint
            yield from _name(f"{field}.{type_}.name", cloud, reservation)


def _name(field: str, cloud: str, reservation: Reservation) -> _Found:
    if not reservation.name and cloud in NAMED:
        yield (
            field,
            f"is missing: {cloud} uses no reservation that a machine does not name.",
            f"Add one like {_LIKE[cloud]}.",
        )
    elif reservation.name and not NAMES[cloud].fullmatch(reservation.name):
        yield (
            field,
            f"`{reservation.name}` is no name of a reservation of {cloud}.",
            f"It is one like {_LIKE[cloud]}.",
        )
