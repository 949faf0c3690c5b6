"""What operators asked for: each wish is acted on once, and answered in the reasons under its id."""

from __future__ import annotations

from collections.abc import Sequence

from lb.decide import rollout
from lb.decide.observed import Wish
from lb.decide.tick import Tick


def take_wishes(tick: Tick, wishes: Sequence[Wish]) -> None:
    """Acts on the new ones, and remembers all that are still in the bucket."""
    for wish in wishes:
        if wish.id in tick.wishes:
            continue
        record = tick.service_memory.get(wish.service)
        if record is None:
            said = f"there is no service {wish.service}"
        else:
            tick.service_memory[wish.service], said = rollout.wish(record, wish.action, tick.now)
        tick.say(answer(wish.id, wish.service, said))
    tick.wishes = tuple(w.id for w in wishes)


def answer(wish_id: str, service: str, said: str) -> str:
    """The reason that answers a wish; whoever wished looks for its id."""
    return f"{service}: {said} (wish {wish_id})"
