"""Asking a bucket again for some minutes: rights that were given a moment ago are not known everywhere yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lb.agent.clouds.protocol import CloudError
from lb.agent.fetch import BucketError
from lb.agent.mounts.mount import MountError
from lb.agent.mounts.told import Told

GIVES_UP_S = 600.0
_FIRST_S, _MOST_S = 2.0, 30.0


@dataclass(frozen=True)
class Again:
    """`pause`: how it waits; `clock` tells for how long nothing has come."""

    told: Told
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def until_done(self, do: Callable[[], None], *, moved: Callable[[], int] = int) -> None:
        """Does it until no bucket refuses. `moved`: grows with what has come, which begins the time anew. Raises MountError."""
        since, pause_s, came = self.clock(), _FIRST_S, moved()
        while True:
            try:
                return do()
            except (BucketError, CloudError) as e:
                if moved() > came:
                    since, pause_s, came = self.clock(), _FIRST_S, moved()
                if self.clock() - since >= GIVES_UP_S:
                    minutes = f"{GIVES_UP_S / 60:g} minutes"
                    raise MountError(f"{e}; given up after {minutes} without anything new") from e
                self.told.say(f"{e}; trying again in {pause_s:g} s")
            self.pause(pause_s)
            pause_s = min(2 * pause_s, _MOST_S)
