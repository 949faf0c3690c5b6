"""The `tw` application: it knows every command, and turns errors into messages and exit codes.

Exit codes: 0 done, 1 the user's input or request is wrong, 2 usage, 3 something outside failed, 4 refused by a
policy or budget. A traceback is a defect of ours: it goes to a file, with a line that says so.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import typer

from spec.errors import TradewindError

app = typer.Typer(
    name="tw",
    help="Serve open models from several clouds at the price of spot machines.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Any command may meet these at any file that it writes."""

COMMANDS = (
    "up",
    "drift",
    "plan",
    "spec",
    "catalog",
    "status",
    "wait",
    "rollout",
    "logs",
    "explain",
    "sim",
    "local",
    "keys",
    "doctor",
)
"""Modules of `cli/`, each with `register(app)`; the order is that of `tw --help`."""


def main() -> None:
    """Runs one command and exits with its code."""
    if sys.stdout is None:  # closed by whoever started us (`>&-`): what nobody wants to read is no failure
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the end
    stdout = sys.stdout
    try:
        for name in COMMANDS:
            importlib.import_module(f"cli.{name}").register(app)
        for number in (signal.SIGINT, signal.SIGTERM):  # a service manager's stop is a Ctrl-C too
            signal.signal(number, signal.default_int_handler)
        app(prog_name="tw")
        code = 0
    except SystemExit as e:  # how the parser ends: 0, 2 for usage, 130 for Ctrl-C
        # When whoever read our output had enough of it, click replaces stdout and ends with 1, and so does rich.
        code = 0 if sys.stdout is not stdout or isinstance(e.__context__, BrokenPipeError) else e.code
        if code == INTERRUPTED:
            _say("interrupted")
    except KeyboardInterrupt:
        _say("interrupted")
        code = INTERRUPTED
    except TradewindError as e:
        _say(f"error: {e}")
        code = e.exit_code
    except Exception as e:  # noqa: BLE001  the outermost frame: nobody above could show it
        if isinstance(e, OSError) and e.errno in _NO_ROOM:
            where = f": {e.filename}" if e.filename else ""
            _say(f"error: {os.strerror(e.errno)}{where}; `df -h . {tempfile.gettempdir()}` shows which disk")
        else:
            _say(f"error: a defect in tw itself; see {_written_down()}")
        code = 3
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.exit(code)
    # Whoever read our output has gone: what is left in the buffer must not fail once more at the very end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _written_down() -> str:
    """Where the traceback of the current exception is now; its last line where nothing can be written."""
    text = traceback.format_exc()
    try:
        with tempfile.NamedTemporaryFile("w", prefix="tw-", suffix=".log", delete=False) as f:
            f.write(text)
    except OSError:
        return text.splitlines()[-1]
    return f.name


def _say(text: str) -> None:
    print(text, file=sys.stderr)
