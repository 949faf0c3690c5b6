"""A private copy of the checkout with ports of its own, so that a test never meets a stack that somebody uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from local import proctable
from local.processes import Launch, Registry
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
UP_LIMIT_S = 120


@dataclass
class Checkout:
    root: Path
    stack: str = "dev"
    ports: dict = field(default_factory=dict)

    @property
    def home(self):
        return self.root / ".tradewind" / self.stack

    @property
    def endpoint(self):
        return (self.root / ".tradewind" / "endpoint").read_text().strip()

    @property
    def key(self):
        return (self.root / ".tradewind" / "key").read_text().strip()

    @property
    def token(self):
        return (self.home / "secrets" / "controller-token").read_text().strip()

    def tw(self, *args, check=None, timeout=UP_LIMIT_S):
        done = subprocess.run(
            self._command(args),
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.root,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"tw {args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *args):
        return subprocess.Popen(
            self._command(args),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.root,
        )

    def _command(self, args):
        return [self.root / "tw", *args, *([] if self.stack == "dev" else ["--stack", self.stack])]

    def configured(self, key):
        """A setting of the stack's file."""
        path = self.root / f"Pulumi.{self.stack}.yaml"
        return yaml.safe_load(path.read_text())["config"][f"tradewind:{key}"]

    def configure(self, **changes):
        """Changes settings of the stack's file; a value of None removes the setting."""
        path = self.root / f"Pulumi.{self.stack}.yaml"
        content = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            content["config"][f"tradewind:{key}"] = value
        path.write_text(yaml.safe_dump(content))

    def entry(self, name):
        return json.loads((self.home / "processes" / f"{name}.json").read_text())

    def kill(self, name):
        pid = self.entry(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    def revive(self, name):
        """SIGKILL, and a new start with the same words, without an update of the stack."""
        proc = Path(f"/proc/{self.entry(name)['pid']}")
        argv = proc.joinpath("cmdline").read_text().split("\0")[:-1]
        env = dict(e.split("=", 1) for e in proc.joinpath("environ").read_text().split("\0") if e)
        known, log = self.entry(name), str(self.home / "logs" / f"{name}.log")
        registry = Registry(self.home)
        registry.end(name, 0)
        registry.launch(Launch(name, known["kind"], tuple(argv), env, str(self.root), log, known["meta"]))

    def machines(self):
        return sorted(p.stem for p in (self.home / "processes").glob("i-*.json"))

    def ask(self, path="/v1/models", **kwargs):
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.endpoint}{path}", headers=headers, timeout=10, **kwargs)

    def status(self):
        return json.loads(self.tw("status", "--json", check=0).stdout)

    def full_status(self):
        """The controller's own, with its reasons."""
        url = f"http://127.0.0.1:{self.ports['controllerPort']}/v1/status"
        return httpx.get(url, headers={"Authorization": f"Bearer {self.token}"}, timeout=10).json()

    def processes(self):
        """Every process of the computer that was started for this checkout."""
        table = proctable.table()
        alive = [pid for pid, p in table.items() if not p.dead]
        return {
            pid: marker.name
            for pid, marker in proctable.markers(alive).items()
            if marker.home.startswith(str(self.root))
        }


def throw_away(folder):
    """Removes a folder in one step, however busy its writers are: what they write from now on is in a new one."""
    shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}.thrown-away")))


def eventually(condition, *, within=30.0, what="the condition"):
    """Asks again and again until it holds; what it returned last is in the failure."""
    deadline = time.monotonic() + within
    while True:
        last = condition()
        if last:
            return last
        assert time.monotonic() < deadline, f"{what} did not come true within {within} s: {last!r}"
        time.sleep(0.1)


def settled(stack, machines=2):
    """Waits until what was launched beside a replacement, in case that one is refused, has been given back."""
    eventually(lambda: len(stack.machines()) == machines, what="the end of what was too much")
    return stack.machines()


def copy_of(target):
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")


@contextmanager
def private_checkout(root, stack="dev"):
    """A copy in an empty folder, whose stack has ports of its own and is gone afterwards.

    The folder's path must be short: Envoy's admin socket lies below it, and such paths may have 107 bytes.
    """
    copy_of(root)
    edge, agent, controller = free_ports(3)
    ports = {"edgePort": edge, "edgeAgentPort": agent, "controllerPort": controller}
    place = Checkout(root, stack, ports)
    place.configure(local={**place.configured("local"), **ports})
    try:
        yield place
    finally:
        place.tw("down")
        left = place.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, left
