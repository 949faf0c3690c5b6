"""What the last update of a stack left to those who come after it, read from the backend of Pulumi.

It needs the CLI and a login to the backend, no plugin, no update and nothing of Pulumi's SDK. It is asked once per
command and never kept: another computer may have taken the stack down, or brought it up in another cloud.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from cli.backend import Backend, users_own
from cli.context import Context
from spec.errors import InputError, OutsideError
from tools import pulumi_cli

LIMIT_S = 60.0
"""A backend in a bucket takes a second or two, and one that is far away and slow not much more."""


class NoStack(InputError):
    """There is no stack of that name in the backend."""


@dataclass(frozen=True)
class Whereabouts:
    """An environment that was brought up. `endpoint`: an origin; `authority`: of `tls: own_ca`, in PEM."""

    state_url: str
    endpoint: str
    authority: str


def whereabouts(context: Context) -> Whereabouts:
    """Of a stack in the clouds; of a part its environment's. Raises InputError where it is not up, and OutsideError."""
    env = context.env
    backend = users_own(context)
    if backend is None:
        raise OutsideError(
            f"stack {env}: what it has deployed is known to your own Pulumi, and that is logged in nowhere. "
            "Use `pulumi login`, or set PULUMI_BACKEND_URL."
        )
    try:
        found = outputs_of(backend, env)
    except NoStack as e:
        raise InputError(f"{e}. It is not up; `./tw up --stack {env}` brings it up.") from None
    if not found.get("state_url"):
        raise InputError(
            f"stack {env} is not up: no update of it has ended well, so there is no state bucket to read. "
            f"`./tw up --stack {env}` brings it up."
        )
    return Whereabouts(found["state_url"], found.get("endpoint") or "", found.get("authority") or "")


def outputs_of(backend: Backend, stack: str) -> dict[str, Any]:
    """All outputs of a stack; secrets stay hidden. Raises NoStack, and OutsideError where the backend does not answer."""
    folder = pulumi_cli.find()
    if folder is None:
        raise OutsideError("the Pulumi CLI is missing; run: make setup")
    try:
        ended = subprocess.run(
            [str(folder / "pulumi"), "--non-interactive", "stack", "output", "--json", "--stack", stack],
            cwd=backend.work_dir,
            env=backend.inherited | backend.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise OutsideError(
            f"Pulumi's backend did not tell the outputs of stack {stack} within {LIMIT_S:g} s; "
            f"`pulumi stack output --stack {stack}` shows what it waits for"
        ) from None
    if ended.returncode == 0:
        return json.loads(ended.stdout or "{}")
    if "no stack named" in ended.stderr:
        raise NoStack(f"no stack `{stack}` in Pulumi's backend")
    said = [line for line in ended.stderr.splitlines() if line.startswith("error:")] or [ended.stderr[-500:]]
    raise OutsideError(f"the outputs of stack {stack} can't be read: {' '.join(said).strip()}")
