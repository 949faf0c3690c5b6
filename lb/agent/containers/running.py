"""`python -m lb.agent.containers.running PLAN`: one container from its start to its end, and what `setup` made kept.

Its exit code is the container's. SIGTERM ends the container: `docker stop`, with the grace of the plan.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from lb.agent.containers import docker
from lb.agent.containers.machine import DockerError, ask, has_image, sweep
from lb.agent.mounts.told import Told

_DOCKER_FAILED = 125
_KEEP_S = 1800.0


class _Stop(Exception):
    """SIGTERM."""


def _on_term(_signum: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stop


def main(plan_path: Path) -> int:
    """The container's exit code; 125 when Docker can't run it."""
    signal.signal(signal.SIGTERM, _on_term)
    plan: dict[str, Any] = json.loads(plan_path.read_bytes())
    told = Told(Path(plan["told"]))
    variables = Path(plan["variables"])
    env: dict[str, str] = json.loads(variables.read_bytes())
    variables.unlink()
    try:
        return _until_it_ends(plan, env, told)
    except DockerError as e:
        told.say(str(e))
        print(e, file=sys.stderr)
        return _DOCKER_FAILED
    except _Stop:
        return 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(DockerError):  # the next start sweeps, too
            sweep(plan["machine"])


def _until_it_ends(plan: dict[str, Any], env: Mapping[str, str], told: Told) -> int:
    """Raises DockerError and _Stop."""
    kept = plan["keep"]
    if kept and has_image(kept):
        return 0
    code = _run(plan, env, told)
    if kept and code == 0:
        told.say("keeping what setup has made")
        try:
            ask("commit", plan["name"], kept, timeout_s=_KEEP_S)
        except DockerError as e:
            raise DockerError(f"what setup has made can't be kept as an image: {e}") from e
    return code


def _run(plan: dict[str, Any], env: Mapping[str, str], told: Told) -> int:
    """Raises DockerError and _Stop."""
    sweep(plan["machine"])
    container = docker.Container(
        name=plan["name"],
        machine=plan["machine"],
        image=plan["image"],
        paths=tuple(Path(p) for p in plan["paths"]),
        remove=not plan["keep"],
    )
    command = container.command(plan["script"], grace_s=plan["grace_s"], accelerators=docker.accelerators())
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # the guard asks this program, which asks Docker
    )
    assert process.stdin is not None
    assert process.stderr is not None
    copy = threading.Thread(target=_copy, args=(process.stderr, told), daemon=True)
    copy.start()
    try:
        with suppress(BrokenPipeError):  # then it ends with a reason of its own
            process.stdin.write(exports(env))
            process.stdin.flush()
        code = process.wait()
    except _Stop:
        with suppress(DockerError):
            ask("stop", "-t", str(plan["grace_s"]), plan["name"], timeout_s=plan["grace_s"] + 5)
        process.kill()
        return process.wait()
    copy.join(1.0)
    return code


def exports(env: Mapping[str, str]) -> bytes:
    """What the first process of a container reads: values with lines of their own, too."""
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    return text.encode(errors="surrogateescape") + b"\0"


def _copy(source: IO[bytes], told: Told) -> None:
    """Passes errors on; those of Docker itself are told, for they are about the machine and not about the engine."""
    for line in source:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
        if line.startswith(b"docker: "):
            told.say(line.decode(errors="replace").strip())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
