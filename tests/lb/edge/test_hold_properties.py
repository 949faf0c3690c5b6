"""Whatever comes and goes: nobody goes on without an endpoint, nobody waits beside one, and never too many."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.lb.edge.test_hold import READY, Rig, snapshot

MOST = 3
STEPS = st.lists(st.sampled_from(["ask", "leave", "up", "down", "drain", "taken over"]), max_size=40)


@given(STEPS)
def test_at_every_moment_the_right_ones_wait(steps):
    async def story():
        rig = Rig()
        rig.holds.follow(snapshot(max_held=MOST))
        asked, usable, taken = [], False, False
        for step in steps:
            match step:
                case "ask":
                    asked += rig.ask()
                case "leave" if asked:
                    asked.pop(0).cancel()
                case "up":
                    usable = True
                    rig.holds.follow(snapshot(READY, max_held=MOST))
                case "down" | "drain":
                    usable = taken = False
                    rig.envoy.clear()
                    left = () if step == "down" else (READY.model_copy(update={"draining": True}),)
                    rig.holds.follow(snapshot(*left, max_held=MOST))
                case "taken over" if usable:
                    taken = True
                    rig.envoy.set()
            for _ in range(5):
                await asyncio.sleep(0)
            waiting = rig.holds.held().get("chat", 0)
            assert waiting <= MOST
            assert waiting == sum(not task.done() for task in asked)
            if usable and taken:
                assert waiting == 0
            went = [t for t in asked if t.done() and t.result().go]
            assert usable or not went
            asked = [t for t in asked if not t.done()]
        await rig.holds.close()
        assert not any(v.go for v in await asyncio.gather(*asked))
        assert rig.holds.held() == {}

    asyncio.run(story())
