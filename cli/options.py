"""Options that several commands take, read in one way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

import typer

from cli.context import Context
from spec.errors import InputError
from spec.quantities import Wrong, env_name

StackOption = Annotated[str, typer.Option(help="Stack, named after its file Pulumi.<stack>.yaml.")]


def there(stack: str) -> Context:
    """The stack; raises InputError when there is no such one, or nothing of it on this computer, where it should be."""
    context = Context(stack)
    if not context.home.exists() and context.is_local:  # a name that nobody configured is said first
        raise InputError(f"stack `{stack}` is not up; `make up STACK={stack}` starts it")
    return context


EnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="Value of one of the file's `envs`; NAME alone takes it from this shell's environment. Repeatable.",
    ),
]


def parse_env(given: Iterable[str] | None) -> dict[str, str]:
    """`["NAME=VALUE", ...]` as a dictionary; the last of a name wins. Raises InputError, which never shows a VALUE."""
    values: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        try:
            env_name(name)
        except Wrong as e:
            shown = ascii(name)[1:-1] if equals else "a word without `=`"
            raise InputError(f"--env: `{shown}` {e}. Write `--env NAME=VALUE`.") from e
        if not equals:
            if name not in os.environ:
                raise InputError(
                    f"--env {name}: has no value, here or in the environment. Write `--env {name}=VALUE`."
                )
            value = os.environ[name]
        values[name] = value
    return values
