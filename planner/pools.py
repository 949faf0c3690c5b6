"""A chosen candidate as the pool that the stack declares and the controller sizes.

Limits, prices, and what a launch takes in seconds and USD; each an upper bound or an estimate whose basis is stated.
"""

from __future__ import annotations

import math

from catalog.cells import UNKNOWN
from catalog.load import Offer
from planner.choose import Candidate
from planner.filters import LOCAL, POOL_KINDS
from planner.fit import weights_bytes
from planner.models import parameters_b
from planner.quotas import Quotas
from spec.desired import Pool, Prices
from spec.mounts import homes
from spec.names import Market, pool_id
from spec.service import ServiceSpec

USD_PER_GB_ACROSS_CLOUDS = 0.09
"""What clouds ask for traffic that leaves them; a model of 140 GB costs 12.60 USD a launch."""

MACHINE_START_S = 180.0
"""A machine boots and fetches its image."""
WEIGHTS_GB_PER_S = 0.4
"""Weights over the wire and into the accelerators. With the start above, 140 GB take about 9 minutes: the middle of
the 4 to 15 minutes that such cold starts take in practice."""
LOCAL_START_S = 5.0


def pool_of(service: ServiceSpec, candidate: Candidate, quotas: Quotas) -> Pool:
    """The pool of a candidate.

    Its price is the dearest of the instance types that it may launch, so that no figure is below what it can cost.
    Its maximum is enough for all replicas of the service, surge included: capacity may end up in any one place. Where the
    account may have less, it is that.
    """
    offers = candidate.offers
    first, market = offers[0], candidate.best.market
    allowed = quotas.machines(first, market, service.num_nodes)
    gb = _weights_gb(service)
    return Pool(
        id=pool_id(
            service=service.name,
            cloud=first.cloud,
            place=first.zone or first.region,
            accelerator=first.accelerator,
            count=first.accelerator_count,
            market=market,
        ),
        service=service.name,
        kind=POOL_KINDS[first.cloud],
        cloud=first.cloud,
        region=first.region,
        zone=first.zone,
        market=market,
        accelerator=first.accelerator,
        accelerator_count=first.accelerator_count,
        instance_types=tuple(o.instance_type for o in offers),
        capacity_units=1 / service.num_nodes,
        max_size=most_machines(service) if allowed is None else min(most_machines(service), allowed),
        cold_start_s=LOCAL_START_S if first.cloud == LOCAL else MACHINE_START_S + gb / WEIGHTS_GB_PER_S,
        launch_usd=_launch_usd(service, first.cloud, gb),
        prices=Prices(
            spot=_dearest(offers, Market.SPOT),
            on_demand=_dearest(offers, Market.ON_DEMAND),
            as_of=_oldest(offers),
        ),
    )


def most_machines(service: ServiceSpec) -> int:
    """Of all replicas that the service may have at once."""
    return math.ceil((service.scaling.max_replicas + service.scaling.surge) * service.num_nodes)


def _dearest(offers: tuple[Offer, ...], market: Market) -> float | None:
    """None when any of them is unknown."""
    prices = [o.price(market) for o in offers]
    known = [p for p in prices if p is not None]
    return max(known) if len(known) == len(prices) else None


def _oldest(offers: tuple[Offer, ...]) -> str:
    dates = {o.as_of for o in offers}
    return UNKNOWN if UNKNOWN in dates else min(dates)


def _weights_gb(service: ServiceSpec) -> float:
    """10^9 bytes of the service's weights; 0 when neither a size nor the model's name tells."""
    billions = parameters_b(service)
    if billions is None:
        return 0.0
    quantization = service.model_size.quantization if service.model_size else "bf16"
    return weights_bytes(billions, quantization) / 1e9


def _launch_usd(service: ServiceSpec, cloud: str, gb: float) -> float:
    """Traffic of one launch, an upper bound: weights are taken to lie in another cloud unless a bucket is mounted.

    A mounted bucket of the pool's own cloud costs nothing; nor does anything on the local cloud.
    """
    if cloud == LOCAL or cloud in homes(service.file_mounts):
        return 0.0
    return round(gb * USD_PER_GB_ACROSS_CLOUDS * service.num_nodes, 2)
