"""The steps of a bundle's mounts, before its `setup`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from lb.agent.bundle import Bundle
from lb.agent.engine import Process
from lb.agent.mounts.mount import Mount
from lb.agent.mounts.table import Made
from lb.agent.mounts.told import Told
from lb.agent.status import Phase
from lb.agent.steps import Running, Step

_CODE = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Mounts:
    """A `steps.Prepare`. `folder`: the agent's own; `store`: as the cloud's module takes it; `log`: of the engine."""

    cloud: str
    store: str
    folder: Path
    log: Path
    grace_s: float

    def __call__(self, bundle: Bundle) -> list[Step]:
        """The steps; none for a bundle that wants nothing."""
        copies, mounts = ([m for m in bundle.mounts if m.mode == mode] for mode in ("COPY", "MOUNT"))
        copying, mounting = Told(self.folder / "copying.told"), Told(self.folder / "mounting.told")
        steps = []
        if copies:
            steps.append(
                Step(
                    phase=Phase.COPYING,
                    what="copying",
                    start=lambda: self._start("copying", bundle, copies, copying),
                    progress=lambda: copying.said,
                )
            )
        if mounts:
            steps.append(
                Step(
                    phase=Phase.MOUNTING,
                    what="mounting",
                    start=lambda: self._start("mounting", bundle, mounts, mounting),
                    ready=lambda: mounting.ready,
                    progress=lambda: mounting.said,
                )
            )
        return steps

    def _start(self, program: str, bundle: Bundle, mounts: list[Mount], told: Told) -> Running:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        Made(self.folder / "mounted.json").release()  # what a program left that was killed
        told.forget()
        plan = {
            "cloud": self.cloud,
            "store": self.store,
            "root": str(bundle.root),
            "state": str(self.folder),
            "told": str(told.path),
            "mounts": [vars(m) for m in mounts],
            "remount": bundle.image is None,  # a container has bound the mount that it began with
        }
        path = self.folder / f"{program}.json"
        path.write_text(json.dumps(plan))
        command = [sys.executable, "-m", f"lb.agent.mounts.{program}", str(path)]
        return Process(command, cwd=_CODE, env=os.environ, log=self.log, grace_s=self.grace_s)
