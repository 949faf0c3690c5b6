"""When a machine may go: what is under way is answered first, and the controller has had time to lead callers elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SETTLED_S = 5.0
"""Without any request: edges have been told by then, for the controller asks agents twice a second."""
HEARD_S = 15.0
"""From an announcement until the cloud may be told to go on: the controller looks at clouds every 5 s. And from the last time
that it said that it sends callers here; it asks at least that often."""


class Quiet:
    """For how long the engine has had nothing to do. `active`: requests under way; None = nobody passes any on."""

    def __init__(
        self, active: Callable[[], int | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._active = active
        self._clock = clock
        self._since: float | None = None

    def look(self) -> float:
        """Seconds; those between two looks count as the later one says."""
        if self._active():
            self._since = None
            return 0.0
        if self._since is None:
            self._since = self._clock()
        return self._clock() - self._since


class Approval:
    """Whether the cloud need not wait any longer for a machine that it has announced the end of."""

    def __init__(self, quiet: Quiet, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._heard_at: float | None = None
        self._needed_at = -math.inf

    def needed(self) -> None:
        """The controller sends callers here: it lets the machine serve until its end is near."""
        self._needed_at = self._clock()

    def heard(self) -> None:
        """The end was announced."""
        if self._heard_at is None:
            self._heard_at = self._clock()

    def given(self) -> bool:
        """Whether nothing is left to lose."""
        if self._heard_at is None or self._clock() < max(self._heard_at, self._needed_at) + HEARD_S:
            return False
        return self._quiet.look() >= SETTLED_S
