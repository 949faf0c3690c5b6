"""From what edges report to machines that come and go, through a whole controller."""

import asyncio
import contextlib

import pytest

from engines.sim.engine import Engine, Generation
from engines.sim.settings import Settings
from lb.observe import traffic, window
from lb.replay import Reader
from spec.desired import Scaling
from spec.report import EdgeReport, ServiceTraffic
from tests.lb.controller.test_controller import PROBE, quick, stage  # noqa: F401  fixtures
from tests.lb.servers import until
from tests.lb.world import a_desired, a_service


def desired(**scaling):
    service = a_service(probe=PROBE)
    changes = {"scaling": Scaling(min_replicas=0, target_qps_per_replica=1.0, **scaling)}
    return a_desired([service.model_copy(update=changes)])


def report(seq, *, arrived=0, held=0):
    service = ServiceTraffic(name="chat", arrived=arrived, held=held)
    return EdgeReport(edge_id="edge-1", boot="b", seq=seq, services=(service,))


def test_a_held_request_wakes_a_service_from_zero_and_silence_keeps_it(stage):  # noqa: F811
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare(desired(max_replicas=2))
            await until(lambda: controller.status().services != ())
            controller.take_report(report(1))
            await asyncio.sleep(0.3)
            assert not any(s.driver.machines.values())
            controller.take_report(report(2, arrived=1, held=1))
            await until(lambda: s.endpoints() == 1)
            assert any("chat: 0 -> 1 replica: 1 held request" in r for r in controller.status().reasons)

    asyncio.run(story())


def test_requests_that_arrive_bring_replicas_up_to_the_limit_and_a_lower_limit_drains_them(stage):  # noqa: F811
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare(desired(max_replicas=2, upscale_delay_s=0, downscale_delay_s=0))
            await until(lambda: controller.status().services != ())
            controller.take_report(report(1))
            controller.take_report(report(2, arrived=100))
            await until(lambda: s.endpoints() == 2)
            assert controller.status().services[0].desired == 2
            await s.declare(desired(max_replicas=1, upscale_delay_s=0, downscale_delay_s=0))
            await until(lambda: controller.status().services[0].desired == 1)
            await until(lambda: len(s.draining()) == 1)

    asyncio.run(story())


# ---------------------------------------------------------------- queues and requests in flight


@pytest.fixture
def short(monkeypatch):
    """What is measured over a minute is measured over half a second."""
    monkeypatch.setattr(traffic, "RATE_S", 0.5)
    monkeypatch.setattr(window, "SHORTEST_S", 0.05)


def scaled(**scaling):
    """Between one and three replicas of the simulated engine, with short delays."""
    service = a_service(probe=PROBE)
    delays = {"upscale_delay_s": 0.2, "downscale_delay_s": 0.3}
    changes = {
        "scaling": Scaling(min_replicas=1, max_replicas=3, **delays, **scaling),
        "bundle": service.bundle.model_copy(update={"engine": "sim"}),
    }
    return a_desired([service.model_copy(update=changes)])


class Callers:
    """What callers do at the only edge, told every few milliseconds; and what they make the simulated engines do."""

    def __init__(self, controller, nodes):
        self.active = 0
        self.engines = [Engine(Settings(model="m", max_num_seqs=1)) for _ in nodes]
        self._controller = controller
        self._seq = 0
        for node, engine in zip(nodes, self.engines, strict=True):
            node.engine.answer = self._answers(engine)

    @staticmethod
    def _answers(engine):
        return lambda _, path, __: (200, engine.metrics.render() if path == "/metrics" else b"ok")

    @contextlib.contextmanager
    def waiting(self, number):
        """So many requests for the first engine, of which one runs."""
        with self.engines[0].admitted([Generation(5, ["word"], "stop") for _ in range(number)]):
            yield

    async def tell(self):
        while True:
            self._seq += 1
            told = ServiceTraffic(name="chat", active=self.active)
            self._controller.take_report(
                EdgeReport(edge_id="edge-1", boot="b", seq=self._seq, services=(told,))
            )
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def served(stage, desired):  # noqa: F811
    """A controller with one ready replica, and its callers."""
    async with stage() as s, s.controller() as controller:
        callers = Callers(controller, s.nodes)
        telling = asyncio.create_task(callers.tell())
        try:
            await s.declare(desired)
            await until(lambda: s.endpoints() == 1)
            yield s, controller, callers
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


def test_a_queue_in_the_engine_brings_replicas_and_its_end_lets_them_go_again(stage, short):  # noqa: F811
    async def story():
        async with served(stage, scaled(target_queue_per_replica=2)) as (s, controller, callers):
            with callers.waiting(7):
                await until(lambda: s.endpoints() == 3)
                said = controller.status().reasons
                assert any(
                    "2 -> 3 replicas: 6 requests waiting at 2 per replica for 0.2 s" in r for r in said
                )
            await until(lambda: controller.status().services[0].desired == 1)
            await until(lambda: len(s.draining()) == 2)
            reader = await Reader.open(s.bucket)
            ticks = [await reader.tick(place) async for place, _ in reader.backwards()]
            assert any(e.waiting == 6 for tick in ticks for e in tick.entry.observed.engines)
            for tick in ticks:
                again = tick.again()
                assert (again.commands, again.memory) == (tick.entry.commands, tick.entry.memory)

    asyncio.run(story())


def test_requests_in_flight_bring_replicas_and_their_end_lets_them_go_again(stage, short):  # noqa: F811
    async def story():
        async with served(stage, scaled(target_inflight_per_replica=4)) as (s, controller, callers):
            callers.active = 9
            await until(lambda: s.endpoints() == 3)
            assert any("requests in flight at 4 per replica" in r for r in controller.status().reasons)
            callers.active = 3
            await until(lambda: controller.status().services[0].desired == 1)
            await until(lambda: len(s.draining()) == 2)

    asyncio.run(story())


def test_a_service_that_scales_by_its_engines_journals_nothing_while_it_is_idle(stage, short):  # noqa: F811
    async def story():
        desired = scaled(target_queue_per_replica=2, target_kv_cache_utilization=0.8)
        async with served(stage, desired) as (s, *_):
            folder = s.folder / "journal"
            await asyncio.sleep(0.4)
            entries = len(list(folder.rglob("*.json.gz")))
            await asyncio.sleep(0.4)
            assert len(list(folder.rglob("*.json.gz"))) == entries

    asyncio.run(story())
