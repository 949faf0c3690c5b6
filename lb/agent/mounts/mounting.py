"""`python -m lb.agent.mounts.mounting PLAN`: mounts what a plan names, and stays until SIGTERM."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import threading
from pathlib import Path

from lb.agent.bucket import CloudBucket
from lb.agent.mounts import install, mount
from lb.agent.mounts.again import Again
from lb.agent.mounts.mount import MountError
from lb.agent.mounts.mounter import Mounter
from lb.agent.mounts.told import Told
from lb.agent.mounts.tools import PROGRAMS

_LOOK_S = 1.0


class _Stop(BaseException):
    """SIGTERM came in the middle of something."""


def main(path: Path) -> int:
    """What stands in the way is told, and printed."""
    plan = json.loads(path.read_bytes())
    told, stop = Told(Path(plan["told"])), threading.Event()
    signal.signal(signal.SIGTERM, lambda _signum, _frame: stop.set())

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise _Stop

    name = plan["cloud"]
    cloud = importlib.import_module(f"lb.agent.clouds.{name}").Cloud(plan["store"])
    mounter = Mounter(
        name,
        lambda url: CloudBucket(cloud.objects(url), pause=pause),
        folder=Path(plan["state"]),
        again=Again(told, pause=pause),
        remount=plan["remount"],
        warn=lambda text: print(text, file=sys.stderr, flush=True),
    )
    try:
        if not install.is_here(name):
            told.say(f"installing {PROGRAMS[name]}")
            install.Installer().install(name, pause=pause)
        mounter.mount(mount.read(plan["mounts"]))
        told.say("", ready=True)
        while True:
            pause(_LOOK_S)
            mounter.watch()
    except _Stop:
        return 0
    except MountError as e:
        told.say(str(e))
        print(e, file=sys.stderr)
        return 1
    finally:
        mounter.unmount()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
