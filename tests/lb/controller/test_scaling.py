"""From what edges report to machines that come and go, through a whole controller."""

import asyncio

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
