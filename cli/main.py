"""The `tw` application: it knows every command, and turns errors into messages and exit codes.

Exit codes: 0 done, 1 the user's input or request is wrong, 2 usage, 3 something outside failed, 4 refused by a
policy or budget. A traceback is a defect of ours: it goes to a file, with a line that says so.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback

import typer

from spec.errors import TradewindError

app = typer.Typer(
    name="tw",
    help="Serve open models from several clouds at the price of spot machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS = ("up", "plan", "spec", "catalog", "status", "keys", "doctor")
"""Modules of `cli/`, each with `register(app)`; the order is that of `tw --help`."""


def main() -> None:
    """Runs one command and exits with its code."""
    for name in COMMANDS:
        importlib.import_module(f"cli.{name}").register(app)
    try:
        app()
    except TradewindError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:  # noqa: BLE001  the outermost frame: nobody above could show it
        with tempfile.NamedTemporaryFile("w", prefix="tw-", suffix=".log", delete=False) as f:
            traceback.print_exc(file=f)
        print(f"error: a defect in tw itself; details are in {f.name}", file=sys.stderr)
        sys.exit(3)
