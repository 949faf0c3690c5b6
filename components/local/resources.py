"""Resources of the local cloud, as the `tradewind` provider plugin in `local/plugin/` serves them.

The type tokens are part of every stack's state: they never change.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine that all this runs on, as far as resources need it: where the checkout and the stack's local state are."""

    root: Path
    home: Path

    @property
    def python(self) -> str:
        """The interpreter of everything that the stack starts."""
        return str(self.root / ".venv" / "bin" / "python")

    @property
    def environment(self) -> dict[str, str]:
        """What started processes see: fixed, so that another shell's settings are never a change."""
        return {
            "PATH": f"{self.root / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(self.root),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
        }

    @property
    def bucket(self) -> str:
        """URL of the state bucket."""
        return (self.home / "state").as_uri()

    def secret(self, name: str) -> str:
        """Path of a secret; the value itself never passes through the stack."""
        return str(self.home / "secrets" / name)


READY_TIMEOUT_S = 30
"""On a busy machine a Python process takes a few seconds to start; ten times that is a failure."""


class Process(pulumi.CustomResource):
    """A program that keeps running after the update that started it.

    `code_hash` stands for everything the program reads at its start: a change restarts it. `ready_url` must answer
    200 before the resource counts as made. `listens`: its port on loopback, set by `tradewind:local.<port_config_key>`.
    """

    pid: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        host: Host,
        kind: str,
        argv: Sequence[str],
        code_hash: str,
        ready_url: str,
        listens: int,
        port_config_key: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "home": str(host.home),
            "name": name,
            "kind": kind,
            "argv": list(argv),
            "env": host.environment,
            "cwd": str(host.root),
            "log": str(host.home / "logs" / f"{name}.log"),
            "codeHash": code_hash,
            "readyUrl": ready_url,
            "readyTimeoutS": READY_TIMEOUT_S,
            "listens": [f"127.0.0.1:{listens}"],
            "portConfigKey": f"tradewind:local.{port_config_key}",
            "pid": None,
            "startTime": None,
        }
        super().__init__("tradewind:local:Process", name, props, opts)


class File(pulumi.CustomResource):
    """A file that is written whole or not at all; a missing or changed one is written again.

    `content` is text, or bytes where the file is binary.
    """

    sha256: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        path: str,
        content: str | bytes,
        mode: str = "0644",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, object] = {"path": path, "mode": mode, "sha256": None}
        props |= _content(content)
        super().__init__("tradewind:local:File", name, props, opts)


def _content(content: str | bytes) -> Mapping[str, str]:
    if isinstance(content, str):
        return {"content": content}
    return {"contentBase64": base64.b64encode(content).decode("ascii")}
