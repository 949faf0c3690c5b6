"""Which secrets an environment needs, by the names that its settings and services give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from spec.errors import Problem, SpecError, did_you_mean
from spec.service import ServiceSpec
from spec.stack import NAMESPACE, StackConfig

CALLER_KEY = "caller-key"
"""The first key of the environment's callers; `./tw keys new` makes one."""
CLOUDFLARE_TOKEN = "cloudflare-token"  # noqa: S105  a name


def needed(config: StackConfig, specs: Sequence[ServiceSpec]) -> dict[str, str]:
    """By name, what each is for. Of an environment of several stacks, what the clouds of this one may need."""
    found = {} if config.part else {CALLER_KEY: "callers show it to the edges"}
    for spec in specs:
        found |= dict.fromkeys(spec.secrets, f"{spec.file}: secrets")
    if config.part is None or any(config.declares(edge.cloud) for edge in config.edges):
        found |= _of_edges(config)
    if config.dns.owner == "cloudflare" and config.part is None:
        found[CLOUDFLARE_TOKEN] = "a token that may edit the zone at Cloudflare"
    return found


def _of_edges(config: StackConfig) -> dict[str, str]:
    found = {p.key: f"the key of the provider {p.name}" for p in config.providers if p.key}
    found |= {e.key: f"the key of {e.name}" for e in config.external if e.key}
    if config.tls.mode == "files":
        found |= {config.tls.cert: "the certificate that callers see", config.tls.key: "its key"}
    return found


def missing(config: StackConfig, specs: Sequence[ServiceSpec]) -> dict[str, str]:
    """Those that the stack's configuration has no value for."""
    return {name: why for name, why in needed(config, specs).items() if name not in config.secrets}


def how_to_set(names: Iterable[str], env: str) -> list[str]:
    """The commands that give them values, without the values."""
    return [
        f"pulumi config set --stack {env} --secret --path '{NAMESPACE}:secrets.{name}'"
        for name in sorted(names)
    ]


def check(config: StackConfig, specs: Sequence[ServiceSpec], *, env: str) -> None:
    """Raises SpecError with a line for each that is missing, and the command that mends it."""
    lacking: Mapping[str, str] = missing(config, specs)
    problems = []
    for name, command in zip(sorted(lacking), how_to_set(lacking, env), strict=True):
        near = did_you_mean(name, config.secrets) or ""
        hint = f"{near} {command}".strip()
        field = f"{NAMESPACE}:secrets.{name}"
        problems.append(Problem(f"Pulumi.{env}.yaml", field, f"has no value: {lacking[name]}.", hint=hint))
    if problems:
        raise SpecError(problems)
