"""The edge agent's configuration: a small JSON file that the stack program writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from spec.base import Port, Written
from spec.errors import InputError, Problem, SpecError, did_you_mean


class EdgeConfig(Written):
    """`dir` is the edge's own directory; `host` and `port` take health checks and Prometheus, never callers.

    `access_log`: the file that Envoy writes, which the agent reads and rotates.
    """

    edge_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    controller_url: str = Field(pattern=r"^https?://")
    token_file: Path
    bucket: str
    dir: Path
    access_log: Path
    host: str = "127.0.0.1"
    port: Port

    @field_validator("dir", "access_log")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be absolute: Envoy reads the same files from another working directory")
        return value


def read_config(path: Path) -> EdgeConfig:
    """Reads the file; raises SpecError with every problem of it, InputError when there is no such file."""
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot read the edge agent's config: {e.strerror}") from e
    try:
        return EdgeConfig.model_validate_json(raw)
    except ValidationError as e:
        raise SpecError([_problem(path, error["loc"], error["msg"]) for error in e.errors()]) from e


def _problem(path: Path, loc: tuple[int | str, ...], message: str) -> Problem:
    field = ".".join(str(part) for part in loc)
    hint = None if field in EdgeConfig.model_fields else did_you_mean(field, EdgeConfig.model_fields)
    return Problem(file=str(path), field=field, message=message, hint=hint)
