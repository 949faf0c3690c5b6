"""`tw spec check`: what is wrong with service files, all of it, before anything is planned or started."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import EnvOption, parse_env
from spec.errors import Problem
from spec.read import Reading, examine


def register(app: typer.Typer) -> None:
    """Adds `spec` and its commands."""
    spec = typer.Typer(name="spec", help="Work with service files.", no_args_is_help=True)
    spec.callback()(_group)
    spec.command()(check)
    app.add_typer(spec)


def _group() -> None:
    """Work with service files."""


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Service files.")],
    env: EnvOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say everything that is wrong with service files."""
    readings = examine(files, env=parse_env(env))
    if as_json:
        print(json.dumps({"files": [_as_json(reading) for reading in readings]}, indent=1))
    else:
        _print(readings)
    if any(reading.problems for reading in readings):
        raise typer.Exit(1)


def _print(readings: Sequence[Reading]) -> None:
    for reading in readings:
        for problem in reading.problems:
            print(problem)
        if reading.spec is not None:
            print(f"{reading.file}: ok: service `{reading.spec.name}`")
            for note in (*reading.spec.not_acted_on, *reading.spec.assumed):
                print(f"  note: {note}")


def _as_json(reading: Reading) -> dict[str, Any]:
    return {
        "file": reading.file,
        "ok": not reading.problems,
        "name": reading.spec.name if reading.spec else None,
        "problems": [_problem_as_json(p) for p in reading.problems],
        "not_acted_on": list(reading.spec.not_acted_on) if reading.spec else [],
        "assumed": list(reading.spec.assumed) if reading.spec else [],
    }


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    return {
        "line": problem.line,
        "field": problem.field,
        "value": problem.value,
        "message": problem.message,
        "hint": problem.hint,
    }
