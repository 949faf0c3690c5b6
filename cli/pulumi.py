"""Pulumi through its Automation API: own process group, one clean interrupt.

Which backend, home and plugins it works with is `cli.backend`'s to say.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from cli.backend import Backend, backend_of
from cli.context import Context
from local import proctable
from spec.errors import OutsideError
from tools import pulumi_cli

INTERRUPT_LIMIT_S = 8.0
"""How long an interrupted update may take to end by itself before it is killed."""

LOGS_KEPT = 20

OnLine = Callable[[str], None]


def command(context: Context) -> Cli:
    """The CLI, with the environment that it and its plugins need. Raises OutsideError when it is not there."""
    folder = pulumi_cli.find()
    if folder is None:
        raise OutsideError("the Pulumi CLI is missing; run: make setup")
    # The old language host takes `python3` from PATH, so the environment comes first.
    os.environ["PATH"] = f"{context.root / '.venv' / 'bin'}:{folder}:{os.environ.get('PATH', '')}"
    _forget_logs(context.root / ".tradewind" / "pulumi" / "logs")
    return Cli(context, version=pulumi_cli.version(folder), backend=backend_of(context))


def _forget_logs(folder: Path) -> None:
    """Pulumi writes a log of its own per command, some 100 KB, and keeps them for ever."""
    named = {path: re.search(r"\d{8}T\d{6}", path.name) for path in folder.glob("*.log")}
    dated = sorted((found[0], path) for path, found in named.items() if found)
    for _, path in dated[:-LOGS_KEPT]:
        path.unlink(missing_ok=True)


class Cli(auto.PulumiCommand):
    """Runs the CLI in a session of its own, so that Ctrl-C reaches it once, from us, and never its plugins.

    A second interrupt would make Pulumi leave operations pending; the terminal's would be that second one.
    Everything that it starts carries a marker, by which `repair` finds what a killed command left running. Unless the
    stack is the user's own, their settings of Pulumi (backend, passphrase, format of the state, ...) are kept out.
    """

    def __init__(self, context: Context, *, version: str, backend: Backend) -> None:
        """Without the base's own: it would start the CLI once more, to ask it for its version."""
        self.command, self.version = "pulumi", VersionInfo.parse(version)
        self._context = context
        self.backend = backend
        self.process: subprocess.Popen[str] | None = None
        self._interrupted = threading.Event()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> auto.CommandResult:
        """One CLI command to its end. Raises auto.CommandError when it fails, OutsideError when somebody killed it."""
        marker = proctable.Marker(str(self._context.home), "pulumi", os.urandom(4).hex())
        env = {
            **self.backend.inherited,
            **additional_env,
            "PULUMI_AUTOMATION_API": "true",
            proctable.MARKER: str(marker),
        }
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            if self._interrupted.is_set():  # between two commands; never twice, Pulumi would drop everything
                process.send_signal(signal.SIGINT)
            self.process = process
            out, err = _Reader(process.stdout, on_output), _Reader(process.stderr, on_error)
            out.join()
            err.join()
        self.process = None
        result = auto.CommandResult(stdout=out.text, stderr=err.text, code=process.returncode)
        if result.code < 0 and not self._interrupted.is_set():
            name = signal.Signals(-result.code).name
            raise OutsideError(
                f"Pulumi was ended by {name}; run the same command again, it puts things in order"
            )
        if result.code != 0:
            raise create_command_error(result)
        return result

    @contextmanager
    def interruptible(self, say: OnLine) -> Generator[None]:
        """While inside, SIGINT and SIGTERM end the running command in good order, then KeyboardInterrupt is raised."""
        interrupted = self._interrupted

        def stop(_signum: int, _frame: object) -> None:
            if interrupted.is_set():
                return
            interrupted.set()
            say("stopping; what was started is kept in order ...")
            if self.process:
                self.process.send_signal(signal.SIGINT)
            killer = threading.Timer(INTERRUPT_LIMIT_S, self._kill)
            killer.daemon = True
            killer.start()

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except auto.CommandError:
            if not interrupted.is_set():
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if interrupted.is_set():
            raise KeyboardInterrupt

    def _kill(self) -> None:
        """With its plugins, which hold its output open; what they started for us has left the group."""
        if self.process and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class _Reader(threading.Thread):
    """Reads one stream to its end and hands each line on."""

    def __init__(self, stream: IO[str] | None, on_line: OnLine | None) -> None:
        super().__init__(daemon=True)
        self._stream, self._on_line, self._lines = stream, on_line, list[str]()
        self.start()

    def run(self) -> None:
        for line in self._stream or ():
            self._lines.append(line.rstrip())
            if self._on_line:
                self._on_line(line.rstrip())

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines)


class _Workspace(auto.LocalWorkspace):
    """Leaves out what would only start the CLI once more (a quarter of a second each)."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing: every command names its stack."""

    def stack_outputs(self, stack_name: str) -> auto.OutputMap:  # noqa: ARG002  the base's signature
        """None: an update asks for them when it ends, and `tw` knows endpoint and price from the stack's config."""
        return {}


def select(context: Context, cli: Cli) -> auto.Stack:
    """The stack, made when it does not exist yet."""
    backend = cli.backend
    workspace = _Workspace(work_dir=str(backend.work_dir), env_vars=backend.env, pulumi_command=cli)
    if backend.users:
        return auto.Stack.create_or_select(context.stack, workspace)
    for other in context.referred_to:  # a preview may be the first that is heard of it
        if not _state_of(context, other).exists():
            auto.Stack.create(other, workspace)
    if checkpoint(context).exists():
        return auto.Stack.select(context.stack, workspace)
    return auto.Stack.create(context.stack, workspace)


def checkpoint(context: Context) -> Path:
    """The stack's state file in the private backend."""
    return _state_of(context, context.stack)


def _state_of(context: Context, stack: str) -> Path:
    return context.root / ".tradewind/backend/.pulumi/stacks" / context.project / f"{stack}.json"


def locks(context: Context) -> list[Path]:
    """Locks that an update holds, or that a killed one left, in the private backend."""
    folder = context.root / ".tradewind/backend/.pulumi/locks/organization" / context.project / context.stack
    return list(folder.glob("*.json"))
