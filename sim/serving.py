"""What the clouds' machines have to do with callers: a replica serves from its readiness to its end, and is paid for until then.

One that is ended by its policy gets no new requests, answers those that it has, and is paid for meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.fleet import Fleet
from sim.policy import Demand, Replica
from spec.names import Market

DRAIN_S = 120.0
"""How long a replica that is ended may go on with the requests that it has; the product's default and SkyServe's."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A replica that was ended and still answers: what its machine costs, and when it ends at the latest."""

    market: Market
    usd_hour: float
    until: float


class Serving:
    """The replicas of one run that have requests. `pay(market, usd_hour)`: that much more is paid from now on, or less."""

    def __init__(self, fleet: Fleet, pay: Callable[[Market, float], None]) -> None:
        self._fleet, self._pay = fleet, pay
        self._serves: set[int] = set()
        self._leaving: dict[int, _Leaving] = {}
        self.end_s = fleet.end_s

    def begin(self, replica: Replica, at: float) -> None:
        """It is ready."""
        self._serves.add(replica.id)
        self._fleet.open(replica.id, at)

    def end(self, replica: Replica, at: float, usd_hour: float) -> None:
        """Its policy ends it."""
        if replica.id in self._serves:
            self._serves.remove(replica.id)
            self._fleet.close(replica.id, at)
            self._leaving[replica.id] = _Leaving(replica.market, usd_hour, at + DRAIN_S)
            self._pay(replica.market, usd_hour)

    def lose(self, replica: Replica, at: float) -> None:
        """Its cloud takes its machine, if that has not ended already."""
        if replica.id in self._leaving:
            self._leave(replica.id, at)
        elif replica.id in self._serves:
            self._serves.remove(replica.id)
            self._fleet.lose(replica.id, at)

    def look(self, now: float) -> Demand:
        """What callers ask now. Machines of replicas that have answered all they had, or took too long for it, end."""
        self._fleet.until(now)
        for id_, leaving in list(self._leaving.items()):
            if self._fleet.is_done(id_) or now >= leaving.until:
                self._leave(id_, now)
        return self._fleet.demand()

    def finish(self) -> float:
        """The rest of the run passes. Returns what a hosted provider took, USD."""
        self._fleet.until(self.end_s)
        return self._fleet.hosted_usd

    def _leave(self, id_: int, at: float) -> None:
        leaving = self._leaving.pop(id_)
        self._pay(leaving.market, -leaving.usd_hour)
        self._fleet.lose(id_, at)
