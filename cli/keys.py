"""`tw keys`: the API keys of a stack."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.context import Context
from spec.errors import InputError
from spec.keys import new_key
from spec.secrets import CALLER_KEY, how_to_set


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    keys = typer.Typer(help="The API keys of a stack.", no_args_is_help=True)
    keys.command("show")(show)
    keys.command("new")(new)
    app.add_typer(keys, name="keys")


def show(stack: Annotated[str, typer.Option(help="Stack whose key to print.")] = "dev") -> None:
    """Print the API key of the stack, to paste it or to hand it to another program."""
    context = Context(stack)
    try:
        print(context.key_file.read_text().strip())
    except FileNotFoundError:
        if not context.is_local:
            raise _only_its_hash(context) from None
        raise InputError(f"stack `{stack}` has no API key yet; ./tw up --stack {stack} makes one") from None


def _only_its_hash(context: Context) -> InputError:
    return InputError(
        f"stack {context.env} is in the clouds, where only the hash of its callers' key is kept. The key itself is in "
        f"Pulumi's configuration: pulumi config get --stack {context.env} --path 'tradewind:secrets.{CALLER_KEY}'"
    )


def new(stack: Annotated[str, typer.Option(help="Stack in the clouds that the key is for.")]) -> None:
    """Print a new API key for the callers of a stack in the clouds, and how to give it to the stack."""
    config = Context(stack).config
    if config.is_local:
        raise InputError(
            f"stack `{stack}` runs on this computer: ./tw up makes its key, ./tw keys show prints it"
        )
    print(new_key())
    [command] = how_to_set([CALLER_KEY], stack)
    print(f"Keep it, then give it to the stack, which keeps its hash only: {command}", file=sys.stderr)
