"""What is written down during the demo, four times a second, as anybody could see it: the status, and the local cloud."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

EVERY_S = 0.25
_BILLED = ("pending", "starting", "ready", "unready", "draining", "failed")


@dataclass(frozen=True)
class Sample:
    """One moment. `at`: seconds since the beginning; money in USD per hour."""

    at: float
    load: float
    target: int
    ready: int
    spot: int
    """Ready spot replicas; the other ready ones are on demand."""
    running: int
    held: int
    usd_hour: float
    on_demand_usd_hour: float
    """What the same machines would cost on demand."""


@dataclass(frozen=True)
class Event:
    """Something that happened. `mark`: its name in the chart; empty = it is not in it."""

    at: float
    text: str
    mark: str = ""


@dataclass
class Record:
    """All of it."""

    speed: float
    """Seconds of the trace in one second of the demo."""
    began: float = 0.0
    """Epoch seconds."""
    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    launched: set[str] = field(default_factory=set)
    noticed: set[str] = field(default_factory=set)

    def hours(self, worth: Callable[[Sample], float]) -> float:
        """The integral over the trace's hours: of USD per hour, the USD."""
        pairs = zip(self.samples, self.samples[1:], strict=False)
        return sum(worth(a) * (b.at - a.at) for a, b in pairs) * self.speed / 3600

    def ready(self, at: float) -> int:
        """How many were ready at that moment (epoch seconds)."""
        index = bisect_right(self.samples, at - self.began, key=lambda s: s.at) - 1
        return self.samples[index].ready if index >= 0 else 0

    def available(self) -> float:
        """Share of the time with a target in which as many replicas were ready."""
        pairs = [(a, b.at - a.at) for a, b in zip(self.samples, self.samples[1:], strict=False) if a.target]
        return sum(s for a, s in pairs if a.ready >= a.target) / max(sum(s for _, s in pairs), 1e-9)


class Recorder:
    """Looks at a stack's files while it is entered; what is new is told to `on_event`."""

    def __init__(
        self, home: Path, record: Record, load: Callable[[], float], on_event: Callable[[str, str], None]
    ) -> None:
        self._home, self._record, self._load, self._say = home, record, load, on_event
        self._on_demand = _on_demand_prices(home)
        self._zones: dict[str, int] = {}
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="recorder")

    def __enter__(self) -> Self:
        self._began, self._record.began = time.monotonic(), time.time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._notice()
            try:
                status = json.loads((self._home / "state" / "status.json").read_bytes())
            except (OSError, ValueError):
                continue
            if status["services"]:
                self._sample(status["services"][0], status["usd_hour"])

    def _sample(self, service: dict[str, Any], usd_hour: float) -> None:
        billed = [r for r in service["replicas"] if r["state"] in _BILLED]
        ready = [r for r in billed if r["state"] == "ready"]
        for replica in billed:
            if replica["id"] not in self._record.launched:
                self._record.launched.add(replica["id"])
                market = "" if replica["market"] == "spot" else ", on demand"
                self._say(f"a machine in {replica['zone']}{market}", "")
        self._record.samples.append(
            Sample(
                at=self.now,
                load=self._load(),
                target=service["desired"],
                ready=len(ready),
                spot=sum(r["market"] == "spot" for r in ready),
                running=len(billed),
                held=(service.get("traffic") or {}).get("held") or 0,
                usd_hour=usd_hour,
                on_demand_usd_hour=sum(self._on_demand[r["pool"]] for r in billed),
            )
        )

    def _notice(self) -> None:
        """Preemptions, as the machines' agents learn of them."""
        for path in (self._home / "machines").glob("i-*/notice.json"):
            name = path.parent.name
            if name not in self._record.noticed:
                self._record.noticed.add(name)
                zone = _json(path.with_name("node.json")).get("zone", "?")
                self._say(f"a spot machine in {zone} will be preempted", "preempted")


def _on_demand_prices(home: Path) -> dict[str, float]:
    """USD per hour on demand, by pool."""
    [path] = (home / "state" / "desired").glob("*.json")
    return {p["id"]: p["prices"]["on_demand"] for p in _json(path)["pools"]}


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
