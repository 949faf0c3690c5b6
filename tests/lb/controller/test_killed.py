"""A controller killed at each of its writes and calls, and clocks that are set: nothing lost, nothing doubled."""

# ruff: noqa: F811  fixtures are imported, and taken by their names
import asyncio
import contextlib
import json
from itertools import count

import pytest

from lb.bucket import BucketError
from lb.clock import SystemClock
from lb.clouds.protocol import Unreachable
from lb.decide import settings
from tests.lb.controller import test_controller as whole
from tests.lb.controller.test_controller import quick, stage  # noqa: F401  fixtures
from tests.lb.servers import until

DAY = 86400.0


class Killing:
    """Everything that a controller changes, counted; at the n-th the process is as if killed.

    `after`: the n-th change still arrives, but nobody learns of it.
    """

    def __init__(self, number, *, after):
        self.left, self.after = number, after
        self.at = None
        self.killed, self.over = asyncio.Event(), asyncio.Event()

    def wrap(self, place, name, error):
        change = getattr(place, name)

        async def counted(*args):
            if self.killed.is_set():
                raise error("killed")
            self.left -= 1
            if self.left > 0:
                return await change(*args)
            self.at = f"{name} {args[0] if isinstance(args[0], str) else args[0].id}"
            self.killed.set()  # from here on nothing that this process tries arrives
            if self.after:
                await change(*args)
            await self.over.wait()
            raise error("killed")

        setattr(place, name, counted)


@contextlib.contextmanager
def killing(s, number, *, after):
    found = Killing(number, after=after)
    for place, names, error in (
        (s.bucket, ("put", "create_if_absent", "delete"), BucketError),
        (s.driver, ("set_size", "terminate"), Unreachable),
    ):
        for name in names:
            found.wrap(place, name, error)
    try:
        yield found
    finally:
        found.over.set()
        for place, names in (
            (s.bucket, ("put", "create_if_absent", "delete")),
            (s.driver, ("set_size", "terminate")),
        ):
            for name in names:
                delattr(place, name)


@pytest.mark.parametrize("after", [False, True], ids=["before the change", "after the change"])
def test_a_controller_killed_at_any_change_is_followed_by_one_that_loses_and_doubles_nothing(
    stage,
    monkeypatch,
    after,
):
    monkeypatch.setattr(settings, "SETTLE_S", 0.2)
    monkeypatch.setattr(settings, "RETRY_S", 0.2)

    async def killed_at(number):
        """What the first controller was doing; None when it did not come to that many changes."""
        async with stage(place=str(number)) as s:
            await s.declare()
            async with contextlib.AsyncExitStack() as first:
                kill = first.enter_context(killing(s, number, after=after))
                controller = await first.enter_async_context(s.controller("one", ends="killed"))
                await until(lambda: kill.killed.is_set() or (s.endpoints() == 2 and s.ready(controller) == 2))
                if not kill.killed.is_set():
                    return None
                kill.over.set()
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) == 2)
                await until(lambda: s.endpoints() == 2)
                assert sum(len(m) for m in s.driver.machines.values()) == 2, kill.at
            assert len(s.driver.ports) == len(s.nodes) - 2, f"a machine too many was launched: {kill.at}"
            assert not any(c[0] == "terminate" for c in s.driver.calls), kill.at
            return kill.at

    async def story():
        points = []
        for number in count(1):
            at = await killed_at(number)
            if at is None:
                break
            points.append(at)
        return points

    points = asyncio.run(story())
    kinds = {point.split("/")[0] for point in points}
    assert {
        "create_if_absent lease",
        "create_if_absent journal",
        "put assignments",
        "put status.json",
    } <= kinds
    assert any(point.startswith("set_size") for point in points)


class SetClock(SystemClock):
    """A clock that somebody sets; the steady one goes on as it should."""

    def __init__(self, ahead=0.0):
        self.ahead = ahead

    def now(self):
        return super().now() + self.ahead


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_clock_that_is_set_while_a_controller_runs_or_between_two_moves_nothing(stage, monkeypatch, jump):
    clock = SetClock()
    monkeypatch.setattr(whole, "SystemClock", lambda: clock)

    async def story():
        async with stage() as s:
            await s.declare()
            async with s.controller("one", ends="killed") as controller:
                await until(lambda: s.ready(controller) == 2)
                calls = [c for c in s.driver.calls if c[0] != "observe"]
                clock.ahead += jump
                ticks = len(s.driver.calls)
                await until(lambda: len(s.driver.calls) > ticks + 5)
                assert s.ready(controller) == 2
            clock.ahead += jump
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) == 2 and s.endpoints() == 2)
                ticks = len(s.driver.calls)
                await until(lambda: len(s.driver.calls) > ticks + 5)
                assert s.ready(controller) == 2
                newest = json.loads(controller.history(None))["points"][-1]["at"]
                assert abs(newest - clock.now()) < 60, "the picture goes on in the new time"
            assert [c for c in s.driver.calls if c[0] != "observe"] == calls

    asyncio.run(story())


def test_two_controllers_that_both_believe_to_lead_double_nothing(stage):
    async def story():
        async with stage() as s:
            await s.declare()
            s.driver.answers.clear()
            async with s.controller("one") as one:
                await until(one.leader)
                s.dead.add("one")  # wrongly believed: both go on from here
                async with s.controller("two") as two:
                    await until(two.leader)
                    s.driver.answers.set()
                    await until(lambda: s.ready(two) == 2)
                    await until(lambda: not one.leader() or s.ready(one) == 2)
                    s.dead.clear()
                    assert sum(len(m) for m in s.driver.machines.values()) == 2
                    assert len(s.driver.ports) == len(s.nodes) - 2

    asyncio.run(story())
