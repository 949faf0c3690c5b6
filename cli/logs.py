"""`tw logs`: what the processes and machines of a stack write, together or one alone, as it is or as it comes."""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterator
from operator import itemgetter
from typing import Annotated

import typer
from rich.console import Console

from cli import afar, log_files, log_lines
from cli.context import Context
from cli.log_files import Choice, Following, Source
from cli.log_lines import Line, Secrets
from cli.options import StackOption, there
from spec.errors import InputError

out = Console(highlight=False, soft_wrap=True)

POLL_S = 0.2


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(logs)


def logs(  # noqa: PLR0917  options, each with its name
    stack: StackOption = "dev",
    replica: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Agent and engine of this replica; the end of its id is enough."),
    ] = None,
    controller: Annotated[bool, typer.Option("--controller", help="The controller.")] = False,
    edge: Annotated[bool, typer.Option("--edge", help="The edge's agent.")] = False,
    envoy: Annotated[bool, typer.Option("--envoy", help="The edge's Envoy.")] = False,
    access: Annotated[bool, typer.Option("--access", help="One line per request.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.", min=0)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show the last lines of all logs but the access log, or of those that are named."""
    context = there(stack)
    if not context.is_local:
        raise afar.no_logs(context)
    chosen = _chosen(context, replica, controller=controller, edge=edge, envoy=envoy, access=access)
    printer = _Printer(context, marked=len(chosen()) > 1, as_json=as_json)
    following = _Followers(chosen) if follow else None
    _print_last(chosen(), lines, printer, following.until() if following else {})
    if following is not None:
        try:
            _follow(following, printer)
        except KeyboardInterrupt:
            return
    elif not any(s.path.exists() for s in chosen()):
        raise InputError(f"stack {stack}: nothing was logged there yet")


def _chosen(
    context: Context, replica: str | None, *, controller: bool, edge: bool, envoy: bool, access: bool
) -> Choice:
    """The sources that the options name. Raises InputError for a replica that is not known."""
    home = context.home
    named = (("controller", controller), ("agent", edge), ("envoy", envoy), ("access", access))
    endings = tuple(ending for ending, wanted in named if wanted)
    of_replica = log_files.machine(home, replica) if replica is not None else []

    def choose() -> list[Source]:
        if replica is None and not endings:
            return log_files.processes(home) + log_files.machines(home)
        return (log_files.processes(home, *endings) if endings else []) + of_replica

    return choose


class _Printer:
    """Lines as whoever reads them wants them: a person at a terminal, or a program."""

    def __init__(self, context: Context, *, marked: bool, as_json: bool) -> None:
        self._marked = marked
        self._as_json = as_json
        self._secrets = Secrets.of(context.home)

    def parse(self, source: Source, raw: bytes) -> Line:
        return log_lines.parse(source.name, raw, self._secrets)

    def print(self, line: Line) -> None:
        if self._as_json:
            print(log_lines.as_json(line))
        elif out.is_terminal:
            out.print(log_lines.rendered(line, marked=self._marked))
        else:
            print(log_lines.plain(line, marked=self._marked))


def _print_last(sources: list[Source], number: int, printer: _Printer, until: dict[Source, int]) -> None:
    """The last lines of all sources together, in the order of their times."""
    last = ((s, log_files.last_lines(s.path, number, until=until.get(s))) for s in sources)
    ordered = heapq.merge(*(_timed(s, lines, printer) for s, lines in last), key=itemgetter(0))
    for _, line in list(ordered)[-number:] if number else []:
        printer.print(line)


def _timed(source: Source, lines: list[bytes], printer: _Printer) -> Iterator[tuple[float, Line]]:
    """Lines with their times; one that tells none was written with the one before it."""
    parsed = [printer.parse(source, raw) for raw in lines]
    known = [line.at for line in parsed if line.at is not None]
    at = known[0] if known else (source.path.stat().st_mtime if source.path.exists() else 0.0)
    for line in parsed:
        at = max(at, line.at or at)
        yield at, line


class _Followers:
    """Every chosen log as it grows; logs that appear later are shown from their beginning."""

    def __init__(self, chosen: Choice) -> None:
        self._chosen = chosen
        self._open: dict[Source, Following] = {}
        self._take(from_start=False)

    def until(self) -> dict[Source, int]:
        """Where each log's further lines begin."""
        return {source: following.at for source, following in self._open.items()}

    def new_lines(self) -> Iterator[tuple[Source, bytes]]:
        self._take(from_start=True)
        for source, following in self._open.items():
            yield from ((source, raw) for raw in following.new_lines())

    def _take(self, *, from_start: bool) -> None:
        present = self._chosen()
        for source in present:
            if source not in self._open:
                self._open[source] = Following(source.path, from_start=from_start)
        for gone in self._open.keys() - set(present):
            self._open.pop(gone).close()


def _follow(following: _Followers, printer: _Printer) -> None:
    while True:
        for source, raw in following.new_lines():
            printer.print(printer.parse(source, raw))
        sys.stdout.flush()
        time.sleep(POLL_S)
