"""What an account may have of an accelerator in a region, as `tradewind:quotas` says.

A place where not one replica may run is left out, with the reason: machines that are never given would only be asked for
again and again. A pool gets no larger maximum than it may have, nor than is reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalog.accelerators import UnknownAccelerator, resolve
from catalog.load import Offer
from spec.clouds import Quota
from spec.errors import InputError
from spec.names import Market
from spec.reservations import Reservations

Key = tuple[str, str, str]
"""Cloud, region, accelerator by its canonical name."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Numbers of accelerators; what is not named is not limited."""

    by_key: Mapping[Key, Quota] = field(default_factory=dict)
    reserved: Mapping[Key, int] = field(default_factory=dict)
    """Machines, by cloud, zone or region, and instance type."""

    @classmethod
    def of(
        cls, written: Mapping[str, Mapping[str, Quota]], reservations: Reservations | None = None
    ) -> Quotas:
        """`written`: by `<cloud>/<region>` and accelerator in any spelling. Raises InputError for an unknown one."""
        found: dict[Key, Quota] = {}
        for place, by_accelerator in written.items():
            cloud, _, region = place.partition("/")
            for name, quota in by_accelerator.items():
                try:
                    found[cloud, region, resolve(name, 1)[0]] = quota
                except UnknownAccelerator as e:
                    raise InputError(f"tradewind:quotas.{place}.{name}: {e}") from None
        reserved = {
            (*_split(place), type_): reservation.machines
            for place, by_type in (reservations or {}).items()
            for type_, reservation in by_type.items()
        }
        return cls(found, reserved)

    def limit(self, offer: Offer, market: Market) -> int | None:
        """How many accelerators of the offer's kind there may be in its region; None = not limited."""
        quota = self.by_key.get((offer.cloud, offer.region, offer.accelerator))
        if quota is None:
            return None
        return quota.spot if market is Market.SPOT else quota.on_demand

    def machines(self, offer: Offer, market: Market, nodes: int) -> int | None:
        """How many machines a pool of the offer may have, in whole replicas of `nodes` machines; None = not limited."""
        if market is Market.RESERVED:
            machines = self.reserved.get((offer.cloud, offer.zone or offer.region, offer.instance_type))
            return None if machines is None else machines // nodes * nodes
        limit = self.limit(offer, market)
        return None if limit is None else limit // offer.accelerator_count // nodes * nodes

    def why_not(self, offer: Offer, market: Market, nodes: int) -> str | None:
        """Why not even one replica may run there, or None when one may."""
        if self.machines(offer, market, nodes) != 0:
            return None
        limit, takes = self.limit(offer, market), offer.accelerator_count * nodes
        words = (
            f"the {_words(market)} quota of {offer.accelerator} in {offer.cloud}/{offer.region} is {limit}"
        )
        return words if limit == 0 else f"{words}, and a replica takes {takes}"


def _split(place: str) -> tuple[str, str]:
    cloud, _, where = place.partition("/")
    return cloud, where


def _words(market: Market) -> str:
    return market.replace("_", " ")
