"""Policies by name: `round-robin+fallback+extra=1`. What a name may carry, and what to say when it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sim.baselines.on_demand import OnDemandOnly
from sim.baselines.placed import Placed, Placement
from sim.baselines.qps import QpsScaler, Scaled
from sim.baselines.spothedge import SpotHedge, SpotHedgeArtifact
from sim.baselines.spread import EvenSpread, RoundRobin
from sim.conditions import Conditions
from sim.policy import Policy
from sim.serving import DRAIN_S
from spec.errors import InputError, did_you_mean
from spec.quantities import Wrong
from spec.quantities import slo as read_slo
from spec.scaling import Scaling

OMNISCIENT = "omniscient"
"""Not a policy: `sim.omniscient` computes what one that knew the trace would pay."""
MOST_EXTRA = 1000

Parts = Mapping[str, float]
"""What stands behind the plusses of a name; those without a number have 1."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a policy is made from.

    Attributes:
        parts: of its name.
        conditions: a policy may use what a controller knows of them, so not the seed, nor who ends first.
        slo: the wanted availability, 0 to 1.
        scaling: how the number follows requests; None = the target is told.

    """

    parts: Parts
    conditions: Conditions
    slo: float
    scaling: Scaling | None

    def placed(self, placement: Placement, *, fallback: bool = False, extra: int = 0) -> Placed:
        """With that fallback and those constant spares, unless its name says otherwise."""
        spares = int(self.parts.get("extra", extra))
        return Placed(placement, extra=spares, with_fallback=fallback or "fallback" in self.parts)


def _tradewind(named: Named) -> Policy:
    from sim.product import Tradewind  # the controller's whole decisions, which few commands need

    slo, limit_s = named.parts.get("slo", named.slo), DRAIN_S if named.scaling else 0.0
    return Tradewind(named.conditions, slo, named.scaling, drain_limit_s=limit_s)


@dataclass(frozen=True, slots=True)
class _Kind:
    """`takes`: parts that its name may have. `scales`: it follows requests by itself."""

    make: Callable[[Named], Policy]
    takes: tuple[str, ...] = ()
    scales: bool = False


_PLACED = ("fallback", "extra")
_KINDS: dict[str, _Kind] = {
    "tradewind": _Kind(_tradewind, ("slo", "qps"), scales=True),
    "on-demand": _Kind(lambda _: OnDemandOnly()),
    "even-spread": _Kind(lambda n: n.placed(EvenSpread()), _PLACED),
    "round-robin": _Kind(lambda n: n.placed(RoundRobin()), _PLACED),
    "spothedge": _Kind(lambda n: n.placed(SpotHedge(), fallback=True, extra=1), _PLACED),
    "spothedge-artifact": _Kind(lambda n: n.placed(SpotHedgeArtifact(), fallback=True, extra=1), _PLACED),
}
"""SpotHedge is nothing without its fallback and its spare, so its plain name has both."""
_SHOWN = {"fallback": "fallback", "extra": "extra=1", "slo": "slo=99.9", "qps": "qps"}
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
    base, *words = name.split("+")
    kind = _KINDS.get(base)
    if kind is None:
        hint = did_you_mean(base, NAMES) or f"There are {', '.join(NAMES)}."
        said = (
            f"policy {base!r} takes no variants."
            if base == OMNISCIENT
            else f"policy {base!r} is not known. {hint}"
        )
        raise InputError(said)
    parts = _parts(name, words, kind.takes)
    if "qps" in parts and scaling is None:
        raise InputError(f"policy {name!r} scales by requests, so it needs a request trace.")
    if scaling is None or (kind.scales and "qps" not in parts):
        return kind.make(Named(parts, conditions, slo, scaling))
    policy = kind.make(Named(parts, conditions, slo, None))
    return Scaled(policy, QpsScaler.of(scaling), conditions.tick_s)


def _parts(name: str, words: Sequence[str], takes: Sequence[str]) -> Parts:
    if words and not takes:
        raise InputError(f"policy {name!r} has no variants, so `+{words[0]}` means nothing.")
    found = {}
    for word in words:
        part, given, value = word.partition("=")
        if part not in takes or bool(given) != ("=" in _SHOWN[part]):
            shown = [_SHOWN[p] for p in takes]
            hint = did_you_mean(word, shown) or f"Variants are {' and '.join(f'`+{s}`' for s in shown)}."
            raise InputError(f"policy {name!r}: `+{word}` is no variant. {hint}")
        if part in found:
            raise InputError(f"policy {name!r} has `{part}` twice.")
        found[part] = _number(name, part, value)
    return found


def _number(name: str, part: str, value: str) -> float:
    """Of the part of that name. Raises InputError."""
    if part == "slo":
        try:
            return read_slo(value) / 100
        except Wrong as e:
            raise InputError(f"policy {name!r}: slo {e}. {e.hint}") from None
    if part == "extra":
        if not (value.isascii() and value.isdigit() and int(value) <= MOST_EXTRA):
            raise InputError(f"policy {name!r}: extra is a whole number from 0 to {MOST_EXTRA}.")
        return int(value)
    return 1
