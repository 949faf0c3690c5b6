"""`node.json`: who this machine is, and where the state bucket is. Whatever makes the machine writes it.

On the local cloud it says everything. A machine in a cloud is described without what only the cloud knows: its id, its
addresses and, mostly, its pool; see `lb.agent.machine`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
CLOUDS = ("aws", "azure", "gcp")


class ConfigError(Exception):
    """The agent can't start; the message names the file, the field and what was expected."""


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """One machine.

    Attributes:
        address: where the engine and the agent are reached by others.
        port: the engine's; it is told through TRADEWIND_PORT. None = the bundle's own.
        agent_address: what the agent listens on, at `agent_port`.
        sidecar_port: of the replica's own Envoy; None = there is none.
        bucket: URL of the state bucket.
        work_dir: the agent's own folder: bundles, and logs where `log_dir` does not say otherwise.
        accelerator_count: of the machine; None = as the bundle says.
        secrets_dir: holds one file per secret, named like it; None = the machine has no such files.
        log_dir: where the engine's output is written, to be read when the rest is gone; None = the work folder.
        notice_file: where the machine's cloud announces its preemption; None = it announces none by a file.
        containers: whether bundles with an image run in containers.
        grace_s: within this many seconds of being asked to end, an engine is gone.
        drain_s: for so long after a SIGTERM an engine goes on answering, when it is asked something.

    """

    cloud: str
    region: str
    zone: str | None
    pool_id: str
    instance_id: str
    address: str
    port: int | None
    agent_port: int
    bucket: str
    work_dir: Path
    agent_address: str = ""
    sidecar_port: int | None = None
    accelerator_count: int | None = None
    secrets_dir: Path | None = None
    log_dir: Path | None = None
    notice_file: Path | None = None
    containers: bool = False
    grace_s: int = 5
    drain_s: int = 0

    @property
    def engine_log(self) -> Path:
        """What `setup` and `run` print."""
        return (self.log_dir or self.work_dir) / "engine.log"


@dataclass(frozen=True, kw_only=True)
class SidecarConfig:
    """The replica's own Envoy. `envoy`: the program. `user`: whom it runs as; None = as the agent."""

    address: str
    port: int
    envoy: Path
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class CloudNode:
    """One machine in a cloud, before it has asked who it is.

    Attributes:
        env: names the secrets, together with `service` and the pool.
        store: where bucket and secrets are: region (AWS), project (GCP), URL of the vault (Azure).
        pool_id: None = the machine has it in a tag.
        run_dir: for what must not reach a disk.
        poll_s: from one look at the assignment to the next.

    """

    cloud: str
    env: str
    region: str
    service: str
    bucket: str
    store: str
    pool_id: str | None
    work_dir: Path
    run_dir: Path
    agent_port: int
    sidecar: SidecarConfig
    poll_s: float = 5.0
    grace_s: int = 30
    drain_s: int = 25


def load(path: Path) -> NodeConfig | CloudNode:
    """Reads `node.json`; fields that are not known are ignored. Raises ConfigError."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror or e}") from e
    except ValueError as e:
        raise ConfigError(f"{path}: not JSON: {e}") from e
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else raw
        raise ConfigError(
            f"{path}: schema: {found!r}, but this agent reads {SCHEMA}; update the machine's agent"
        )
    fields = _Fields(path, raw)
    return _cloud_node(fields) if raw.get("cloud") in CLOUDS else _node(fields)


def _node(fields: _Fields) -> NodeConfig:
    secrets_dir, log_dir = fields.optional_text("secrets_dir"), fields.optional_text("log_dir")
    notice_file = fields.optional_text("notice_file")
    address = fields.text("address")
    return NodeConfig(
        cloud=fields.text("cloud"),
        region=fields.text("region"),
        zone=fields.optional_text("zone"),
        pool_id=fields.text("pool_id"),
        instance_id=fields.text("instance_id"),
        address=address,
        port=fields.number("port", low=1, high=65535),
        agent_address=address,
        agent_port=fields.number("agent_port", low=1, high=65535),
        bucket=fields.text("bucket"),
        work_dir=Path(fields.text("work_dir")).absolute(),
        accelerator_count=fields.optional_number("accelerator_count", low=0),
        secrets_dir=Path(secrets_dir) if secrets_dir else None,
        log_dir=Path(log_dir).absolute() if log_dir else None,
        notice_file=Path(notice_file).absolute() if notice_file else None,
        grace_s=fields.optional_number("grace_s", low=1) or NodeConfig.grace_s,
    )


def _cloud_node(fields: _Fields) -> CloudNode:
    sidecar = fields.inner("sidecar")
    more = {
        name: found
        for name in ("poll_s", "grace_s", "drain_s")
        if (found := fields.optional_number(name, low=1)) is not None
    }
    return CloudNode(
        cloud=fields.text("cloud"),
        env=fields.text("env"),
        region=fields.text("region"),
        service=fields.text("service"),
        bucket=fields.text("bucket"),
        store=fields.text("store"),
        pool_id=fields.optional_text("pool_id"),
        work_dir=Path(fields.text("work_dir")).absolute(),
        run_dir=Path(fields.text("run_dir")).absolute(),
        agent_port=fields.number("agent_port", low=1, high=65535),
        sidecar=SidecarConfig(
            address=sidecar.text("address"),
            port=sidecar.number("port", low=1, high=65535),
            envoy=Path(sidecar.text("envoy")).absolute(),
            user=sidecar.optional_text("user"),
        ),
        **more,
    )


@dataclass(frozen=True)
class _Fields:
    path: Path
    raw: dict[str, Any]
    above: str = ""

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self.path}: {self.above}{name}: {value!r}, but a text is expected")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.raw.get(name) is None else self.text(name)

    def number(self, name: str, *, low: int, high: int | None = None) -> int:
        value = self.raw.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise ConfigError(
                f"{self.path}: {self.above}{name}: {value!r}, but a whole number of {limits} is expected"
            )
        return value

    def optional_number(self, name: str, *, low: int) -> int | None:
        return self.number(name, low=low) if name in self.raw else None

    def inner(self, name: str) -> _Fields:
        value = self.raw.get(name)
        if not isinstance(value, dict):
            raise ConfigError(f"{self.path}: {self.above}{name}: {value!r}, but a map is expected")
        return _Fields(self.path, value, f"{self.above}{name}.")
