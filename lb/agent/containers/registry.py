"""Pulling an image: how far it is, and what a registry's refusal means for whoever wrote `image_id`.

The program `docker` tells reasons in words only, which these are.
https://github.com/moby/moby/blob/master/registry/errors.go and https://distribution.github.io/distribution/spec/api/#errors
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lb.agent.containers.machine import DockerError, ask, last_line

GIVES_UP_S = 600.0
_FIRST_S, _MOST_S = 2.0, 30.0
_LAYER = re.compile(r"^([0-9a-f]{12}): (.*)$")
_HERE = ("Pull complete", "Already exists")
_LATER = re.compile(r"toomanyrequests|rate limit", re.IGNORECASE)
_FULL = re.compile(r"no space left on device", re.IGNORECASE)
_LOGIN = "SKYPILOT_DOCKER_USERNAME, SKYPILOT_DOCKER_PASSWORD (a secret) and SKYPILOT_DOCKER_SERVER"
_REFUSALS = {
    "repository does not exist or may require": "there is no such image, or it is private: correct `image_id`, "
    f"or give the service {_LOGIN}",
    "unauthorized|denied|authentication required|no basic auth|incorrect username": "the registry wants another "
    f"login: give the service {_LOGIN}",
    "manifest unknown|manifest for .* not found|name unknown|repository .* not found": "there is no such image: "
    "correct `image_id`",
    "invalid reference format": "that is no name of an image: correct `image_id`",
    "no matching manifest": "the image is not made for machines of this kind",
}
"""What a registry or Docker says, as a pattern, and what it means. The first that is found counts."""


class PullError(Exception):
    """The image will not come; the message says why, and the way out."""


@dataclass
class Layers:
    """How many layers of an image there are, and are here, by what `docker pull` prints."""

    known: set[str] = field(default_factory=set)
    here: set[str] = field(default_factory=set)

    def read(self, line: str) -> None:
        """One line."""
        if found := _LAYER.match(line.strip()):
            self.known.add(found[1])
            if found[2].startswith(_HERE):
                self.here.add(found[1])

    def __str__(self) -> str:
        return f"{len(self.here)} of {len(self.known)} layers" if self.known else "asking the registry"


class Says(Protocol):
    """See `Told.say`."""

    def __call__(self, text: str, *, seldom: bool = False) -> None:
        """`seldom`: it may be left out."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pull:
    """`say`: how far it is; `pause`: how it waits; `clock` tells for how long nothing has come."""

    say: Says
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def image(self, image: str) -> None:
        """Until it is here; what can pass is tried again. Raises PullError."""
        came: set[str] = set()
        since, pause_s, pruned = self.clock(), _FIRST_S, False
        while why := self._once(image, layers := Layers()):
            if layers.here - came:
                came |= layers.here
                since, pause_s = self.clock(), _FIRST_S
            if _FULL.search(why) and not pruned:
                pruned = self._prune()
                continue
            refuse(image, why)
            if self.clock() - since >= GIVES_UP_S:
                minutes = f"{GIVES_UP_S / 60:g} minutes"
                raise PullError(f"{image}: {why}; given up after {minutes} without anything new")
            self.say(f"{why}; trying again in {pause_s:g} s")
            self.pause(pause_s)
            pause_s = min(2 * pause_s, _MOST_S)

    def _once(self, image: str, layers: Layers) -> str:
        """Why it has not come; "" when it has."""
        self.say(str(layers))
        said = ""
        with subprocess.Popen(
            ["docker", "pull", image],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pull:
            assert pull.stdout is not None
            for line in pull.stdout:
                said = line if line.strip() else said
                layers.read(line)
                self.say(str(layers), seldom=True)
        return "" if pull.returncode == 0 else last_line(said)

    def _prune(self) -> bool:
        """Images of earlier bundles go only when their room is needed: so the way back to them is short."""
        self.say("the disk is full: removing images that nothing uses")
        try:
            ask("image", "prune", "--all", "--force", timeout_s=GIVES_UP_S)
        except DockerError as e:
            self.say(f"the disk is full, and images can't be removed: {e}")
        return True


def refuse(image: str, why: str) -> None:
    """Raises PullError for a reason that no waiting mends."""
    if _LATER.search(why):
        return
    if _FULL.search(why):
        raise PullError(f"{image}: {why}: raise `disk_size` in `resources`")
    for pattern, meaning in _REFUSALS.items():
        if re.search(pattern, why, re.IGNORECASE):
            raise PullError(f"{image}: {why}: {meaning}")
