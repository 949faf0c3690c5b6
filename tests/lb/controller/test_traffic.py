"""What edges report reaches decisions, the status and the metrics of a whole controller."""

import asyncio

from spec.report import EdgeReport, ReplicaTraffic, ServiceTraffic
from tests.lb.controller.test_controller import quick, stage  # noqa: F401  fixtures
from tests.lb.servers import until


def report(seq, *, arrived=0, held=0, replicas=()):
    service = ServiceTraffic(name="chat", arrived=arrived, held=held)
    return EdgeReport(edge_id="edge-1", boot="b", seq=seq, services=(service,), replicas=replicas)


def test_traffic_is_told_in_the_status_and_changes_of_it_alone_are_not_written_at_once(stage):  # noqa: F811
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.ready(controller) == 2)
            assert controller.status().services[0].traffic is None
            await until(lambda: controller._written.services[0].ready == 2)
            await asyncio.sleep(0.2)  # what else is to be said of becoming ready
            written = controller._written
            for n in range(5):
                controller.take_report(report(n, arrived=n * 10))
                await asyncio.sleep(0.1)
            assert controller.status().services[0].traffic.qps == 8
            assert controller._written is written

    asyncio.run(story())


def test_a_request_that_is_held_wakes_the_loop(stage):  # noqa: F811
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.ready(controller) == 2)
            controller._tick_s = 60
            await asyncio.sleep(0.2)
            ticked = controller._ticked_at
            controller.take_report(report(1))
            await asyncio.sleep(0.1)
            assert controller._ticked_at == ticked
            controller.take_report(report(2, held=1))
            await until(lambda: controller._ticked_at > ticked, 1.0)

    asyncio.run(story())


def test_a_replica_that_fails_callers_while_its_probe_succeeds_leaves_the_edges(stage):  # noqa: F811
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.endpoints() == 2)
            liar = s.publishers[-1].newest("edge-1").snapshot.services[0].endpoints[0].replica_id
            for seq, failed in ((1, 0), (2, 5)):
                told = ReplicaTraffic(replica_id=liar, failed=failed)
                controller.take_report(report(seq, replicas=(told,)))
            await until(lambda: s.endpoints() == 1)
            states = {r.id: (r.state, r.reason) for r in controller.status().services[0].replicas}
            assert states[liar] == (
                "unready",
                "its probe succeeds, but 5 of 5 requests failed in the last 30 s",
            )

    asyncio.run(story())
