"""The stack's configuration (`tradewind:` in Pulumi.yaml and Pulumi.<stack>.yaml), typed.

The stack program takes the values from Pulumi, which fills in the defaults of Pulumi.yaml; the command line reads
the same two files itself, so that `tw plan --stack dev` needs no engine. Both end in `parse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from spec.base import Port, Usd, Written
from spec.desired import OnExhausted
from spec.errors import InputError, Problem, SpecError, did_you_mean

NAMESPACE = "tradewind"

Cloud = Literal["local", "aws", "gcp", "azure", "kubernetes"]


class _Config(Written):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, alias_generator=to_camel, populate_by_name=True
    )


class Limits(_Config):
    """What the policies refuse to exceed, in USD; None = not limited."""

    expected_usd_hour: Usd | None = None
    worst_usd_hour: Usd | None = None
    runaway_usd_hour: Usd | None = None
    expected_usd_month: Usd | None = None
    worst_usd_month: Usd | None = None
    runaway_usd_month: Usd | None = None


class StackBudget(_Config):
    """What the controller holds while it runs; it also holds `limits.worstUsdHour`."""

    usd_month: Usd | None = None
    on_exhausted: OnExhausted = OnExhausted.HOLD


class LocalCloud(_Config):
    """Ports and capacity of the local cloud; only a stack with the cloud `local` reads it."""

    edge_port: Port = 18080
    edge_agent_port: Port = 18081
    controller_port: Port = 18083
    trace: str = "local/traces/calm.csv"

    @property
    def endpoint(self) -> str:
        """Where callers reach the edge: an origin, to which `/v1/...` is added."""
        return f"http://127.0.0.1:{self.edge_port}"

    @property
    def controller_url(self) -> str:
        """Where the controller answers its health, status and metrics."""
        return f"http://127.0.0.1:{self.controller_port}"


class StackConfig(_Config):
    """Everything that a stack can configure."""

    services: tuple[str, ...] = Field(("services/chat.yaml",), min_length=1)
    clouds: tuple[Cloud, ...] = Field(("local",), min_length=1)
    regions: tuple[str, ...] = ()
    max_pools_per_service: int = Field(24, ge=1, le=500)
    max_regions: int = Field(6, ge=1)
    limits: Limits = Limits()
    budget: StackBudget = StackBudget()
    local: LocalCloud = LocalCloud()

    @property
    def is_local(self) -> bool:
        """Whether everything of this stack runs on this machine."""
        return self.clouds == ("local",)


KEYS = tuple(to_camel(name) for name in StackConfig.model_fields)
"""The config keys, without namespace, as users write them."""


def parse(values: Mapping[str, Any], *, file: str) -> StackConfig:
    """Reads values by key (without namespace). Raises SpecError with every problem, naming file, key and value."""
    try:
        return StackConfig.model_validate(dict(values))
    except ValidationError as e:
        raise SpecError([_problem(error, file) for error in e.errors(include_url=False)]) from None


def load_stack(root: Path, stack: str) -> StackConfig:
    """Reads Pulumi.yaml's defaults and Pulumi.<stack>.yaml. Raises InputError or SpecError."""
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        stacks = sorted(p.name[len("Pulumi.") : -len(".yaml")] for p in root.glob("Pulumi.*.yaml"))
        hint = did_you_mean(stack, stacks) or f"There are: {', '.join(stacks) or 'none'}."
        raise InputError(f"no stack `{stack}`: {path.name} does not exist. {hint}")
    values = {
        key.removeprefix(f"{NAMESPACE}:"): declared["default"]
        for key, declared in (_yaml(root / "Pulumi.yaml").get("config") or {}).items()
        if isinstance(declared, dict) and "default" in declared
    }
    for key, value in (_yaml(path).get("config") or {}).items():
        namespace, _, name = str(key).rpartition(":")
        if namespace in ("", NAMESPACE):
            values[name] = value
    return parse(values, file=path.name)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        reason = " ".join(str(e).split())
        raise InputError(f"{path.name} can't be read: {reason}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name} is not a mapping of settings")
    return content


def _problem(error: Any, file: str) -> Problem:
    """One pydantic error in the words of the config file."""
    where = [str(part) for part in error["loc"]]
    known = _known_below(where[:-1])
    unknown = error["type"] == "extra_forbidden"
    return Problem(
        file=file,
        field=f"{NAMESPACE}:{'.'.join(where)}",
        value=error.get("input"),
        message="is not a known setting." if unknown else f"{error['msg']}; it is `{error.get('input')}`.",
        hint=(did_you_mean(where[-1], known) or f"Known: {', '.join(known)}.") if unknown and known else None,
    )


def _known_below(where: list[str]) -> tuple[str, ...]:
    model: Any = StackConfig
    for part in where:
        field = next((f for n, f in model.model_fields.items() if to_camel(n) == part), None)
        model = field.annotation if field else None
        if not hasattr(model, "model_fields"):
            return ()
    return tuple(to_camel(n) for n in model.model_fields)
