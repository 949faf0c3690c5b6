"""Since when the load has been asking for another number, and how fast the number may move there.

Up: for each number above that of now it is kept how long at least so many were asked for. Time in which fewer were asked for
is taken off again, second for second, so a dip costs its own length twice and never what was there before it. Without a dip
that is SkyServe's `upscale_delay_seconds`, and the HPA's window: the number moves to the least of the whole delay.

Down: a number below that of now must have been enough without any interruption, which is the HPA's window exactly: the number
moves to the most of the whole delay, however short that peak was.

What is kept changes only when another number is asked for, so a constant load writes nothing down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lb.decide.memory import Asked, ScalingMemory
from spec.scaling import Pace, RateKind, RatePolicy, Scaling, Select

MOST_LEVELS = 64
"""Numbers that are told apart in each direction; of more, neighbours are taken together at the shorter time."""
MOST_CHANGES = 128


def watched(scaling: Scaling, memory: ScalingMemory, wanted: int | None, now: float) -> ScalingMemory:
    """The memory after another look. `wanted`: within the limits; None = nobody tells.

    In a time that nobody tells of, what was asked for more waits, and what was asked for less begins anew.
    """
    if wanted == memory.asked:
        return memory
    more = _up(scaling, memory, now)
    if wanted is None:
        return replace(memory, asked=None, since=None, more=more, fewer=())
    return replace(memory, asked=wanted, since=now, more=more, fewer=_down(scaling, memory, now, wanted))


def reached(scaling: Scaling, memory: ScalingMemory, now: float) -> int:
    """The number that the load has been asking for for long enough; that of now while there is none."""
    target, asked = memory.target, memory.asked
    if asked is None:
        return target
    up, down = scaling.upscale_delay_s, scaling.downscale_delay_s
    if asked > target:
        found = [min(a.number, asked) for a in _up(scaling, memory, now) if a.for_s >= up]
        return max([target, asked] if up == 0 else [target, *found])
    if asked < target:
        found = [a.number for a in _down(scaling, memory, now, asked) if a.for_s >= down]
        return min([target, asked] if down == 0 else [target, *found])
    return target


def moved(scaling: Scaling, memory: ScalingMemory, number: int, now: float) -> ScalingMemory:
    """The memory with another number, and with the change in it where a rate policy needs it."""
    if number == memory.target:
        return memory
    longest = max((p.period_s for pace in _paces(scaling) for p in pace.policies), default=0.0)
    changes = tuple(c for c in memory.changes if c[0] > now - longest)[-MOST_CHANGES + 1 :]
    if longest:
        changes = (*changes, (now, number - memory.target))
    return replace(
        memory,
        target=number,
        more=tuple(a for a in memory.more if a.number > number),
        fewer=tuple(a for a in memory.fewer if a.number < number),
        changes=changes,
    )


def allowed(scaling: Scaling, memory: ScalingMemory, number: int, now: float) -> int:
    """How far towards that number the rate policies let go now; the arithmetic is the HPA's."""
    up = number > memory.target
    pace = scaling.scale_up if up else scaling.scale_down
    if pace is None:
        return number
    if pace.select is Select.DISABLED:
        return memory.target
    if not pace.policies:
        return number
    limits = [_limit(policy, memory, now, up=up) for policy in pace.policies]
    largest = pace.select is Select.MAX
    if up:
        return max(memory.target, min(number, max(limits) if largest else min(limits)))
    return min(memory.target, max(number, min(limits) if largest else max(limits)))


def in_words(pace: Pace | None) -> str:
    """What limits a move: `at most 4 replicas in 60 s`."""
    if pace is None or not pace.policies:
        return "its behavior allows no change"
    parts = [
        f"{p.value} {'replicas' if p.kind is RateKind.PODS else 'percent'} in {p.period_s:g} s"
        for p in pace.policies
    ]
    return f"at most {(' or ' if pace.select is Select.MAX else ' and ').join(parts)}"


def _limit(policy: RatePolicy, memory: ScalingMemory, now: float, *, up: bool) -> int:
    """The furthest that one policy allows from what there was when its period began; percent rounded as in the HPA."""
    lately = [change for at, change in memory.changes if at > now - policy.period_s]
    began = memory.target - sum(lately)
    if policy.kind is RateKind.PODS:
        replicas = policy.value * memory.least
        return began + replicas if up else began - replicas
    if up:
        return -(-began * (100 + policy.value) // 100)
    return max(0, began * (100 - policy.value) // 100)


def _paces(scaling: Scaling) -> list[Pace]:
    return [pace for pace in (scaling.scale_up, scaling.scale_down) if pace is not None]


# ---------------------------------------------------------------- for how long


def _up(scaling: Scaling, memory: ScalingMemory, now: float) -> tuple[Asked, ...]:
    """For how long each number above that of now was asked for, dips taken off; rising numbers, falling times."""
    asked, passed = memory.asked, _passed(memory, now)
    if asked is None:
        return memory.more
    numbers = {a.number for a in memory.more} | ({asked} if asked > memory.target else set())

    def for_s(number: int) -> float:
        before = next((a.for_s for a in memory.more if a.number >= number), 0.0)
        after = before + (passed if number <= asked else -passed)
        return min(max(after, 0.0), scaling.upscale_delay_s)

    return _levels(sorted(numbers), for_s)


def _down(scaling: Scaling, memory: ScalingMemory, now: float, wanted: int) -> tuple[Asked, ...]:
    """For how long each number below that of now has been enough, also for what is wanted; falling numbers and times."""
    asked, passed = memory.asked, _passed(memory, now)
    if asked is None:
        return ()
    numbers = {a.number for a in memory.fewer} | {asked, wanted}

    def for_s(number: int) -> float:
        before = next((a.for_s for a in memory.fewer if a.number <= number), 0.0)
        return min(before + passed, scaling.downscale_delay_s)

    least = max(asked, wanted)
    return _levels([n for n in sorted(numbers, reverse=True) if least <= n < memory.target], for_s)


def _passed(memory: ScalingMemory, now: float) -> float:
    return 0.0 if memory.since is None else max(0.0, now - memory.since)


def _levels(numbers: list[int], for_s: Callable[[int], float]) -> tuple[Asked, ...]:
    """The times of those numbers, outwards from that of now; of equal ones the outermost number."""
    found: list[Asked] = []
    for number in numbers:
        time = for_s(number)
        if found and found[-1].for_s == time:
            found[-1] = Asked(number, time)
        elif time > 0:
            found.append(Asked(number, time))
    while len(found) > MOST_LEVELS:
        gaps = [found[n].for_s - found[n + 1].for_s for n in range(len(found) - 1)]
        nearest = gaps.index(min(gaps))
        found[nearest : nearest + 2] = [found[nearest + 1]]
    return tuple(found)
