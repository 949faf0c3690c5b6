"""Pebble: the small ACME authority that Let's Encrypt tests clients with, and a DNS server whose records a test sets.

Both are built from their Go module, once, into the cache.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from lb.certificates.authority import Wish
from tests.lb.certificates.authority import an_authority
from tests.ports import free_ports
from tools.pulumi_cli import cache_dir

MODULE = Path(__file__).parent / "pebble_module"
VERSION = "2.8.0"
_PACKAGE = "github.com/letsencrypt/pebble/v2/cmd"
PROGRAMS = ("pebble", "pebble-challtestsrv")


class NoPebble(Exception):
    """It can't be built here; the message says why."""


def programs():
    """The folder with both; built when it is not there. Raises NoPebble."""
    folder = cache_dir() / f"pebble-{VERSION}"
    if all((folder / name).is_file() for name in PROGRAMS):
        return folder
    if shutil.which("go") is None:
        raise NoPebble("Go is not on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock, tempfile.TemporaryDirectory() as made:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(MODULE / file, Path(made) / file)
        for name in PROGRAMS:
            built = Path(made) / name
            command = ["go", "build", "-mod=mod", "-buildvcs=false", "-o", str(built), f"{_PACKAGE}/{name}"]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
            done = subprocess.run(
                command, check=False, cwd=made, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                raise NoPebble(f"go build {name}: {done.stderr.strip().splitlines()[-1:]}")
            shutil.copy(built, folder / f"{name}.new")
            (folder / f"{name}.new").replace(folder / name)
    return folder


class Pebble:
    """`directory`: where clients begin; `bundle`: whom they have to believe. `records`: the zone, as `Records`."""

    def __init__(self, stack, folder):
        found = programs()
        https, management, dns, dns_management = free_ports(4)
        self._dns = f"http://127.0.0.1:{dns_management}"
        self.directory, self.records, self.put = f"https://127.0.0.1:{https}/dir", self, self._put
        authority = an_authority()
        leaf = authority.issue(Wish(("127.0.0.1",), server=True), time.time())
        self.bundle = folder / "pebble-ca.pem"
        self.bundle.write_text(authority.pem)
        (folder / "cert.pem").write_text(leaf.cert)
        (folder / "key.pem").write_text(leaf.key)
        config = {
            "pebble": {
                "listenAddress": f"127.0.0.1:{https}",
                "managementListenAddress": f"127.0.0.1:{management}",
                "certificate": str(folder / "cert.pem"),
                "privateKey": str(folder / "key.pem"),
                "httpPort": 5002,
                "tlsPort": 5001,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
            }
        }
        (folder / "pebble.json").write_text(json.dumps(config))
        quick = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
        log = stack.enter_context((folder / "pebble.log").open("ab"))
        for command in (
            [
                str(found / "pebble-challtestsrv"),
                *off,
                "-dns01",
                f"127.0.0.1:{dns}",
                "-management",
                f"127.0.0.1:{dns_management}",
            ],
            [str(found / "pebble"), "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"],
        ):
            process = subprocess.Popen(command, env=quick, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        self.root = self._root(f"https://127.0.0.1:{management}/roots/0", authority)

    def _put(self, name, value):
        httpx.post(
            f"{self._dns}/set-txt", json={"host": f"{name}.", "value": value}, trust_env=False
        ).raise_for_status()

    def remove(self, name, _value):
        httpx.post(f"{self._dns}/clear-txt", json={"host": f"{name}."}, trust_env=False).raise_for_status()

    def _root(self, url, authority):
        """The certificate of its authority; when it can be had, Pebble is up."""
        from lb.mutual import believing

        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, verify=believing(authority.pem), trust_env=False).text
            assert time.monotonic() < end, "Pebble does not answer"
            time.sleep(0.05)
