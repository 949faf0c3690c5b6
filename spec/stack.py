"""The stack's configuration (`tradewind:` in Pulumi.<stack>.yaml, and in Pulumi.yaml for all stacks), typed.

The stack program takes the values from Pulumi; the command line reads the same two files itself, so that
`tw plan --stack dev` needs no engine. Both end in `parse`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

from spec.base import Port, Usd
from spec.clouds import (
    Addresses,
    AwsAccount,
    AzureSubscription,
    CatalogAge,
    CloudName,
    Dns,
    EdgeSite,
    Encrypted,
    GcpProject,
    Home,
    NetworkChoice,
    Part,
    Quota,
    SecretName,
    Tls,
)
from spec.desired import OnExhausted
from spec.errors import InputError, Problem, SpecError, did_you_mean
from spec.in_clear import looks_like_a_secret
from spec.policies import PolicySettings
from spec.problems import expected
from spec.providers import External, Provider
from spec.quantities import Wrong
from spec.reservations import Reservations
from spec.setting import Setting

NAMESPACE = "tradewind"

Cloud = Literal["local", "aws", "gcp", "azure", "kubernetes"]


class Limits(Setting):
    """What the policies refuse to exceed, in USD; None = not limited."""

    expected_usd_hour: Usd | None = None
    worst_usd_hour: Usd | None = None
    runaway_usd_hour: Usd | None = None
    expected_usd_month: Usd | None = None
    worst_usd_month: Usd | None = None
    runaway_usd_month: Usd | None = None


class StackBudget(Setting):
    """What the controller holds while it runs; it also holds `limits.worstUsdHour`."""

    usd_month: Usd | None = None
    on_exhausted: OnExhausted = OnExhausted.HOLD


class LocalCloud(Setting):
    """Ports, capacity and preemptions of the local cloud; only a stack with the cloud `local` reads it."""

    edge_port: Port = 18080
    edge_agent_port: Port = 18081
    controller_port: Port = 18083
    trace: str = Field("local/traces/calm.csv", min_length=1)
    notice_s: float = Field(30, ge=0, le=86_400)
    """From the notice of a preemption to the kill; 0 = killed without one."""
    trace_speed: float = Field(1, gt=0, le=10_000)
    """Seconds of the trace that pass in one second."""

    @model_validator(mode="after")
    def _ports_differ(self) -> LocalCloud:
        ports = {
            "edgePort": self.edge_port,
            "edgeAgentPort": self.edge_agent_port,
            "controllerPort": self.controller_port,
        }
        for port in ports.values():
            same = [name for name, other in ports.items() if other == port]
            if len(same) > 1:
                raise Wrong(f"gives port {port} to {' and '.join(same)}", "Each needs a port of its own.")
        return self

    @property
    def endpoint(self) -> str:
        """Where callers reach the edge: an origin, to which `/v1/...` is added."""
        return f"http://127.0.0.1:{self.edge_port}"

    @property
    def controller_url(self) -> str:
        """Where the controller answers its health, status and metrics."""
        return f"http://127.0.0.1:{self.controller_port}"


class StackConfig(Setting):
    """Everything that a stack can configure."""

    services: tuple[Annotated[str, Field(min_length=1)], ...] = Field(("services/chat.yaml",), min_length=1)
    clouds: tuple[Cloud, ...] = Field(("local",), min_length=1)
    regions: tuple[str, ...] = ()
    max_pools_per_service: int = Field(24, ge=1, le=500)
    max_regions: int = Field(6, ge=1)
    limits: Limits = Limits()
    policies: PolicySettings = PolicySettings()
    budget: StackBudget = StackBudget()
    local: LocalCloud = LocalCloud()
    aws: AwsAccount | None = None
    gcp: GcpProject | None = None
    azure: AzureSubscription | None = None
    home: Home | None = None
    apart: tuple[CloudName, ...] = ()
    """Clouds that a stack of their own declares, `<env>-<cloud>`."""
    part: Part | None = None
    incarnation: int = Field(1, ge=1, le=99)
    """Another number gives other names to what a cloud keeps the name of after it was deleted."""
    edges: tuple[EdgeSite, ...] = ()
    addresses: Addresses = Addresses()
    network: dict[str, NetworkChoice] = Field(default_factory=dict)
    """By `<cloud>/<region>`; what is not named is created."""
    dns: Dns = Dns()
    tls: Tls = Tls()
    catalog: CatalogAge = CatalogAge()
    secrets: dict[SecretName, Encrypted] = Field(default_factory=dict)
    """Which secrets the file has; their values are Pulumi's."""
    providers: tuple[Provider, ...] = ()
    external: tuple[External, ...] = ()
    quotas: dict[str, dict[str, Quota]] = Field(default_factory=dict)
    """By `<cloud>/<region>` and accelerator."""
    reservations: Reservations = Field(default_factory=dict)
    throughput: str | None = Field(None, min_length=1)
    """The user's own table of measured speeds, a path below the root."""
    tags: dict[str, str] = Field(default_factory=dict)
    """On everything that is declared, for the clouds' own bills."""

    @field_validator("providers", "external")
    @classmethod
    def _names_differ(cls, entries: tuple[Provider | External, ...]) -> tuple[Provider | External, ...]:
        names = [entry.name for entry in entries]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise Wrong(f"has two entries named `{twice[0]}`", "Each needs a name of its own.")
        return entries

    @field_validator("apart")
    @classmethod
    def _home_stays(cls, apart: tuple[CloudName, ...], others: ValidationInfo) -> tuple[CloudName, ...]:
        home = others.data.get("home")
        if home is not None and home.cloud in apart:
            raise Wrong(f"names {home.cloud}, where the controller is", "That cloud stays in this stack.")
        return apart

    @field_validator("tls")
    @classmethod
    def _name_can_be_proved(cls, tls: Tls, others: ValidationInfo) -> Tls:
        dns = others.data.get("dns")
        if tls.mode == "acme" and dns is not None and dns.owner not in ("route53", "cloud_dns", "cloudflare"):
            raise Wrong(
                f"has the mode acme, but the dns owner {dns.owner} has no zone to prove a name in",
                "Use one of route53, cloud_dns and cloudflare, or the mode `files` or `own_ca`.",
            )
        return tls

    def env(self, stack: str) -> str:
        """The environment that a stack of this configuration belongs to; most are one stack."""
        return self.part.of if self.part is not None else stack

    def stack_of(self, cloud: str, env: str) -> str:
        """The stack of the environment that declares what is in that cloud."""
        return f"{env}-{cloud}" if cloud in self.apart else env

    def declares(self, cloud: str) -> bool:
        """Whether this stack declares what is in that cloud."""
        return cloud == self.part.cloud if self.part is not None else cloud not in self.apart

    @property
    def is_local(self) -> bool:
        """Whether everything of this stack runs on this machine."""
        return self.clouds == ("local",)


_OF_A_PART = ("part", "secrets")

KEYS = tuple(to_camel(name) for name in StackConfig.model_fields)
"""The config keys, without namespace, as users write them."""


def parse(values: Mapping[str, Any], *, file: str) -> StackConfig:
    """Reads values by key (without namespace). Raises SpecError with every problem, naming file, key and value."""
    try:
        return StackConfig.model_validate(dict(values))
    except ValidationError as e:
        errors = e.errors(include_url=False)
        inner = {error["loc"][:-1] for error in errors}  # a list whose items are wrong also counts as empty
        raise SpecError([_problem(error, file) for error in errors if error["loc"] not in inner]) from None


def load_stack(root: Path, stack: str) -> StackConfig:
    """Reads Pulumi.<stack>.yaml, and Pulumi.yaml for what it leaves out. Raises InputError or SpecError."""
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        stacks = sorted(p.name[len("Pulumi.") : -len(".yaml")] for p in root.glob("Pulumi.*.yaml"))
        hint = did_you_mean(stack, stacks) or f"There are: {', '.join(stacks) or 'none'}."
        raise InputError(f"no stack `{stack}`: {path.name} does not exist. {hint}")
    ours = _ours(path)
    if "part" in ours:
        return load_part(root, ours, file=path.name)
    return parse({**_of_all_stacks(root / "Pulumi.yaml"), **ours}, file=path.name)


def load_part(root: Path, values: Mapping[str, Any], *, file: str) -> StackConfig:
    """The configuration of a stack that is a part of another environment. Raises InputError or SpecError.

    All settings are the environment's; of its own a part has what it is a part of, and its secrets.
    """
    own = parse({k: v for k, v in values.items() if k in _OF_A_PART}, file=file)
    assert own.part is not None, "asked for with a part only"
    whole = load_stack(root, own.part.of)
    others = [
        Problem(
            file, f"{NAMESPACE}:{key}", "is not for a part.", hint=f"Set it in Pulumi.{own.part.of}.yaml."
        )
        for key in values
        if key not in _OF_A_PART
    ]
    if own.part.cloud not in whole.apart:
        message = f"is about {own.part.cloud}, which is not apart in Pulumi.{own.part.of}.yaml."
        others.append(
            Problem(file, f"{NAMESPACE}:part", message, hint=f"Add it there to `{NAMESPACE}:apart`.")
        )
    if others:
        raise SpecError(others)
    return whole.model_copy(update={"part": own.part, "secrets": own.secrets})


def _of_all_stacks(path: Path) -> dict[str, Any]:
    """As Pulumi has it in a project's file: the value itself, or a map with `value`."""
    return {
        name: given["value"] if isinstance(given, dict) and set(given) == {"value"} else given
        for name, given in _ours(path).items()
    }


def _ours(path: Path) -> dict[str, Any]:
    """The settings of our namespace; those of the clouds' own providers are Pulumi's business."""
    found: dict[str, Any] = {}
    for key, value in _config(path).items():
        namespace, _, name = key.rpartition(":")
        if namespace in ("", NAMESPACE):
            found[name] = value
        elif hint := did_you_mean(namespace, [NAMESPACE]):
            raise SpecError([Problem(path.name, key, "is not a known setting.", hint=hint)])
    return found


def _config(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else None
        problem = f"is not valid YAML: {e.problem or e.context or 'broken'}."
        raise SpecError([Problem(path.name, "", problem, line)]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise InputError(f"{path.name} can't be read: {' '.join(str(e).split())}") from None
    config = content.get("config", {}) if isinstance(content, dict) else content
    if not isinstance(config, dict | None):
        raise InputError(f"{path.name}: `config` must be a map of settings and values, not `{config}`")
    return {str(key): value for key, value in (config or {}).items()}


def _problem(error: Any, file: str) -> Problem:
    """One pydantic error in the words of the config file."""
    loc = error["loc"]
    field = f"{NAMESPACE}:{loc[0]}" + "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in loc[1:])
    value = error.get("input")
    if error["type"] == "extra_forbidden":
        known = _known_below(loc[:-1])
        hint = did_you_mean(str(loc[-1]), known) or f"Known: {', '.join(known)}."
        return Problem(file, field, "is not a known setting.", hint=hint)
    message, hint = expected(error)
    if loc[0] == "secrets" or looks_like_a_secret(str(value)):
        return Problem(file, field, f"{message}.", hint=hint)  # whatever it is, it is not shown
    if error["type"] in {"literal_error", "enum"}:
        hint = did_you_mean(str(value), re.findall(r"'([^']+)'", error["ctx"]["expected"]))
    shown = (
        f", not `{_shown(value)}`" if value not in ("", []) and not isinstance(value, dict | tuple) else ""
    )
    return Problem(file, field, f"{message}{shown}.", value=value, hint=hint)


def _shown(value: object) -> str:
    """As one would write it in YAML; of an address without the password that should not be in it."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return re.sub(r"//[^/@\s]*@", "//...@", text)


def _known_below(where: Sequence[str | int]) -> tuple[str, ...]:
    """The settings of the map at that place, which may lie in lists, and in maps whose keys are the user's."""
    found: Any = StackConfig
    for part in where:
        fields = getattr(found, "model_fields", None)
        if fields is not None:
            found = _plain(next(f for n, f in fields.items() if to_camel(n) == part).annotation)
        else:  # an item of a list is of its first kind, a value of a map of its second
            found = _plain(get_args(found)[0 if isinstance(part, int) else 1])
    return tuple(to_camel(n) for n in found.model_fields)


def _plain(kind: Any) -> Any:
    """The kind itself, without `None` and without what checks it."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = next(k for k in get_args(kind) if k is not NoneType)
    return kind
