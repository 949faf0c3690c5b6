"""`pools.<env>.lock`: which pools an environment has and where its hosts stand, so that a new price moves nothing.

Committed beside the stack's configuration, and written by `./tw plan --stack <env> --lock` only: one line for each
service, host and pool, sorted, so that a review shows what comes and what goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import Field, PrivateAttr, ValidationError

from spec.base import Usd, Written
from spec.clouds import CLOUDS, CloudName
from spec.desired import PoolState
from spec.errors import Problem, SpecError, did_you_mean
from spec.names import Market
from spec.problems import problems_of
from spec.source import Kind, Node, load, resolve

SCHEMA = 2
"""1 had pools only. A lock without hosts or services is told what it lacks, and a renewal adds it."""

_ID = re.compile(
    rf"(?P<service>[a-z0-9-]+)\.(?P<cloud>{'|'.join(CLOUDS)})\.(?P<place>[a-z0-9-]+)"
    r"\.(?P<accelerator>[A-Za-z0-9-]+)x(?P<count>[1-9]\d{0,3})\.(?P<market>\w+)"
)
_FORM = (
    "An id is `service.cloud.zone.acceleratorxcount.market`, with the region where a cloud sells by region."
)
_KIND = Kind("lock", "", "", most=100_000)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")


class Parts(NamedTuple):
    """What a pool's id says. `place`: a zone, or the region of a cloud that sells by region."""

    service: str
    cloud: str
    place: str
    accelerator: str
    count: int
    market: Market


def parts_of(pool_id: str) -> Parts | None:
    """None for what is no pool's id."""
    found = _ID.fullmatch(pool_id)
    if found is None or found["market"] not in list(Market):
        return None
    return Parts(
        found["service"],
        found["cloud"],
        found["place"],
        found["accelerator"],
        int(found["count"]),
        Market(found["market"]),
    )


class LockedPool(Written):
    """One pool. `usd_hour`: what it cost when it was taken, for those who read the file; plans use today's price, and
    this one only for a pool that leaves and has none any more.
    """

    instance_types: tuple[str, ...] = Field(min_length=1)
    usd_hour: Usd | None = None
    state: PoolState = PoolState.ACTIVE


class LockedHost(Written):
    """Where one host stands, and what it is. `zone`: None where the region has none to choose."""

    cloud: CloudName
    region: str = Field(min_length=1)
    zone: str | None = None
    instance_type: str = Field(min_length=1)


class Lock(Written):
    """`files`: the service file of each service, which is still needed when the stack names it no more and machines of it
    run. `hosts`: by name, the controller's and the edges'. `pools`: of all services, by id.
    """

    schema_: int = Field(alias="schema", ge=1, le=SCHEMA)
    files: dict[str, str] = Field(default_factory=dict, alias="services")
    hosts: dict[str, LockedHost] = Field(default_factory=dict)
    pools: dict[str, LockedPool] = Field(default_factory=dict)

    @property
    def with_pools(self) -> tuple[str, ...]:
        """The services that have pools, by name."""
        return tuple(sorted({i.partition(".")[0] for i in self.pools}))

    _lines: dict[str, int] = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Whatever line things were read from."""
        return isinstance(other, Lock) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def read_from(self, tree: Node) -> Lock:
        """Itself, with the lines of that tree."""
        for section, inside in tree.fields.items():
            self._lines[section] = inside.line
            self._lines.update({f"{section}.{name}": node.line for name, node in inside.fields.items()})
        return self

    def line_of(self, field: str) -> int | None:
        """Where a field, or what it is in, was read; None when the lock was not."""
        while field and field not in self._lines:
            field = field.rpartition(".")[0]
        return self._lines.get(field)

    def of(self, service: str) -> dict[str, LockedPool]:
        """The pools of one service."""
        return {i: pool for i, pool in self.pools.items() if i.partition(".")[0] == service}


def lock_name(env: str) -> str:
    """The file's name."""
    return f"pools.{env}.lock"


def renew_command(env: str) -> str:
    """What writes the file anew."""
    return f"./tw plan --stack {env} --lock"


# ---------------------------------------------------------------- read


def read_lock(root: Path, env: str) -> Lock | None:
    """None when there is no such file. Raises SpecError with everything that is wrong with it."""
    path = root / lock_name(env)
    if not path.exists():
        return None
    way_out = f"git has the one before; without the file {renew_command(env)} writes a new one."
    try:
        tree, problems = load(path, _KIND, file=path.name)
    except SpecError as e:
        hints = [" ".join(filter(None, (p.hint, way_out))) for p in e.problems]
        raise SpecError([replace(p, hint=h) for p, h in zip(e.problems, hints, strict=True)]) from None
    problems += _newer(tree, path.name) or [*_wrong_ids(tree, path.name), *_wrong_values(tree, path.name)]
    if problems:
        raise SpecError([replace(p, hint=p.hint or way_out) for p in problems])
    return Lock.model_validate(tree.plain()).read_from(tree)


def _newer(tree: Node, file: str) -> list[Problem]:
    """Of a newer schema nothing else can be said."""
    schema = tree.at("schema")
    if schema is None or not isinstance(schema.value, int) or schema.value <= SCHEMA:
        return []
    message = f"is of a newer schema than {SCHEMA}, which is all that this version reads."
    return [Problem(file, "schema", message, schema.line, schema.value)]


def _wrong_ids(tree: Node, file: str) -> Iterator[Problem]:
    pools = tree.at("pools")
    for pool_id, node in pools.fields.items() if pools else ():
        if parts_of(pool_id) is None:
            shown = "".join(c if c.isprintable() else "?" for c in pool_id)
            hint = _nearest_id(pool_id) or _FORM
            yield Problem(file, f"pools.{shown}", "is no pool's id.", node.line, pool_id, hint)


def _nearest_id(pool_id: str) -> str | None:
    """Where only the cloud or the market is misspelt."""
    words = pool_id.split(".")
    if len(words) < len(Parts._fields) - 1:
        return None
    cloud, market = words[1], words[-1]
    if cloud not in CLOUDS:
        return did_you_mean(cloud, CLOUDS)
    return did_you_mean(market, list(Market)) if market not in list(Market) else None


def _wrong_values(tree: Node, file: str) -> list[Problem]:
    try:
        Lock.model_validate(tree.plain())
    except ValidationError as e:
        return problems_of(e, tree, Lock, file=file)
    return []


# ---------------------------------------------------------------- write


def dump(lock: Lock, env: str) -> str:
    """The text of the file: same lock, same bytes."""
    lines = [
        f"# The pools and hosts of the environment `{env}`: prices change, these do not. Written by: {renew_command(env)}",
        f"schema: {SCHEMA}",
        *_section("services", {name: _word(file) for name, file in lock.files.items()}),
        *_section("hosts", {name: _host(host) for name, host in lock.hosts.items()}),
        *_section("pools", {pool_id: _pool(pool) for pool_id, pool in lock.pools.items()}),
    ]
    return "\n".join(lines) + "\n"


def _section(name: str, entries: Mapping[str, str]) -> Iterable[str]:
    yield f"{name}:" if entries else f"{name}: {{}}"
    for key, value in sorted(entries.items()):
        yield f"  {_word(key)}: {value}"


def _host(host: LockedHost) -> str:
    zone = [] if host.zone is None else [f"zone: {_word(host.zone)}"]
    fields = [f"cloud: {host.cloud}", f"region: {_word(host.region)}", *zone]
    return _map([*fields, f"instance_type: {_word(host.instance_type)}"])


def _pool(pool: LockedPool) -> str:
    fields = [f"instance_types: [{', '.join(map(_word, pool.instance_types))}]"]
    if pool.usd_hour is not None:
        fields.append(f"usd_hour: {pool.usd_hour:g}")
    if pool.state is not PoolState.ACTIVE:
        fields.append(f"state: {pool.state.value}")
    return _map(fields)


def _map(fields: Iterable[str]) -> str:
    return f"{{{', '.join(fields)}}}"


def _word(text: str) -> str:
    """As YAML reads it again: in quotes where it would mean something else."""
    if _PLAIN.fullmatch(text) and resolve(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', width=float("inf")).strip()
