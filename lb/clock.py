"""The one door to time, so that a test moves the clock and nothing else knows.

Two clocks: `now` is what people and other machines read; `monotonic` is what durations are measured with, because
somebody may set the former at any moment.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the controller asks for the time."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...


class SystemClock:
    """The clocks of this computer."""

    _steady = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    """Linux stops the plain monotonic clock while the machine is suspended; a lease goes on to expire."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot."""
        return time.clock_gettime(self._steady)
