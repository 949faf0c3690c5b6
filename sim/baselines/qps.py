"""SkyServe's autoscaler: requests of the last minute over what one replica takes, after as many looks in a row as its delays say.

By `sky/serve/autoscalers.py` of SkyPilot 0.14.1 (`RequestRateAutoscaler`): a look every 20 s, every 5 s while there is no replica;
a single look that asks for no more begins the count anew, and when the count is full the number goes to what that last look asked
for. Told exact and fresh numbers, where SkyServe's balancer hands its own on every 20 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sim.fleet import RATE_S
from sim.policy import Orders, Policy, View
from spec.scaling import Scaling

LOOK_S, LOOK_AT_NONE_S = 20.0, 5.0


@dataclass(slots=True)
class QpsScaler:
    """How many replicas there should be.

    Attributes:
        low: at least, and at first.
        high: at most.
        target_qps: requests per second that one replica takes; None = the number stays `low`.
        upscale_delay_s: for how long more must be asked for.
        downscale_delay_s: for how long fewer must be.

    """

    low: int
    high: int
    target_qps: float | None
    upscale_delay_s: float = 300.0
    downscale_delay_s: float = 1200.0
    target: int = -1
    _up: int = 0
    _down: int = 0

    def __post_init__(self) -> None:
        self.target = self.low

    @classmethod
    def of(cls, scaling: Scaling) -> QpsScaler:
        """From the same fields of a service file; what SkyServe does not know is left out. Of a map the least is taken."""
        each = scaling.target_qps_per_replica
        least = min(each.values()) if isinstance(each, dict) else each
        return cls(
            scaling.min_replicas,
            scaling.max_replicas,
            least,
            scaling.upscale_delay_s,
            scaling.downscale_delay_s,
        )

    def look(self, arrived: int) -> int:
        """The number after another look. `arrived`: requests within the last minute."""
        asked = self.low
        if self.target_qps is not None:
            asked = min(max(math.ceil(arrived / RATE_S / self.target_qps), self.low), self.high)
        if self.target == 0:
            self.target = asked
        elif asked > self.target:
            self._up, self._down = self._up + 1, 0
            if self._up >= int(self.upscale_delay_s / LOOK_S):
                self._up, self.target = 0, asked
        elif asked < self.target:
            self._up, self._down = 0, self._down + 1
            if self._down >= int(self.downscale_delay_s / LOOK_S):
                self._down, self.target = 0, asked
        else:
            self._up = self._down = 0
        return self.target


class Scaled:
    """A placement whose target follows the load. It is asked at every tick, but looks only when a look is due."""

    def __init__(self, policy: Policy, scaler: QpsScaler, tick_s: float) -> None:
        self._policy, self._scaler, self._tick = policy, scaler, tick_s
        self._look_at = 0.0

    def step(self, view: View, now: float) -> Orders:
        """See Policy."""
        if view.demand is not None and now >= self._look_at:
            view.target = self._scaler.look(view.demand.arrived)
            self._look_at = now + (LOOK_S if view.replicas else LOOK_AT_NONE_S)
        return replace(self._policy.step(view, now), wake_at=now + self._tick)
