"""`node.json`: who this machine is, and where the state bucket is. Whatever makes the machine writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1


class ConfigError(Exception):
    """The agent can't start; the message names the file, the field and what was expected."""


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """One machine.

    Attributes:
        address: where the engine and the agent are reached; the agent listens on it.
        port: the engine's; it is told through TRADEWIND_PORT.
        agent_port: the agent's own.
        bucket: URL of the state bucket.
        work_dir: the agent's own folder: bundles, and logs where `log_dir` does not say otherwise.
        accelerator_count: of the machine; None = as the bundle says.
        secrets_dir: holds one file per secret, named like it; None = the machine has no secrets.
        log_dir: where the engine's output is written, to be read when the rest is gone; None = the work folder.
        notice_file: where the machine's cloud announces its preemption; None = it announces none by a file.
        grace_s: within this many seconds of a SIGTERM the engine and the agent are gone.

    """

    cloud: str
    region: str
    zone: str | None
    pool_id: str
    instance_id: str
    address: str
    port: int
    agent_port: int
    bucket: str
    work_dir: Path
    accelerator_count: int | None = None
    secrets_dir: Path | None = None
    log_dir: Path | None = None
    notice_file: Path | None = None
    grace_s: int = 5

    @property
    def engine_log(self) -> Path:
        """What `setup` and `run` print."""
        return (self.log_dir or self.work_dir) / "engine.log"


def load(path: Path) -> NodeConfig:
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
    work_dir, secrets_dir = fields.text("work_dir"), fields.optional_text("secrets_dir")
    log_dir, notice_file = fields.optional_text("log_dir"), fields.optional_text("notice_file")
    return NodeConfig(
        cloud=fields.text("cloud"),
        region=fields.text("region"),
        zone=fields.optional_text("zone"),
        pool_id=fields.text("pool_id"),
        instance_id=fields.text("instance_id"),
        address=fields.text("address"),
        port=fields.number("port", low=1, high=65535),
        agent_port=fields.number("agent_port", low=1, high=65535),
        bucket=fields.text("bucket"),
        work_dir=Path(work_dir).absolute(),
        accelerator_count=fields.number("accelerator_count", low=0) if "accelerator_count" in raw else None,
        secrets_dir=Path(secrets_dir) if secrets_dir else None,
        log_dir=Path(log_dir).absolute() if log_dir else None,
        notice_file=Path(notice_file).absolute() if notice_file else None,
        grace_s=fields.number("grace_s", low=1) if "grace_s" in raw else NodeConfig.grace_s,
    )


@dataclass(frozen=True)
class _Fields:
    path: Path
    raw: dict[str, Any]

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self.path}: {name}: {value!r}, but a text is expected")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.raw.get(name) is None else self.text(name)

    def number(self, name: str, *, low: int, high: int | None = None) -> int:
        value = self.raw.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise ConfigError(f"{self.path}: {name}: {value!r}, but a whole number of {limits} is expected")
        return value
