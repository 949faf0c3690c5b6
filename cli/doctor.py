"""`tw doctor`: what this machine has and lacks, and how to get what is missing."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cli.context import Context
from lb.envoy import binary
from local.processes import Registry
from spec.errors import OutsideError, TradewindError
from tools import pulumi_cli, setup


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `way_out`: what to do when it is not ok."""

    name: str
    ok: bool
    found: str
    way_out: str = ""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(doctor)


def doctor(
    stack: Annotated[str, typer.Option(help="Stack whose ports and files to look at.")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Say what is missing on this machine and how to get it. Exit code 3 when something is."""
    findings = [*_tools(Context(stack)), *_stack(Context(stack))]
    out = Console(highlight=False, soft_wrap=True)
    if as_json:
        out.print_json(json.dumps({"findings": [asdict(f) for f in findings]}))
    else:
        for f in findings:
            mark = "[green]ok[/]     " if f.ok else "[red]missing[/]"
            out.print(f"{mark} {escape(f.name)}: {escape(f.found)}")
            if not f.ok:
                out.print(f"          {f.way_out}", markup=False)
    missing = [f.name for f in findings if not f.ok]
    if missing:
        raise OutsideError(
            f"{len(missing)} of {len(findings)} are not as they should be: {', '.join(missing)}"
        )


def _tools(context: Context) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")
    current = setup.is_current()
    found = "as requirements.txt says" if current else "not those of requirements.txt"
    yield Finding("dependencies", current, found, "run: make setup")
    folder = pulumi_cli.find()
    yield Finding("Pulumi CLI", folder is not None, str(folder or "not found"), "run: make setup")
    try:
        yield Finding("Envoy", ok=True, found=str(binary.find()))
    except TradewindError as e:
        yield Finding("Envoy", ok=False, found=str(e), way_out="run: make setup")
    free = shutil.disk_usage(context.root).free / 2**30
    yield Finding("disk", free >= 1, f"{free:.1f} GiB free", "free some space: state and logs need 1 GiB")


def _stack(context: Context) -> Iterator[Finding]:
    try:
        local = context.config.local
    except TradewindError as e:
        yield Finding(f"stack {context.stack}", ok=False, found=str(e), way_out="correct what it names")
        return
    registry = Registry(context.home)
    running = {e.kind for e in registry.entries() if registry.alive(e)}
    for kind, setting, port in (
        ("controller", "controllerPort", local.controller_port),
        ("edge-agent", "edgeAgentPort", local.edge_agent_port),
        ("envoy", "edgePort", local.edge_port),
    ):
        if kind in running:
            yield Finding(f"port {port}", ok=True, found=f"our {kind} listens")
        else:
            free = not _taken(port)
            yield Finding(
                f"port {port}",
                ok=free,
                found="free" if free else "in use by another program",
                way_out=f"set tradewind:local.{setting} in Pulumi.{context.stack}.yaml to a free port",
            )


def _taken(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0
