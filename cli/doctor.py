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

from cli.backend import providers_of, users_own
from cli.context import Context
from cli.logins import CLOUDS, SCHEMES, Login
from cli.outputs import whereabouts
from cli.state import CloudState
from lb.envoy import binary
from local.processes import Registry
from spec.errors import InputError, OutsideError, TradewindError
from tools import pulumi_cli, setup
from tools.standins import install as standins


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
        is_local = context.config.is_local
    except TradewindError as e:
        yield Finding(f"stack {context.stack}", ok=False, found=str(e), way_out="correct what it names")
        return
    yield from _ports(context) if is_local else _logins(context)


def _logins(context: Context) -> Iterator[Finding]:
    """What it takes to bring up a stack in the clouds and to look after it."""
    own = users_own(context)
    found = "your own" if own is not None else "nowhere"
    yield Finding("login to Pulumi", own is not None, found, "run: pulumi login; or set PULUMI_BACKEND_URL")
    lacking = standins.find_missing(providers_of(context))
    found = f"missing: {', '.join(lacking)}" if lacking else "all there"
    yield Finding("provider plugins", not lacking, found, "run: pulumi install")
    config = context.config
    used = {*config.clouds, *(e.cloud for e in config.edges), *([config.home.cloud] if config.home else [])}
    tenant = config.azure.tenant_id if config.azure is not None else ""
    for scheme in (SCHEMES[c] for c in sorted(used & SCHEMES.keys()) if config.declares(c)):
        name = f"login to {CLOUDS[scheme].name}"
        try:
            Login(scheme, tenant=tenant)
            yield Finding(name, ok=True, found="yours")
        except TradewindError as e:
            yield Finding(name, ok=False, found=str(e), way_out=f"run: {CLOUDS[scheme].login}")
    if own is not None:
        yield from _bucket(context)


def _bucket(context: Context) -> Iterator[Finding]:
    """Nothing of a stack that is not up yet: that is no defect."""
    try:
        known = whereabouts(context)
    except InputError:
        return
    except TradewindError as e:
        yield Finding("outputs", ok=False, found=str(e), way_out="see what Pulumi says")
        return
    try:
        CloudState(context, known).get("status.json")
        yield Finding("state bucket", ok=True, found=known.state_url)
    except TradewindError as e:
        yield Finding("state bucket", ok=False, found=str(e), way_out="docs/operating.md, From afar")


def _ports(context: Context) -> Iterator[Finding]:
    local = context.config.local
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
