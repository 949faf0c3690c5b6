"""Hosts that boot from their user data below a folder, without being root, on a cloud that answers on loopback."""

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.clouds import systemd

_OF_THIS_COMPUTER = ("AWS_", "AZURE_", "CLOUDSDK_", "GCE_", "GOOGLE_", "PYTHON", "VIRTUAL")
PYTHON = ".".join(platform.python_version_tuple()[:2])


def until(check, what, limit_s=45.0):
    end = time.monotonic() + limit_s
    while not (found := check()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what()}"
        time.sleep(0.1)
    return found


class Host:
    """A prefix in which user data was carried out, as cloud-init does it, and its services. `environment`: where its cloud is."""

    def __init__(self, folder, user_data, environment, *, units):
        self.root, self.units = folder, units
        bin_ = folder / "bin"
        bin_.mkdir(parents=True)
        systemd.install(bin_)
        told = yaml.safe_load(user_data)
        for file in told["write_files"]:
            path = folder / file["path"].removeprefix("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file["content"])
        base = Path(sys.base_prefix) / "bin" / f"python{PYTHON}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OF_THIS_COMPUTER)}
        self.environment = {
            **inherited,
            **environment,
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "TRADEWIND_ROOT": str(folder),
            "TRADEWIND_PYTHON": str(base),
        }
        self.python, self.boots = base, []

    def boot(self):
        """What the boot unit runs; it ends by itself."""
        log = (self.root / "boot.log").open("ab")
        program = str(self.root / "opt/tradewind/fetch.py")
        with log:
            boot = subprocess.Popen(
                [str(self.python), program],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.boots.append(boot)
        return boot

    def said(self):
        """Everything that it has printed."""
        logs = [f"--- {u}\n{systemd.output(self.root, f'tradewind-{u}')}" for u in self.units]
        log = self.root / "boot.log"
        return (log.read_text() if log.exists() else "") + "\n".join(logs)

    def current(self):
        return (self.root / "opt/tradewind/current").resolve().name

    def close(self):
        for boot in self.boots:
            if boot.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(boot.pid, signal.SIGKILL)
            boot.wait()
        systemd.end_all(self.root)
