"""A controller as a process on a home with real machines of the local cloud."""

import json
import subprocess
import sys
import time
import urllib.request
from typing import NamedTuple

from bench.controller import ROOT, build, prepare, write
from spec.desired import dump, parse
from spec.snapshot import Keys
from tests.ports import free_port


class Placed(NamedTuple):
    port: int
    zone: str


class Stack:
    """A home with a local cloud, and controllers started on it."""

    def __init__(self, home, **prepared):
        self.home = home
        self.port = free_port()
        self.cloud = prepare(home, self.port, **prepared)
        write(home / "state" / "keys.json", Keys().model_dump_json().encode())
        self.started = []

    def start(self, config="controller.json"):
        with (self.home / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lb", "controller", "--config", str(self.home / config)],
                cwd=ROOT,
                stderr=log,
            )
        self.started.append(process)
        return process

    def get(self, path, port=None):
        url = f"http://127.0.0.1:{port or self.port}{path}"
        request = urllib.request.Request(url, headers={"authorization": "Bearer token"})
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read()

    def status(self, port=None):
        return json.loads(self.get("/v1/status", port))

    def change_bundle(self, version, **built):
        built = build(version, **built)
        path = self.home / "state" / "desired" / "bench.json"
        desired = parse(path.read_bytes())
        services = tuple(s.model_copy(update={"bundle": built.bundle}) for s in desired.services)
        changed = desired.model_copy(update={"services": services, "generation": version})
        write(self.home / "state" / "bundles" / f"{built.bundle.sha256}.tar.gz", built.archive)
        write(path, dump(changed).encode())
        return built.bundle.sha256

    def ready(self, port=None):
        services = self.status(port)["services"]
        return services[0]["ready"] if services else 0

    def machines(self):
        return {m.instance_id for view in self.cloud.observe() for m in view.machines}

    def placed(self):
        """The machines that are not ending: port and zone by name."""
        return {
            m.instance_id: Placed(m.port, view.zone)
            for view in self.cloud.observe()
            for m in view.machines
            if not m.ending
        }

    def endpoints(self):
        """The newest snapshot: whether each endpoint drains, by port."""
        snapshot = json.loads(self.get("/v1/edges/edge/snapshot?after=0.0"))
        return {e["port"]: e["draining"] for e in snapshot["services"][0]["endpoints"]}

    def stream(self, instance_id, *, words):
        """A request whose answer takes 8 ms a word, straight to the engine."""
        body = {"model": "demo", "prompt": "a", "stream": True, "max_tokens": words, "ignore_eos": True}
        return urllib.request.urlopen(
            urllib.request.Request(
                f"http://127.0.0.1:{self.placed()[instance_id].port}/v1/completions",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            ),
            timeout=20,
        )

    def end(self):
        for process in self.started:
            process.kill()
            process.wait()
        for declared in self.cloud.pools():
            self.cloud.delete_pool(declared.pool_id)


def until(condition, limit_s=30.0):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")
