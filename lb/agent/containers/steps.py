"""The step of a bundle's image, before its `setup`, and how `setup` and `run` of such a bundle are started."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lb.agent.bundle import Bundle, BundleError
from lb.agent.containers import docker
from lb.agent.containers.machine import DockerError, sweep
from lb.agent.engine import Process
from lb.agent.files import PrivateFolder
from lb.agent.mounts.told import Told
from lb.agent.secrets import SecretSource
from lb.agent.status import Phase
from lb.agent.steps import Launch, Running, Step

_CODE = Path(__file__).parents[3]
_DOCKER_S = 2.0
"""What Docker itself needs of the grace of an engine."""
_SWEEP_S = 20.0
_USERNAME, _PASSWORD, _SERVER = (f"SKYPILOT_DOCKER_{word}" for word in ("USERNAME", "PASSWORD", "SERVER"))
"""SkyPilot's, for images of private registries."""


@dataclass(frozen=True, kw_only=True)
class Containers:
    """A `steps.Prepare`. `folder`: the agent's own; `private`: in memory; `log`: of the engine."""

    machine: str
    folder: Path
    private: PrivateFolder
    log: Path
    grace_s: float
    secrets: SecretSource
    begins: Callable[[Bundle, str], None] = lambda _bundle, _what: None

    @property
    def _running(self) -> Told:
        return Told(self.folder / "running.told")

    def __call__(self, bundle: Bundle) -> list[Step]:
        """The steps; none for a bundle without an image. Raises BundleError, CloudError and OSError."""
        if bundle.image is None:
            return []
        login = self._login(bundle)
        told = Told(self.folder / "pulling.told")
        return [
            Step(
                phase=Phase.PULLING,
                what="pulling",
                start=lambda: self._pull(bundle, login, told),
                progress=lambda: told.said,
            )
        ]

    def around(self, plain: Launch) -> Launch:
        """A Launch that starts bundles with an image here, and the others as `plain` does."""

        def launch(script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
            if bundle.image:
                return self.launch(script, bundle=bundle, env=env)
            self._running.forget()
            return plain(script, bundle=bundle, env=env)

        return launch

    def launch(self, script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
        """See steps.Launch; for bundles with an image."""
        what = "run" if script == bundle.run else "setup"
        self.begins(bundle, what)
        self.private.make()
        kept = docker.kept(bundle.sha256) if bundle.setup.strip() else None
        plan = {
            "machine": self.machine,
            "name": docker.named(self.machine, bundle.sha256, what),
            "image": kept if kept and what == "run" else _image(bundle, env.get(_SERVER, "")),
            "keep": kept if what == "setup" else None,
            "script": script,
            "paths": [str(bundle.workdir), *(str(m.path) for m in bundle.mounts)],
            "grace_s": max(int(self.grace_s - _DOCKER_S), 1),
            "variables": str(self.private.write("variables.json", json.dumps(dict(env)))),
        }
        return self._start("running", plan, self._running)

    def said(self) -> str:
        """What `setup` or `run` tells beside its log: why Docker could not run it."""
        return self._running.said

    def sweep(self) -> str:
        """Removes what a killed agent has left, on a machine that had containers; returns what hinders it."""
        shutil.rmtree(self.private.path, ignore_errors=True)
        if self.folder.is_dir():
            try:
                sweep(self.machine, timeout_s=_SWEEP_S)
            except DockerError as e:
                return str(e)
        return ""

    def _pull(self, bundle: Bundle, login: tuple[str, str, str], told: Told) -> Running:
        username, password, server = login
        self.private.make()
        plan = {
            "machine": self.machine,
            "image": _image(bundle, server),
            "bundles": str(bundle.root.parent),
            "username": username,
            "password": str(self.private.write("password", password)) if username else "",
            "server": server,
            "login_dir": str(self.private.path / "login"),
        }
        return self._start("pulling", plan, told)

    def _start(self, program: str, plan: Mapping[str, object], told: Told) -> Running:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told.forget()
        path = self.folder / f"{program}.json"
        path.write_text(json.dumps({**plan, "told": str(told.path)}))
        command = [sys.executable, "-m", f"lb.agent.containers.{program}", str(path)]
        return Process(command, cwd=_CODE, env=os.environ, log=self.log, grace_s=self.grace_s)

    def _login(self, bundle: Bundle) -> tuple[str, str, str]:
        """Name, password and registry, all empty for none."""
        secrets = self.secrets.of(bundle) if {_USERNAME, _PASSWORD, _SERVER} & set(bundle.secrets) else {}
        given = {**bundle.envs, **secrets}
        username, password = given.get(_USERNAME, ""), given.get(_PASSWORD, "")
        if bool(username) != bool(password):
            raise BundleError(
                f"{_USERNAME} and {_PASSWORD} are wanted together, for the image {bundle.image}"
            )
        return username, password, given.get(_SERVER, "")


def _image(bundle: Bundle, server: str) -> str:
    """As SkyPilot does, the registry of a login stands before an image that does not name it."""
    image = bundle.image or ""
    return image if not server or image.startswith(f"{server}/") else f"{server}/{image}"
