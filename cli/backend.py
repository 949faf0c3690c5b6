"""Where Pulumi keeps the state of a stack, and whose plugins it runs.

A local stack has everything of its own in the checkout. A stack in the clouds is the user's: their login or
`PULUMI_BACKEND_URL`, their secrets provider, their plugins. Where those are missing it can still be previewed: offline, with
stand-ins for the plugins, in a copy of the project in which nothing is secret and which nobody commits.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cli.context import Context
from local.files import write_atomic
from tools.standins import install as standins

NO_SECRETS = "v1:luPVVUyRCBc=:v1:iE40SnWBFYu6DW0j:C0za+4VFhCv1xJ4Ij+hYIMTrUBgLZQ=="
"""The salt of the empty passphrase, as in Pulumi.dev.yaml: what has no secrets needs no key."""

PROVIDERS = {
    "aws": ("aws",),
    "gcp": ("gcp",),
    "azure": ("azure-native",),
    "kubernetes": ("kubernetes",),
    "cloudflare": ("cloudflare",),
}
"""By cloud or owner of names: Pulumi's provider packages."""


@dataclass(frozen=True)
class Backend:
    """How Pulumi runs for one stack. `stood_in`: providers whose plugins are stand-ins; empty = all real.

    `work_dir`: holds Pulumi.yaml. `users`: whether it is the user's own Pulumi, whose settings then hold.
    """

    work_dir: Path
    env: dict[str, str]
    users: bool = False
    stood_in: tuple[str, ...] = ()

    @property
    def inherited(self) -> dict[str, str]:
        """What Pulumi takes over from this process's environment: settings of Pulumi's are the user's own backend's only."""
        return {k: v for k, v in os.environ.items() if self.users or not k.startswith("PULUMI_")}


def backend_of(context: Context) -> Backend:
    """The user's own for a stack in the clouds, where there is one; else one of the checkout."""
    if context.config.is_local:
        return Backend(context.root, _private(context))
    providers = providers_of(context)
    own = users_own(context)
    if own is not None and not standins.find_missing(providers):
        return own
    env = _private(context)
    stood_in = standins.install(Path(env["PULUMI_HOME"]), Path(sys.executable), providers)
    return Backend(_offline_project(context), env, stood_in=tuple(stood_in))


def users_own(context: Context) -> Backend | None:
    """The user's own, where they are logged in; None = nowhere."""
    if not _logged_in():
        return None
    env = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PYTHONPATH": str(context.root)}
    return Backend(context.root, env, users=True)


def providers_of(context: Context) -> tuple[str, ...]:
    """Provider packages that the stack needs."""
    config = context.config
    clouds = {*config.clouds, *(e.cloud for e in config.edges), *([config.home.cloud] if config.home else [])}
    here = {cloud for cloud in clouds if config.declares(cloud)}
    owners = {"cloudflare"} if config.dns.owner == "cloudflare" and config.part is None else set()
    found = {p for name in here | owners for p in PROVIDERS.get(name, ())}
    return tuple(sorted({*found, "tls"}))


def _logged_in() -> bool:
    """Whether the user's Pulumi knows where to keep state."""
    if os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError, AttributeError):
        return False


def _private(context: Context) -> dict[str, str]:
    """A backend, a home and a passphrase of the checkout's own."""
    backend = context.root / ".tradewind" / "backend"
    backend.mkdir(parents=True, exist_ok=True)
    return {
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_HOME": str(context.root / ".tradewind" / "pulumi"),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_DIY_BACKEND_GZIP": "false",  # the state is read here too
        "PYTHONPATH": str(context.root),
    }


def _offline_project(context: Context) -> Path:
    """A project beside the program, whose files Pulumi may write. Secrets are left out: nothing here could read them."""
    folder = context.root / ".tradewind" / "preview" / context.stack / "project"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "program"
    if not program.is_symlink():
        program.symlink_to(context.root, target_is_directory=True)
    project = _read(context.root / "Pulumi.yaml")
    project["main"] = "program/"
    for plugin in project.get("plugins", {}).get("providers", ()):
        plugin["path"] = str((context.root / plugin["path"]).resolve())
    _write(folder / "Pulumi.yaml", project)
    stack = _read(context.root / f"Pulumi.{context.stack}.yaml")
    config = {key: value for key, value in stack.get("config", {}).items() if not _holds_a_secret(value)}
    _write(folder / f"Pulumi.{context.stack}.yaml", {"encryptionsalt": NO_SECRETS, "config": config})
    return folder


def _holds_a_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_a_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_a_secret, value))


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _write(path: Path, content: dict[str, Any]) -> None:
    write_atomic(path, yaml.safe_dump(content, sort_keys=False).encode())
