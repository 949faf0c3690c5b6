"""Service files in, `ServiceSpec`s out; everything that is wrong with them in one SpecError.

The steps, each in its own module: text to nodes (`source`), older dialects to today's format (`dialects`), variables
(`variables`), types and limits (`written`), and what spans several fields (`checks`); then `normal` makes the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from spec import checks, dialects, quantities, variables
from spec.errors import Problem, SpecError
from spec.lock import Lock, lock_name, renew_command
from spec.normal import normalise
from spec.problems import problems_of
from spec.service import ServiceSpec
from spec.source import Node, load
from spec.written import ServiceFile

NO_ENV: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Reading:
    """What came of one file: a spec, or problems. `envs` and `secrets` are the names that it declares."""

    file: str
    spec: ServiceSpec | None = None
    problems: tuple[Problem, ...] = ()
    parsed: bool = False
    """Whether the file was YAML at all; only then are its `envs` known."""
    envs: frozenset[str] = field(default=frozenset())
    secrets: frozenset[str] = field(default=frozenset())
    name_line: int | None = None


def read_service(path: Path, *, env: Mapping[str, str] = NO_ENV) -> ServiceSpec:
    """The service of one file; `env` gives or overrides values of its `envs`. Raises SpecError."""
    return read_services([path], env=env)[0]


def read_services(paths: Sequence[Path], *, env: Mapping[str, str] = NO_ENV) -> tuple[ServiceSpec, ...]:
    """The services of all files, in the order of `paths`. Raises SpecError with the problems of all of them.

    A variable of `env` must be declared by at least one of the files, and no two services may have one name.
    """
    readings = examine(paths, env=env)
    problems = [p for reading in readings for p in reading.problems]
    if problems:
        raise SpecError(problems)
    return tuple(reading.spec for reading in readings if reading.spec is not None)


def read_stack(
    root: Path, files: Sequence[str], lock: Lock | None = None, *, env: str = ""
) -> tuple[ServiceSpec, ...]:
    """The services of a stack, and last those that it had and that still have pools in the lock. Raises SpecError."""
    specs = read_services([root / file for file in files])
    names = {spec.name for spec in specs}
    left = [name for name in lock.with_pools if name not in names and name in lock.files] if lock else []
    return (*specs, *(_read_leaving(root, name, lock, env) for name in left if lock))


def _read_leaving(root: Path, name: str, lock: Lock, env: str) -> ServiceSpec:
    """Raises SpecError, also where the file is gone or is of another service by now."""
    file, found = lock.files[name], "there is no such file"
    if (root / file).exists():
        spec = read_service(root / file)
        if spec.name == name:
            return spec.model_copy(update={"leaving": True})
        found = f"that is the service `{spec.name}`"
    message = f"{file} is needed until the pools of `{name}` are gone, and {found}."
    hint = f"Give it back (git has it), or put it into another file and name that here; {renew_command(env)} drops it in time."
    field = f"services.{name}"
    raise SpecError([Problem(lock_name(env), field, message, lock.line_of(field), hint=hint)])


def examine(paths: Sequence[Path], *, env: Mapping[str, str] = NO_ENV) -> tuple[Reading, ...]:
    """What came of each file, without raising; a last reading `--env` when variables belong to no file."""
    readings = _with_name_clashes([_read(path, env) for path in paths])
    if not all(reading.parsed for reading in readings):
        return tuple(readings)
    known = frozenset[str]().union(*(r.envs for r in readings))
    secrets = frozenset[str]().union(*(r.secrets for r in readings))
    if strangers := variables.unknown(env, known, secrets=secrets):
        readings.append(Reading("--env", problems=tuple(strangers)))
    return tuple(readings)


def _read(path: Path, env: Mapping[str, str]) -> Reading:
    file = str(path)
    try:
        root, problems = load(path)
    except SpecError as e:
        return Reading(file, problems=e.problems)
    envs, secrets = variables.names_of(root, "envs"), variables.names_of(root, "secrets")
    problems += dialects.modernise(root, file=file)
    problems += variables.settle(root, env, file=file)
    _take_name_from_file(root, path)
    problems += checks.across_fields(root, path)
    try:
        written = ServiceFile.model_validate(root.plain())
    except ValidationError as e:
        problems += problems_of(e, root, ServiceFile, file=file)
        written = None
    if problems or written is None:
        problems.sort(key=lambda p: p.line or 0)
        return Reading(file, problems=tuple(problems), parsed=True, envs=envs, secrets=secrets)
    spec = normalise(written, root, file=file)
    return Reading(file, spec, parsed=True, envs=envs, secrets=secrets, name_line=root.fields["name"].line)


def _take_name_from_file(root: Node, path: Path) -> None:
    """SkyServe's rule: a file without `name` is called after itself. An unusable one is left for the models."""
    if root.at("name") is None and (name := quantities.slug(path.stem)):
        root.fields["name"] = Node(name, 1, "name", name)


def _with_name_clashes(readings: Iterable[Reading]) -> list[Reading]:
    first: dict[str, str] = {}
    checked = []
    for reading in readings:
        if reading.spec is None:
            checked.append(reading)
            continue
        name = reading.spec.name
        if name in first:
            message = f"`{name}` is also the name of the service in {first[name]}."
            hint = "Give one of them another `name`."
            problem = Problem(reading.file, "name", message, reading.name_line, name, hint)
            checked.append(Reading(reading.file, problems=(problem,), parsed=True, envs=reading.envs))
        else:
            first[name] = reading.file
            checked.append(reading)
    return checked
