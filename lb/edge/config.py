"""The edge agent's configuration: a small JSON file that the stack program writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator, model_validator

from spec.base import Port, Written
from spec.errors import InputError, Problem, SpecError, did_you_mean


class EdgeConfig(Written):
    """`dir` is the edge's own directory; `host` and `port` take health checks and Prometheus, never callers.

    `access_log`: the file that Envoy writes, which the agent reads and rotates. `leaf_file`: the edge's own certificate
    (`spec.certificates.Leaf`), with which it reaches replicas and the controller. What callers see is in `public_file`, of the
    same form, or in `public_cert_file` and `public_key_file`; without either they are served plain HTTP.
    `bucket_region`: of a bucket of AWS. `public_host` and `public_port`: where Envoy takes callers, on hosts that start it with `lb.edge.envoy`.
    """

    edge_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    controller_url: str = Field(pattern=r"^https?://")
    token_file: Path
    bucket: str
    dir: Path
    access_log: Path
    host: str = "127.0.0.1"
    port: Port
    leaf_file: Path | None = None
    public_file: Path | None = None
    public_cert_file: Path | None = None
    public_key_file: Path | None = None
    public_host: str = "0.0.0.0"  # noqa: S104 - callers come from everywhere
    public_port: Port | None = None
    bucket_region: str = ""

    @model_validator(mode="after")
    def _whole(self) -> EdgeConfig:
        if (self.public_cert_file is None) != (self.public_key_file is None):
            raise ValueError("public_cert_file and public_key_file belong together")
        if self.public_file is not None and self.public_cert_file is not None:
            raise ValueError("public_file and public_cert_file exclude each other")
        if self.controller_url.startswith("https:") and self.leaf_file is None:
            raise ValueError("leaf_file: an https controller_url is verified with the authority in it")
        return self

    @property
    def secure(self) -> bool:
        """Whether callers are served by TLS."""
        return self.public_file is not None or self.public_cert_file is not None

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
