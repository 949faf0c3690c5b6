"""Follows the pointer of this host's role: brings the host to what it names, and back when that is not healthy.

A release's own script does the work (`<role>.sh`: ends with 0 when the host runs that release and is healthy), forwards and back
alike. Hosts take turns by their number and the age of the pointer, both of which need no word between them: while one
host tries, the others serve. A release that failed is not tried again for a quarter of an hour, or until another one is named.
It also keeps the secrets fresh, and restarts a service that reads one of them at its start only.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from email.utils import parsedate_to_datetime
from pathlib import Path

import fetch
import host_secrets
import settings

LOOK_EVERY_S = 20.0
SECRETS_EVERY_S = 120.0
TURN_S = 300.0
"""Between the turns of two hosts: longer than one needs to try, fail and go back."""
LIMIT_S = 120.0
"""For a release's script, which includes its start."""
AGAIN_AFTER_S = 900.0
READ_AT_START = {"controller": {"token", "ca", "ca-key"}}
"""Secrets whose change restarts the role's service."""

STATE = fetch.ROOT / "var/lib/tradewind"
TRYING = STATE / "trying.json"
"""While a release is tried: where to go back to. Left behind by an updater that died meanwhile."""
REFUSED = STATE / "refused.json"
"""Releases that failed, and when."""


def step(host: fetch.Host) -> None:
    """One look at the pointer. Raises OSError when the bucket does not answer."""
    with fetch.get(host, fetch.pointer_key(host)) as answer:
        pointer, headers = answer.read(), answer.headers
    wanted, current = hashlib.sha256(pointer).hexdigest()[:16], fetch.CURRENT.resolve()
    if wanted == current.name:
        REFUSED.unlink(missing_ok=True)
        return
    now, changed = (parsedate_to_datetime(headers[name]).timestamp() for name in ("Date", "Last-Modified"))
    if now - changed < (host["number"] - 1) * TURN_S or now - _refused_at(wanted) < AGAIN_AFTER_S:
        return
    say(f"release {wanted} is named, {current.name} runs")
    new = fetch.install(host, pointer)
    TRYING.write_text(json.dumps({"back_to": str(current), "release": wanted}))
    if _run(new, host):
        TRYING.unlink()
        _forget_others(new, current)
        say(f"release {wanted} runs")
        os.execv(sys.executable, [sys.executable, str(new / "boot" / "update.py")])  # noqa: S606
    go_back(host, now)


def go_back(host: fetch.Host, now: float) -> None:
    """Runs the release from before the one that is being tried, and remembers not to try that again soon."""
    trying = json.loads(TRYING.read_bytes())
    REFUSED.write_text(json.dumps({trying["release"]: now}))
    old = Path(trying["back_to"])
    say(f"release {trying['release']} is not healthy: back to {old.name}")
    if not _run(old, host):
        say(f"release {old.name} is not healthy either; it stays, and the next release is tried as usual")
    TRYING.unlink(missing_ok=True)


def keep_secrets(host: fetch.Host) -> None:
    """Raises OSError when the store does not answer."""
    changed = host_secrets.refresh(host, settings.secrets(settings.of_this_release()))
    if changed:
        say(f"secrets changed: {', '.join(sorted(changed))}")
    if changed & READ_AT_START.get(host["role"], set()):
        subprocess.run(["systemctl", "restart", f"tradewind-{host['role']}"], check=False)


def _run(release: Path, host: fetch.Host) -> bool:
    command = ["bash", str(release / "boot" / f"{host['role']}.sh")]
    with subprocess.Popen(command, start_new_session=True) as script:
        try:
            return script.wait(LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(script.pid, signal.SIGKILL)  # with whatever it waits for
            return False


def _refused_at(release: str) -> float:
    try:
        return json.loads(REFUSED.read_bytes()).get(release, 0.0)
    except (OSError, ValueError):
        return 0.0


def _forget_others(*kept: Path) -> None:
    for folder in (fetch.HOME / "releases").iterdir():
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    """For the journal."""
    print(f"tradewind: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """For ever. Whatever fails is tried again."""
    host, secrets_at = fetch.read_host(), 0.0
    if TRYING.exists():
        go_back(host, time.time())
    while True:
        time.sleep(LOOK_EVERY_S * random.uniform(0.8, 1.2))
        try:
            if time.monotonic() >= secrets_at:
                secrets_at = time.monotonic() + SECRETS_EVERY_S
                keep_secrets(host)
            step(host)
        except (OSError, ValueError, LookupError, tarfile.TarError, zipfile.BadZipFile) as e:
            say(f"{type(e).__name__}: {e}")


if __name__ == "__main__":
    main()
