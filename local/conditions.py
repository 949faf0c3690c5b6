"""The conditions in the local cloud now: how far its trace has come, what overrides it, and whose turn a port is.

They are in `<home>/cloud/cloud.json`. The caller holds the cloud's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from local import addresses
from local.errors import CloudError
from local.files import read_json, write_json
from local.trace import Quote, Trace

NOTICE_S = 30.0
"""From the notice of a preemption to the kill, where the stack says nothing: as on GCP and Azure."""
SPEED = 1.0
LONGEST_NOTICE_S = 86_400.0
FASTEST = 10_000.0
"""Beyond these are mistakes: moments that no calendar has, and traces that are over before they begin."""

_SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Weather:
    """What the stack says of the whole cloud.

    Attributes:
        trace: the file that capacity and prices come from.
        notice_s: seconds from the notice of a preemption to the kill; 0 = killed without one.
        speed: seconds of the trace that pass in one second.

    """

    trace: Path
    notice_s: float = NOTICE_S
    speed: float = SPEED

    def __post_init__(self) -> None:
        object.__setattr__(self, "trace", Path(self.trace).resolve())


@dataclass(frozen=True, slots=True)
class State:
    """What `cloud.json` holds. The trace was at `position_s` at the moment `at` (epoch seconds)."""

    trace: str
    at: float
    position_s: float
    speed: float
    notice_s: float
    next_port: int
    capacity: dict[str, int] = field(default_factory=dict)
    """By zone: what holds instead of the trace's capacity."""

    @property
    def weather(self) -> Weather:
        """As it was declared."""
        return Weather(Path(self.trace), self.notice_s, self.speed)

    def position(self, now: float) -> float:
        """Seconds of the trace that are over."""
        return self.position_s + max(0.0, now - self.at) * self.speed

    def quote(self, zone: str, now: float) -> Quote:
        """The zone's quote of now, with its capacity overridden. Raises TraceError."""
        found = Trace.current(Path(self.trace)).at(zone, self.position(now))
        return replace(found, capacity=self.capacity.get(zone, found.capacity))


class Conditions:
    """One home's. `clock`: epoch seconds."""

    def __init__(self, folder: Path, home: Path, clock: Callable[[], float]) -> None:
        self._file = folder / "cloud.json"
        self._home = home
        self._clock = clock

    def follow(self, weather: Weather) -> None:
        """From now on the cloud is like that; another speed goes on from where the trace is.

        Another trace starts at its beginning, without overrides.
        """
        state, now = self._read(), self._clock()
        if state is not None and state.weather == weather:
            return
        if state is None or state.weather.trace != weather.trace:
            port = addresses.first_port(self._home) if state is None else state.next_port
            new = State(str(weather.trace), now, 0.0, weather.speed, weather.notice_s, port)
        else:
            new = replace(
                state,
                at=now,
                position_s=state.position(now),
                speed=weather.speed,
                notice_s=weather.notice_s,
            )
        self._write(new)

    def weather(self) -> Weather | None:
        """What the cloud follows; None before the first pool was declared."""
        state = self._read()
        return None if state is None else state.weather

    def state(self) -> State:
        """Everything. Raises CloudError when it is missing or unusable."""
        state = self._read()
        if state is None:
            raise CloudError(f"{self._file} is missing or unusable; the next `make up` writes it again")
        return state

    def quotes(self, zones: Iterable[str]) -> dict[str, Quote]:
        """The quote of now of each zone. Raises CloudError, TraceError."""
        wanted = set(zones)
        if not wanted:
            return {}
        state, now = self.state(), self._clock()
        return {zone: state.quote(zone, now) for zone in wanted}

    def set_capacity(self, zone: str, capacity: int) -> None:
        """The zone has that many spot machines from now on, whatever the trace says. Raises CloudError."""
        state = self.state()
        self._write(replace(state, capacity={**state.capacity, zone: capacity}))

    def reset_capacity(self, zone: str | None) -> None:
        """The zone, or every one, follows the trace again. Raises CloudError."""
        state = self.state()
        left = {} if zone is None else {z: n for z, n in state.capacity.items() if z != zone}
        self._write(replace(state, capacity=left))

    def take_port(self, taken: Container[int]) -> int:
        """The next machine's port; its node agent's is the one after it. Raises CloudError when none is free."""
        state = self.state()
        port = addresses.next_port(state.next_port, taken)
        if port is None:
            first, last = addresses.PORTS[0], addresses.PORTS[-1]
            raise CloudError(f"no port for another machine is free between {first} and {last}")
        self._write(replace(state, next_port=addresses.port_after(port)))
        return port

    def _read(self) -> State | None:
        raw = read_json(self._file)
        if raw is None or raw.get("schema") != _SCHEMA:
            return None
        try:
            return _state(raw)
        except (KeyError, TypeError, ValueError):
            return None

    def _write(self, state: State) -> None:
        write_json(self._file, {**asdict(state), "schema": _SCHEMA})


def _state(raw: dict[str, Any]) -> State:
    """Raises KeyError, TypeError or ValueError when the object is no state."""
    return State(
        trace=str(raw["trace"]),
        at=float(raw["at"]),
        position_s=float(raw["position_s"]),
        speed=float(raw["speed"]),
        notice_s=float(raw["notice_s"]),
        next_port=int(raw["next_port"]),
        capacity={str(zone): int(n) for zone, n in dict(raw["capacity"]).items()},
    )
