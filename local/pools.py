"""What the local cloud remembers of each pool: `<home>/cloud/pools/<pool_id>.json`.

A machine's pid and start time are in it, so that looking at hundreds of machines costs one small read in /proc
each. The caller of `PoolFiles` holds the cloud's lock.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from local.files import read_json, warn, write_json

ON_DEMAND_MARKETS = ("on_demand", "reserved")
MARKETS = ("spot", *ON_DEMAND_MARKETS)
POOL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
"""Pool ids are file names too."""

_SCHEMA = 1
_REFUSALS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the stack said of a pool. `argv` and `env` start a machine's node agent; `bucket`: URL of the state."""

    pool_id: str
    region: str
    zone: str
    market: str
    max_size: int
    argv: tuple[str, ...]
    env: dict[str, str]
    bucket: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A launch that the cloud refused after it had taken the size. `at`: epoch seconds."""

    kind: str
    message: str
    at: float


@dataclass(slots=True)
class Machine:
    """One machine. Without a pid it was about to be launched; `ending_since` is set once it is to go.

    `preempt_at`: epoch seconds of its announced kill.
    """

    port: int
    agent_port: int
    launched_at: float
    pid: int | None = None
    start_time: str | None = None
    ending_since: float | None = None
    preempt_at: float | None = None


@dataclass(slots=True)
class PoolRecord:
    """A pool with what the cloud did in it. `closing`: it is being deleted and takes no more sizes."""

    declaration: Declaration
    size: int = 0
    machines: dict[str, Machine] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    closing: bool = False

    @property
    def spot(self) -> bool:
        """Whether the zone's capacity limits it."""
        return self.declaration.market == "spot"

    def staying(self) -> list[str]:
        """Ids of the machines that are not about to go, oldest first."""
        found = [(m.launched_at, i) for i, m in self.machines.items() if m.ending_since is None]
        return [i for _, i in sorted(found)]

    def told(self) -> set[str]:
        """Ids of the machines whose preemption is announced."""
        return {i for i, m in self.machines.items() if m.preempt_at is not None}

    def end(self, instance_id: str, at: float) -> None:
        """The machine is to go; the size goes down with it, once."""
        machine = self.machines[instance_id]
        if machine.ending_since is None:
            machine.ending_since = at
            self.size = max(0, self.size - 1)

    def refuse(self, refusal: Refusal) -> None:
        """Remembers the newest refusals."""
        self.refusals = [*self.refusals, refusal][-_REFUSALS_KEPT:]


class PoolFiles:
    """The pools' files of one home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[str, PoolRecord]:
        """Every pool by id; unusable files are logged and left out."""
        found = ((path.stem, self.get(path.stem)) for path in sorted(self._folder.glob("[!.]*.json")))
        return {pool_id: record for pool_id, record in found if record is not None}

    def get(self, pool_id: str) -> PoolRecord | None:
        """That pool; None when it was never declared or its file is unusable."""
        raw = read_json(self._path(pool_id))
        try:
            return None if raw is None else _record(raw, pool_id)
        except (KeyError, TypeError, ValueError) as e:
            warn(f"{self._path(pool_id)} does not describe a pool and is ignored: {e!r}")
            return None

    def save(self, record: PoolRecord) -> None:
        """Replaces the pool's file."""
        write_json(self._path(record.declaration.pool_id), {"schema": _SCHEMA, **asdict(record)})

    def delete(self, pool_id: str) -> None:
        """Forgets the pool."""
        self._path(pool_id).unlink(missing_ok=True)

    def _path(self, pool_id: str) -> Path:
        return self._folder / f"{pool_id}.json"


def _record(raw: dict[str, Any], pool_id: str) -> PoolRecord:
    """Raises KeyError, TypeError or ValueError when the object is not that pool."""
    declared: dict[str, Any] = raw["declaration"]
    if raw["schema"] != _SCHEMA or declared["pool_id"] != pool_id:
        raise ValueError(f"schema {raw['schema']!r}, pool_id {declared['pool_id']!r}")
    return PoolRecord(
        declaration=replace(Declaration(**declared), argv=tuple(declared["argv"])),
        size=int(raw["size"]),
        machines={i: Machine(**m) for i, m in raw["machines"].items()},
        refusals=[Refusal(**r) for r in raw["refusals"]],
        closing=bool(raw["closing"]),
    )
