"""`python -m lb.agent.mounts.copying PLAN`: copies what a plan names, and ends with 0 when it is there."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from lb.agent.bucket import CloudBucket
from lb.agent.mounts import mount
from lb.agent.mounts.copy import Copies
from lb.agent.mounts.told import Told


def main(path: Path) -> int:
    """Does it; what stands in the way is told, and printed."""
    plan = json.loads(path.read_bytes())
    told = Told(Path(plan["told"]))
    cloud = importlib.import_module(f"lb.agent.clouds.{plan['cloud']}").Cloud(plan["store"])
    copies = Copies(
        lambda url: CloudBucket(cloud.objects(url)),
        root=Path(plan["root"]),
        state=Path(plan["state"]),
        told=told,
    )
    try:
        copies.run(mount.read(plan["mounts"]))
    except mount.MountError as e:
        told.say(str(e))
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
