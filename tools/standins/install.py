"""Puts stand-ins where the engine looks for plugins, and says which real provider plugins are missing.

They go into the `plugins/` of a Pulumi home of our own, never into the user's: each folder carries a mark, so that
nobody takes a stand-in for the real plugin, and `remove` finds them all.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tools.standins.clouds import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
MARK = "STAND-IN"


def find_missing(providers: Iterable[str], *, home: Path | None = None) -> list[str]:
    """Which of the provider packages (aws, gcp, azure-native, ...) have no real plugin on this computer.

    `home`: the user's Pulumi home ($PULUMI_HOME, else ~/.pulumi). A plugin on PATH counts as well.
    """
    folder = (home or Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")) / "plugins"
    return [
        provider
        for provider in providers
        if not shutil.which(f"pulumi-resource-{provider}")
        and all((place / MARK).exists() for place in folder.glob(f"resource-{provider}-v*[0-9]"))
    ]


def install(home: Path, python: Path, providers: Iterable[str]) -> list[str]:
    """Installs stand-ins in a Pulumi home of our own. Gives back the providers that are stood in for.

    `python`: the interpreter of the environment that has the SDKs, this one's. Providers without a stand-in, and
    those whose plugin of the SDK's version is in that home already, are left out.
    """
    done = []
    for provider in dict.fromkeys(providers):
        if provider not in PACKAGES:
            continue
        version = importlib.metadata.version(f"pulumi-{provider}")
        place = home / "plugins" / f"resource-{provider}-v{version}"
        if place.exists() and not (place / MARK).exists():
            continue
        place.mkdir(parents=True, exist_ok=True)
        _write(place / MARK, "A stand-in for previews without credentials; see docs/previews.md.\n", 0o644)
        # -P: the folder that the engine starts plugins in is no place to import from.
        script = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{python}" -P -m tools.standins {provider}\n'
        _write(place / f"pulumi-resource-{provider}", script, 0o755)
        done.append(provider)
    return done


def remove(home: Path) -> None:
    """Removes every stand-in from a Pulumi home, so that the real plugins are fetched again."""
    for mark in (home / "plugins").glob(f"*/{MARK}"):
        shutil.rmtree(mark.parent)


def _write(target: Path, text: str, mode: int) -> None:
    """By rename: another preview may be starting the same file."""
    if target.exists() and target.read_text() == text:
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(target)
