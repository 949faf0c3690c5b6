"""Policies by name: `round-robin+fallback+extra=1`. What a name may carry, and what to say when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.baselines.on_demand import OnDemandOnly
from sim.baselines.placed import Placed
from sim.baselines.spothedge import SpotHedge, SpotHedgeArtifact
from sim.baselines.spread import EvenSpread, RoundRobin
from sim.conditions import Conditions
from sim.policy import Policy
from spec.errors import InputError, did_you_mean

OMNISCIENT = "omniscient"
"""Not a policy: `sim.omniscient` computes what one that knew the trace would pay."""
MOST_EXTRA = 1000


@dataclass(frozen=True, slots=True)
class Named:
    """What a policy is made from.

    Attributes:
        name: as it was written.
        extra: constant spare spot replicas.
        with_fallback: to on demand.
        conditions: a policy may use what a controller knows of them, so not the seed, nor who ends first.
        slo: the wanted availability, 0 to 1.

    """

    name: str
    extra: int
    with_fallback: bool
    conditions: Conditions
    slo: float


@dataclass(frozen=True, slots=True)
class _Kind:
    make: Callable[[Named], Policy]
    variants: bool = True
    fallback: bool = False
    extra: int = 0


def _tradewind(named: Named) -> Policy:
    from sim.product import Tradewind  # the controller's whole decisions, which few commands need

    return Tradewind(named.conditions, named.slo)


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


def check(name: str) -> None:
    """Raises InputError with the way out when there is no such policy."""
    if name != OMNISCIENT:
        make(name, Conditions())


def make(name: str, conditions: Conditions, *, slo: float = 0.999) -> Policy:
    """A new policy, which has seen nothing yet. Raises InputError."""
    base, *parts = name.split("+")
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
    return kind.make(Named(name, extra, with_fallback, conditions, slo))
