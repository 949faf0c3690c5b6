"""The steps of a bundle's mounts, before its `setup`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from lb.agent.bundle import Bundle, BundleError
from lb.agent.engine import Process
from lb.agent.mounts.mount import Mount
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
        copies = [m for m in bundle.mounts if m.mode == "COPY"]
        if other := next((m for m in bundle.mounts if m not in copies), None):
            raise BundleError(
                f"{other.target}: this agent copies buckets and does not mount them: `mode: COPY`"
            )
        return [self._copying(bundle, copies)] if copies else []

    def _copying(self, bundle: Bundle, mounts: list[Mount]) -> Step:
        told = Told(self.folder / "copying.told")
        return Step(
            phase=Phase.COPYING,
            what="copying",
            start=lambda: self._start("copying", bundle, mounts, told),
            progress=lambda: told.said,
        )

    def _start(self, program: str, bundle: Bundle, mounts: list[Mount], told: Told) -> Running:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told.forget()
        plan = {
            "cloud": self.cloud,
            "store": self.store,
            "root": str(bundle.root),
            "state": str(self.folder),
            "told": str(told.path),
            "mounts": [vars(m) for m in mounts],
        }
        path = self.folder / f"{program}.json"
        path.write_text(json.dumps(plan))
        command = [sys.executable, "-m", f"lb.agent.mounts.{program}", str(path)]
        return Process(command, cwd=_CODE, env=os.environ, log=self.log, grace_s=self.grace_s)
