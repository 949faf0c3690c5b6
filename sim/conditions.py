"""What a simulated cloud is like beside its capacity: how slowly machines come, how refusals and preemptions are told.

A trace says how much there is and what it costs; these say everything else. One frozen value, so that a scenario is a
trace and one of these, and two runs with the same are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from sim.csvfile import LONGEST_S

PENDING_AT_MOST_S = 45.0
"""A cloud that has the machine gives it within this time; everything after is boot, image and model."""


MOST_USD = 1_000_000.0
"""Of any price; whatever is larger is another unit. No time is longer than the longest trace."""
MOST_RATIO = 1000.0


class Victim(StrEnum):
    """Which machines of a zone end first when its capacity falls."""

    NEWEST = "newest"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from the order to the first answer: until the machine is there, and until its engine is ready."""

    pending_s: float
    starting_s: float

    def __post_init__(self) -> None:
        for name, value in (("pending_s", self.pending_s), ("starting_s", self.starting_s)):
            if not isfinite(value) or value < 0:
                raise ValueError(f"{name} must be 0 or more seconds, got {value}")

    @property
    def total_s(self) -> float:
        """Both together."""
        return self.pending_s + self.starting_s

    @classmethod
    def of(cls, total_s: float) -> ColdStart:
        """A quarter of it until the machine is there, but never longer than clouds take for that."""
        if not 0 <= total_s <= LONGEST_S:
            raise ValueError(f"the cold start must be 0 or more seconds, and at most a year; got {total_s:g}")
        pending = min(total_s / 4, PENDING_AT_MOST_S)
        return cls(pending, total_s - pending)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything about the clouds that the trace leaves open.

    Attributes:
        cold_start: of every machine.
        tick_s: the policy is asked at multiples of this only, as a controller's loop is.
        refusal_s: from the order until a refusal is told; 0 = with the next tick.
        notice_s: how long before its end a preempted machine is told; 0 = never.
        notices: the same by zone, where zones of several clouds differ.
        launch_usd: what the start of one machine costs beside its hours (its image and model over a wire).
        victim: who ends first in a zone.
        ratio: on demand : spot, where the trace has only one price or none.
        seed: of everything random.

    """

    cold_start: ColdStart = field(default_factory=lambda: ColdStart.of(120.0))
    tick_s: float = 30.0
    refusal_s: float = 0.0
    notice_s: float = 0.0
    launch_usd: float = 0.0
    victim: Victim = Victim.NEWEST
    ratio: float = 3.0
    seed: int = 0
    notices: Mapping[str, float] = field(default_factory=dict)

    def notice_of(self, zone: str) -> float:
        """How long before its end a machine there is told, seconds."""
        return self.notices.get(zone, self.notice_s)

    def __post_init__(self) -> None:
        for name, most in (("refusal_s", LONGEST_S), ("notice_s", LONGEST_S), ("launch_usd", MOST_USD)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be 0 or more, and at most {most:.0f}; got {value:g}")
        for name, most in (("tick_s", LONGEST_S), ("ratio", MOST_RATIO)):
            value = getattr(self, name)
            if not 1 / MOST_RATIO <= value <= most:
                raise ValueError(f"{name} must be from {1 / MOST_RATIO} to {most:.0f}, got {value:g}")
