"""`python -m lb.agent.containers.pulling PLAN`: the machine gets Docker if need be, and the image of a bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lb.agent.containers.docker import has_nvidia
from lb.agent.containers.install import CannotInstall, Installer
from lb.agent.containers.machine import DockerError, forget_setups, has_image, last_line, sweep
from lb.agent.containers.registry import Pull, PullError, refuse
from lb.agent.mounts.told import Told


def main(plan_path: Path) -> int:
    """0 when the image is here."""
    plan: dict[str, Any] = json.loads(plan_path.read_bytes())
    told = Told(Path(plan["told"]))
    try:
        Installer().ensure(nvidia=has_nvidia(), say=told.say, pause=time.sleep)
        sweep(plan["machine"])
        forget_setups(Path(plan["bundles"]))
        if not has_image(plan["image"]):
            _pull(plan, told)
    except (CannotInstall, DockerError, PullError, OSError) as e:
        told.say(str(e))
        print(e, file=sys.stderr)
        return 1
    told.say("")
    return 0


def _pull(plan: dict[str, Any], told: Told) -> None:
    """Raises PullError and OSError. A login lasts as long as the pull, in memory."""
    config = Path(plan["login_dir"])
    shutil.rmtree(config, ignore_errors=True)
    try:
        if plan["username"]:
            config.mkdir(mode=0o700, parents=True)
            os.environ["DOCKER_CONFIG"] = str(config)
            _login(plan)
        Pull(say=told.say).image(plan["image"])
    finally:
        shutil.rmtree(config, ignore_errors=True)


def _login(plan: dict[str, Any]) -> None:
    server, secret = plan["server"], Path(plan["password"])
    command = [
        "docker",
        "login",
        f"--username={plan['username']}",
        "--password-stdin",
        *([server] if server else []),
    ]
    with secret.open("rb") as password:
        done = subprocess.run(command, stdin=password, capture_output=True, text=True, check=False)
    secret.unlink()
    if done.returncode:
        why = last_line(done.stderr)
        refuse(plan["image"], why)
        raise PullError(f"{plan['image']}: the login at {server or 'Docker Hub'} failed: {why}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
