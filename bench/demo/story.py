"""What happens in the demo and when: the load of its callers, and the trouble that is made. Times are seconds of the demo."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.e2e.checkout import Checkout

SERVICE = "services/demo.yaml"
UP_LIMIT_S = 150


class Stage(Protocol):
    """What an act may touch."""

    place: Checkout

    def say(self, text: str, mark: str = "") -> None:
        """Notes an event: a line for whoever watches; one with a `mark` is in the chart too."""
        ...

    def crowd(self, count: int) -> None:
        """So many requests at once, beside the load."""
        ...

    def broken(self, promise: str) -> None:
        """Notes that something did not go as it was promised."""
        ...


@dataclass(frozen=True)
class Act:
    """Something that is done at a moment. Acts that are due while another one works wait for it."""

    at: float
    do: Callable[[Stage], None]


@dataclass(frozen=True)
class Story:
    """`load`: (second, requests per second), straight lines in between; 0 before and after."""

    seconds: float
    load: Sequence[tuple[float, float]]
    acts: Sequence[Act]

    def rate(self, at: float) -> float:
        """Requests per second at that moment."""
        for (t0, r0), (t1, r1) in zip(self.load, self.load[1:], strict=False):
            if t0 <= at < t1:
                return r0 + (r1 - r0) * (at - t0) / (t1 - t0)
        return 0.0


# ---------------------------------------------------------------- acts


def kill_controller(stage: Stage) -> None:
    """SIGKILL, and what an operator does about it. Without it nothing is replaced, and callers notice nothing."""
    stage.place.kill("controller")
    stage.say("the controller gets SIGKILL", "controller killed")
    time.sleep(2)
    done = stage.place.tw("up", "--no-wait", timeout=UP_LIMIT_S)
    if done.returncode:
        stage.broken(f"`tw up` did not start the controller again: {done.stderr.strip()}")
    stage.say("`make up` has started it again")


def good_update(stage: Stage) -> None:
    """A bundle that works: every replica runs it in the end."""
    stage.say("an update that works: the engine gets faster", "update")
    if _update(stage, "--ttft-ms 60", "--ttft-ms 40") == 0:
        stage.say("every replica runs the new version")
    else:
        stage.broken("the good update was not carried through")


def bad_update(stage: Stage) -> None:
    """A bundle whose engine does not start: two replicas try it, and the service goes back by itself."""
    stage.say("an update that does not work: a flag is misspelt", "bad update")
    if _update(stage, "--max-queue 128", "--max-queue many") == 0:
        stage.broken("an engine that can't start counted as updated")
        return
    [service] = stage.place.status()["services"]
    rollout = service.get("rollout") or {}
    if rollout.get("phase") not in ("back", "failed"):
        stage.broken(f"the bad update did not go back: {rollout}")
    stage.say(f"it went back by itself: {rollout.get('reason', '')}", "went back")


def _update(stage: Stage, before: str, after: str) -> int:
    path = stage.place.root / SERVICE
    text = path.read_text()
    assert before in text, f"{SERVICE} has no {before}"
    path.write_text(text.replace(before, after))
    return stage.place.tw("up", timeout=UP_LIMIT_S).returncode


def crowd(count: int, *, patience_s: float = 0.0) -> Callable[[Stage], None]:
    """Many at once, while no replica is there; the service may take so long to shrink to nothing."""

    def come(stage: Stage) -> None:
        end = time.monotonic() + patience_s
        while stage.place.machines() and time.monotonic() < end:
            time.sleep(0.2)
        if stage.place.machines():
            stage.broken("the service did not shrink to nothing")
        stage.say(f"{count} callers at once, and no replica", f"{count} held")
        stage.crowd(count)

    return come


# ---------------------------------------------------------------- stories

HOUR = Story(
    seconds=322,
    load=[
        (0, 4),
        (12, 4),
        (55, 40),
        (105, 40),
        (130, 25),
        (148, 2),
        (150, 0),
        (264, 0),
        (265, 12),
        (300, 30),
        (312, 2),
        (313, 0),
    ],
    acts=[
        Act(42, kill_controller),
        Act(95, good_update),
        Act(236, crowd(100, patience_s=26)),
        Act(267, bad_update),
        Act(296, kill_controller),
    ],
)
"""With 12 seconds of the trace in each: storms at 75, 120 and 200 s; from 150 s on nobody asks, so a minute later no replica
is needed (`make up`, which asks once when an update is through, counts as a caller too)."""

SHORT = Story(
    seconds=60,
    load=[(0, 4), (6, 4), (20, 20), (55, 20), (56, 0)],
    acts=[Act(0, crowd(50)), Act(14, kill_controller), Act(24, bad_update)],
)
"""For a test: from zero, a killed controller, a bad update, and what the trace brings meanwhile."""
