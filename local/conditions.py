"""The conditions in the local cloud now: how far its trace has come, and whose turn a port is.

They are in `<home>/cloud/cloud.json`. The caller holds the cloud's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

from local import addresses
from local.errors import CloudError
from local.files import read_json, write_json
from local.trace import Quote, Trace

_SCHEMA = 1


class Conditions:
    """One home's. `clock`: epoch seconds."""

    def __init__(self, folder: Path, home: Path, clock: Callable[[], float]) -> None:
        self._file = folder / "cloud.json"
        self._home = home
        self._clock = clock

    def follow(self, trace: Path) -> None:
        """From now on the cloud follows that trace; the one that it follows already goes on as it was."""
        if not self.follows(trace):
            state = self._read()
            port = addresses.first_port(self._home) if state is None else state["next_port"]
            self._write({"started_at": self._clock(), "trace": str(Path(trace).resolve()), "next_port": port})

    def follows(self, trace: Path) -> bool:
        """Whether it is that trace already."""
        state = self._read()
        return state is not None and state["trace"] == str(Path(trace).resolve())

    def quotes(self, zones: Iterable[str]) -> dict[str, Quote]:
        """The quote of now of each zone. Raises CloudError, TraceError."""
        wanted = set(zones)
        if not wanted:
            return {}
        state = self._require()
        trace = Trace.current(Path(state["trace"]))
        elapsed = max(0.0, self._clock() - state["started_at"])
        return {zone: trace.at(zone, elapsed) for zone in wanted}

    def take_port(self, taken: Container[int]) -> int:
        """The next machine's port; its node agent's is the one after it. Raises CloudError when none is free."""
        state = self._require()
        port = addresses.next_port(state["next_port"], taken)
        if port is None:
            first, last = addresses.PORTS[0], addresses.PORTS[-1]
            raise CloudError(f"no port for another machine is free between {first} and {last}")
        self._write({**state, "next_port": addresses.port_after(port)})
        return port

    def _require(self) -> dict[str, Any]:
        state = self._read()
        if state is None:
            raise CloudError(f"{self._file} is missing or unusable; the next `make up` writes it again")
        return state

    def _read(self) -> dict[str, Any] | None:
        raw = read_json(self._file)
        if raw is None or raw.get("schema") != _SCHEMA:
            return None
        return raw if {"started_at", "trace", "next_port"} <= raw.keys() else None

    def _write(self, state: dict[str, Any]) -> None:
        write_json(self._file, {**state, "schema": _SCHEMA})
