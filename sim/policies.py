"""Policies by name: `round-robin+fallback+extra=1`. What a name may carry, and what to say when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.baselines.on_demand import OnDemandOnly
from sim.baselines.placed import Placed
from sim.baselines.qps import QpsScaler, Scaled
from sim.baselines.spothedge import SpotHedge, SpotHedgeArtifact
from sim.baselines.spread import EvenSpread, RoundRobin
from sim.conditions import Conditions
from sim.policy import Policy
from spec.errors import InputError, did_you_mean
from spec.scaling import Scaling

OMNISCIENT = "omniscient"
"""Not a policy: `sim.omniscient` computes what one that knew the trace would pay."""
MOST_EXTRA = 1000
_OURS, _BY_QPS = "tradewind", "qps"


@dataclass(frozen=True, slots=True)
class Named:
    """What a policy is made from.

    Attributes:
        name: as it was written.
        extra: constant spare spot replicas.
        with_fallback: to on demand.
        conditions: a policy may use what a controller knows of them, so not the seed, nor who ends first.
        slo: the wanted availability, 0 to 1.
        scaling: how the number follows requests; None = the target is told.

    """

    name: str
    extra: int
    with_fallback: bool
    conditions: Conditions
    slo: float
    scaling: Scaling | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    make: Callable[[Named], Policy]
    variants: bool = True
    fallback: bool = False
    extra: int = 0


def _tradewind(named: Named) -> Policy:
    from sim.product import Tradewind  # the controller's whole decisions, which few commands need

    return Tradewind(named.conditions, named.slo, named.scaling)


_KINDS: dict[str, _Kind] = {
    "tradewind": _Kind(_tradewind, variants=False),
    "on-demand": _Kind(lambda _: OnDemandOnly(), variants=False),
    "even-spread": _Kind(lambda n: Placed(EvenSpread(), extra=n.extra, with_fallback=n.with_fallback)),
    "round-robin": _Kind(lambda n: Placed(RoundRobin(), extra=n.extra, with_fallback=n.with_fallback)),
    "spothedge": _Kind(
        lambda n: Placed(SpotHedge(), extra=n.extra, with_fallback=n.with_fallback), fallback=True, extra=1
    ),
    "spothedge-artifact": _Kind(
        lambda n: Placed(SpotHedgeArtifact(), extra=n.extra, with_fallback=n.with_fallback),
        fallback=True,
        extra=1,
    ),
}
"""SpotHedge is nothing without its fallback and its spare, so its plain name has both."""
NAMES = (*_KINDS, OMNISCIENT)
DEFAULT = (
    "tradewind",
    "on-demand",
    "even-spread",
    "even-spread+fallback",
    "round-robin",
    "round-robin+fallback",
    "round-robin+fallback+extra=1",
    "spothedge",
    "spothedge+extra=2",
    "spothedge-artifact",
    OMNISCIENT,
)
"""What a comparison shows when nobody says otherwise."""
DEFAULT_WITH_REQUESTS = ("tradewind", "tradewind+qps", "spothedge", "on-demand")
"""The same with requests: what scaling does beside what placement does, and SkyServe as a whole."""


def check(name: str, *, with_requests: bool = False) -> None:
    """Raises InputError with the way out when there is no such policy, or not one that follows requests."""
    if name != OMNISCIENT:
        make(name, Conditions(), scaling=Scaling() if with_requests else None)
    elif with_requests:
        raise InputError(f"{OMNISCIENT} knows of capacity, and nothing of requests.")


def make(name: str, conditions: Conditions, *, slo: float = 0.999, scaling: Scaling | None = None) -> Policy:
    """A new policy, which has seen nothing yet. Raises InputError.

    `scaling`: how the number follows requests, None = it is told. Only `tradewind` knows all of it; all others scale by requests
    per second as SkyServe does, and so does `tradewind+qps`.
    """
    base, *parts = name.split("+")
    if base == _OURS and parts == [_BY_QPS]:
        if scaling is None:
            raise InputError(f"policy {name!r} scales by requests, so it needs a request trace.")
        told = _tradewind(Named(name, 0, with_fallback=False, conditions=conditions, slo=slo))
        return Scaled(told, QpsScaler.of(scaling), conditions.tick_s)
    kind = _KINDS.get(base)
    if kind is None:
        hint = did_you_mean(base, NAMES) or f"There are {', '.join(NAMES)}."
        said = (
            f"policy {base!r} takes no variants."
            if base == OMNISCIENT
            else f"policy {base!r} is not known. {hint}"
        )
        raise InputError(said)
    if parts and not kind.variants:
        raise InputError(f"policy {base!r} has no variants, so `+{parts[0]}` means nothing.")
    extra, with_fallback = kind.extra, kind.fallback
    for part in parts:
        if part == "fallback":
            with_fallback = True
        elif (
            part.startswith("extra=")
            and (number := part.removeprefix("extra=")).isascii()
            and number.isdigit()
        ):
            extra = int(number)
            if extra > MOST_EXTRA:
                raise InputError(f"policy {name!r}: extra is {MOST_EXTRA} at most.")
        else:
            hint = did_you_mean(part, ("fallback", "extra=1")) or "Variants are `+fallback` and `+extra=N`."
            raise InputError(f"policy {name!r}: `+{part}` is no variant. {hint}")
    policy = kind.make(Named(name, extra, with_fallback, conditions, slo, scaling))
    if scaling is None or base == _OURS:
        return policy
    return Scaled(policy, QpsScaler.of(scaling), conditions.tick_s)
