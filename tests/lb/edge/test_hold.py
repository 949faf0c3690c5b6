"""Who may wait for a service, for how long, and when they go: without Envoy, on a loop of its own."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from lb.edge import hold_http
from lb.edge.hold import AT_ONCE, Holds
from lb.envoy import names
from spec.desired import Routing
from spec.snapshot import Endpoint, Snapshot, SnapshotService
from tests.lb.envoy.harness import private_directory
from tests.lb.servers import until

READY = Endpoint(replica_id="r", address="127.0.0.1", port=9000)


def snapshot(*endpoints, name="chat", hold=True, retry_after_s=10, **routing):
    service = SnapshotService(
        name=name, routing=Routing(**routing), endpoints=endpoints, hold=hold, retry_after_s=retry_after_s
    )
    return Snapshot(epoch=1, seq=1, edge_id="e", services=(service,))


class Rig:
    """Holds whose Envoy takes over when the test says so."""

    def __init__(self):
        self.envoy = asyncio.Event()
        self.began = 0
        self.active: int | None = None
        self.holds = Holds(taken_over=self._taken_over, active=self._running, began=self._begin)

    async def _taken_over(self, service):
        assert service == "chat"
        await self.envoy.wait()

    async def _running(self, service):
        assert service == "chat"
        return self.active

    def _begin(self):
        self.began += 1

    def ask(self, number=1):
        return [asyncio.create_task(self.holds.wait("chat")) for _ in range(number)]

    async def waiting(self, number):
        await until(lambda: self.holds.held() == ({"chat": number} if number else {}))


def play(story):
    async def run():
        rig = Rig()
        await story(rig)
        await rig.holds.close()

    asyncio.run(run())


def test_all_go_when_envoy_has_the_first_endpoint_and_not_before():
    async def story(rig):
        rig.holds.follow(snapshot())
        asked = rig.ask(500)
        await rig.waiting(500)
        assert rig.began == 1
        rig.holds.follow(snapshot(READY))
        await asyncio.sleep(0.01)
        assert rig.holds.held() == {"chat": 500}
        rig.envoy.set()
        assert all(v.go for v in await asyncio.gather(*asked))
        await rig.waiting(0)
        assert (await rig.holds.wait("chat")).go, "a route that still holds costs no wait"

    play(story)


def test_a_crowd_goes_in_the_order_of_arrival_and_no_faster_than_the_replicas_answer():
    async def story(rig):
        rig.holds.follow(snapshot())
        asked = rig.ask(3 * AT_ONCE)
        await rig.waiting(3 * AT_ONCE)
        rig.active = 0
        rig.envoy.set()
        rig.holds.follow(snapshot(READY))
        await rig.waiting(2 * AT_ONCE)
        rig.active = AT_ONCE - 8  # eight were answered, and nobody more goes until others are
        await rig.waiting(2 * AT_ONCE - 8)
        rig.active = AT_ONCE
        assert [task.done() for task in asked] == [n < AT_ONCE + 8 for n in range(3 * AT_ONCE)]
        assert (await rig.holds.wait("chat")).go, "who comes now finds a service that serves"
        rig.active = 0
        assert all(v.go for v in await asyncio.gather(*asked))

    play(story)


def test_those_who_were_not_let_go_yet_wait_on_when_the_replica_is_gone_again():
    async def story(rig):
        rig.holds.follow(snapshot())
        asked = rig.ask(AT_ONCE + 1)
        await rig.waiting(AT_ONCE + 1)
        rig.active = 0
        rig.envoy.set()
        rig.holds.follow(snapshot(READY))
        await rig.waiting(1)
        rig.active = AT_ONCE
        rig.holds.follow(snapshot())
        rig.active = 0
        await asyncio.sleep(0.3)
        assert not asked[-1].done()
        rig.holds.follow(snapshot(READY))
        assert (await asked[-1]).go

    play(story)


def test_who_comes_while_envoy_takes_the_endpoint_over_waits_for_it():
    async def story(rig):
        rig.holds.follow(snapshot())
        rig.holds.follow(snapshot(READY, hold=False))
        [asked] = rig.ask()
        await rig.waiting(1)
        rig.envoy.set()
        assert (await asked).go

    play(story)


@pytest.mark.parametrize(
    "useless", [READY.model_copy(update={"draining": True}), READY.model_copy(update={"address": "a-name"})]
)
def test_an_endpoint_that_takes_nothing_lets_nobody_go(useless):
    async def story(rig):
        rig.envoy.set()
        rig.holds.follow(snapshot(useless))
        rig.ask()
        await rig.waiting(1)
        await asyncio.sleep(0.01)
        assert rig.holds.held() == {"chat": 1}

    play(story)


def test_an_endpoint_that_leaves_before_envoy_had_it_lets_nobody_go():
    async def story(rig):
        rig.holds.follow(snapshot())
        [asked] = rig.ask()
        rig.holds.follow(snapshot(READY))
        await asyncio.sleep(0.01)
        rig.holds.follow(snapshot())
        rig.envoy.set()
        await asyncio.sleep(0.01)
        assert rig.holds.held() == {"chat": 1}
        rig.holds.follow(snapshot(READY))
        assert (await asked).go

    play(story)


def test_to_zero_and_back_again_holds_again():
    async def story(rig):
        rig.envoy.set()
        rig.holds.follow(snapshot(READY))
        assert (await rig.holds.wait("chat")).go
        rig.holds.follow(snapshot())
        [asked] = rig.ask()
        await rig.waiting(1)
        rig.holds.follow(snapshot(READY))
        assert (await asked).go

    play(story)


def test_beyond_the_number_that_may_wait_the_answer_is_when_to_come_again():
    async def story(rig):
        rig.holds.follow(snapshot(max_held=2, retry_after_s=41.2))
        rig.ask(2)
        await rig.waiting(2)
        refused = await rig.holds.wait("chat")
        assert (refused.go, refused.retry_after_s) == (False, 42)
        assert refused.why == (
            "No replica of chat is ready: too many requests wait for it; try again in 42 s."
        )
        assert rig.holds.held() == {"chat": 2}

    play(story)


def test_nobody_waits_longer_than_the_limit():
    async def story(rig):
        rig.holds.follow(snapshot(hold_limit_s=0.01, retry_after_s=5))
        refused = await rig.holds.wait("chat")
        assert (refused.go, refused.retry_after_s) == (False, 5)
        assert "did not come up within 0.01 s" in refused.why
        assert rig.holds.held() == {}

    play(story)


def test_a_service_that_is_not_at_zero_and_has_no_endpoint_holds_nobody():
    async def story(rig):
        rig.holds.follow(snapshot(hold=False, retry_after_s=7))
        assert (await rig.holds.wait("chat")).retry_after_s == 7
        assert rig.began == 0

    play(story)


def test_a_service_that_is_taken_away_lets_nobody_wait_for_it():
    async def story(rig):
        assert not (await rig.holds.wait("chat")).go
        rig.holds.follow(snapshot())
        [asked] = rig.ask()
        await rig.waiting(1)
        rig.holds.follow(Snapshot(epoch=1, seq=2, edge_id="e"))
        assert not (await asked).go
        assert not (await rig.holds.wait("../../chat")).go

    play(story)


def test_who_gives_up_frees_the_place():
    async def story(rig):
        rig.holds.follow(snapshot(max_held=1))
        [asked] = rig.ask()
        await rig.waiting(1)
        asked.cancel()
        await rig.waiting(0)
        rig.ask()
        await rig.waiting(1)
        assert rig.began == 2

    play(story)


class TestSocket:
    def run(self, story):
        async def go():
            with private_directory() as folder:
                path, rig = folder / "agent.sock", Rig()
                transport = httpx.AsyncHTTPTransport(uds=str(path))
                async with (
                    hold_http.serve(path, rig.holds),
                    httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=10) as client,
                ):
                    await story(rig, client, path)

        asyncio.run(go())

    def test_it_is_for_its_owner_only_and_knows_nothing_else(self):
        async def story(rig, client, path):
            assert path.stat().st_mode & 0o777 == 0o600
            assert (await client.get("/health")).status_code == 404

        self.run(story)

    def test_what_a_killed_agent_left_there_is_replaced(self):
        async def story(rig, client, path):
            pass

        with private_directory() as folder, socket.socket(socket.AF_UNIX) as old:
            old.bind(str(folder / "agent.sock"))

            async def go():
                async with hold_http.serve(folder / "agent.sock", Rig().holds):
                    assert (folder / "agent.sock").is_socket()

            asyncio.run(go())

    def test_a_thousand_wait_at_the_same_time_and_all_go(self):
        async def ask(path):
            reader, writer = await asyncio.open_unix_connection(path)
            request = f"GET {names.hold_path('chat')} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer.split(b" ")[1]

        async def story(rig, client, path):
            rig.holds.follow(snapshot())
            asked = [asyncio.create_task(ask(path)) for _ in range(1000)]
            async with asyncio.timeout(20):
                await rig.waiting(1000)
                rig.envoy.set()
                rig.holds.follow(snapshot(READY))
                assert set(await asyncio.gather(*asked)) == {b"200"}

        self.run(story)

    def test_the_refusal_has_its_reason_and_when_to_come_again(self):
        async def story(rig, client, path):
            rig.holds.follow(snapshot(max_held=0, retry_after_s=33))
            answer = await client.get(names.hold_path("chat"))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "33")
            assert "try again in 33 s" in answer.text

        self.run(story)

    def test_a_connection_that_ends_frees_the_place_at_once(self):
        async def story(rig, client, path):
            rig.holds.follow(snapshot())
            asked = asyncio.create_task(client.get(names.hold_path("chat")))
            await rig.waiting(1)
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked
            await rig.waiting(0)

        self.run(story)

    def test_an_agent_that_stops_lets_nobody_hang(self):
        async def go():
            with private_directory() as folder:
                path, rig = folder / "agent.sock", Rig()
                rig.holds.follow(snapshot())
                transport = httpx.AsyncHTTPTransport(uds=str(path))
                async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
                    async with hold_http.serve(path, rig.holds):
                        asked = asyncio.create_task(client.get(names.hold_path("chat")))
                        await rig.waiting(1)
                    assert (await asked).status_code == 503

        asyncio.run(go())
