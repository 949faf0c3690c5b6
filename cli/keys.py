"""`tw keys`: the API keys of a stack."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import Context
from spec.errors import InputError


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    keys = typer.Typer(help="The API keys of a stack.", no_args_is_help=True)
    keys.command("show")(show)
    app.add_typer(keys, name="keys")


def show(stack: Annotated[str, typer.Option(help="Stack whose key to print.")] = "dev") -> None:
    """Print the API key of the stack, to paste it or to hand it to another program."""
    try:
        print(Context(stack).key_file.read_text().strip())
    except FileNotFoundError:
        raise InputError(f"stack `{stack}` has no API key yet; ./tw up --stack {stack} makes one") from None
