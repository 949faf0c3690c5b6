"""`pools.<env>.lock`: which pools an environment has, so that a new price changes no pool.

Committed beside the stack's configuration, and written by `./tw plan --stack <env> --lock` only: one line for each pool,
sorted, so that a review shows what comes and what goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import AfterValidator, Field, ValidationError

from spec.base import Usd, Written
from spec.desired import PoolState
from spec.errors import Problem, SpecError
from spec.names import Market
from spec.problems import expected
from spec.quantities import Wrong

SCHEMA = 1
_ID = re.compile(
    r"(?P<service>[^.]+)\.(?P<cloud>[^.]+)\.(?P<place>[^.]+)\.(?P<accelerator>.+)x(?P<count>\d+)\.(?P<market>\w+)"
)


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
    """One pool. `usd_hour`: what it cost when it was taken, for those who read the file; plans use today's price."""

    instance_types: tuple[str, ...] = Field(min_length=1)
    usd_hour: Usd | None = None
    state: PoolState = PoolState.ACTIVE


def _ids(pools: dict[str, LockedPool]) -> dict[str, LockedPool]:
    if wrong := [i for i in pools if parts_of(i) is None]:
        raise Wrong(f"has `{wrong[0]}`, which is no pool's id")
    return pools


class Lock(Written):
    """The pools of all services, by id."""

    schema_: int = Field(alias="schema", le=SCHEMA)
    pools: Annotated[dict[str, LockedPool], AfterValidator(_ids)] = Field(default_factory=dict)

    @property
    def services(self) -> tuple[str, ...]:
        """Those that have pools, by name."""
        return tuple(sorted({p.service for i in self.pools if (p := parts_of(i))}))

    def of(self, service: str) -> dict[str, LockedPool]:
        """The pools of one service."""
        return {i: pool for i, pool in self.pools.items() if i.partition(".")[0] == service}


def lock_name(env: str) -> str:
    """The file's name."""
    return f"pools.{env}.lock"


def renew_command(env: str) -> str:
    """What writes the file anew."""
    return f"./tw plan --stack {env} --lock"


def read_lock(root: Path, env: str) -> Lock | None:
    """None when there is no such file. Raises SpecError with everything that is wrong with it."""
    path = root / lock_name(env)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else None
        problem = f"is not valid YAML: {e.problem or e.context or 'broken'}."
        raise SpecError([Problem(path.name, "", problem, line, hint=_way_out(env))]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        problem = f"can't be read: {' '.join(str(e).split())}."
        raise SpecError([Problem(path.name, "", problem, hint=_way_out(env))]) from None
    try:
        return Lock.model_validate(content)
    except ValidationError as e:
        raise SpecError([_problem(error, path.name, env) for error in e.errors(include_url=False)]) from None


def _problem(error: Any, file: str, env: str) -> Problem:
    message, _ = expected(error)
    if error["type"] == "less_than_equal":
        message = f"is of a newer schema than {SCHEMA}, which is all that this version reads"
    return Problem(file, ".".join(str(x) for x in error["loc"]), f"{message}.", hint=_way_out(env))


def _way_out(env: str) -> str:
    return f"git has the one before; without the file {renew_command(env)} writes a new one."


def dump(lock: Lock, env: str) -> str:
    """The text of the file: same lock, same bytes."""
    lines = [
        f"# The pools of the environment `{env}`: prices change, these do not. Written by: {renew_command(env)}",
        f"schema: {SCHEMA}",
        "pools:" if lock.pools else "pools: {}",
        *_lines(sorted(lock.pools.items())),
    ]
    return "\n".join(lines) + "\n"


def _lines(pools: Iterable[tuple[str, LockedPool]]) -> Iterable[str]:
    for pool_id, pool in pools:
        fields = [f"instance_types: [{', '.join(pool.instance_types)}]"]
        if pool.usd_hour is not None:
            fields.append(f"usd_hour: {pool.usd_hour:g}")
        if pool.state is not PoolState.ACTIVE:
            fields.append(f"state: {pool.state.value}")
        yield f"  {pool_id}: {{{', '.join(fields)}}}"
