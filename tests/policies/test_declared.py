"""The readers against the components whose resources they read, so that neither can change alone."""

from pathlib import Path

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime.mocks import MockMonitor

from components.local.resources import Host
from components.pools.local import LocalPool
from components.service import Service, ServiceArgs
from planner.plan import ServicePlan
from planner.pricing import ZERO, cost_of_service
from policies.cost import FIGURES
from policies.resources import read
from spec.desired import Pool, PoolState, Prices, Scaling
from spec.scaling import Schedule
from spec.stack import LocalCloud
from tests.loop import set_loop
from tests.policies.stack import resource


class Monitor(MockMonitor, pulumi.runtime.Mocks):
    """Keeps the outputs of every resource, as the engine does: what a component registers replaces its inputs."""

    def __init__(self):
        super().__init__(self)
        self.kept = {}

    def new_resource(self, args):
        self.kept[args.name] = (args.typ, dict(args.inputs), args.custom)
        return args.name, args.inputs

    def call(self, args):
        return {}

    def RegisterResourceOutputs(self, request):  # noqa: N802  Pulumi's name
        name = request.urn.split("::")[-1]
        if name in self.kept:  # all but the stack itself
            type_, _, custom = self.kept[name]
            self.kept[name] = (type_, json_format.MessageToDict(request.outputs), custom)
        return super().RegisterResourceOutputs(request)

    def as_policies_see_them(self):
        for name, (type_, props, custom) in self.kept.items():
            yield resource(type_, name, {k: v for k, v in props.items() if v is not None}, provider=custom)


@pytest.fixture
def monitor():
    monitor = Monitor()
    set_loop()
    pulumi.runtime.set_mocks(monitor, monitor=monitor)
    return monitor


def pool(zone, market, price):
    return Pool(
        id=f"chat.local.{zone}.L4x1.{market}",
        service="chat",
        kind="process",
        cloud="local",
        region=zone[:-2],
        zone=zone,
        market=market,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("local-l4",),
        capacity_units=0.5,
        max_size=8,
        prices=Prices(**{market: price}),
    )


def declare(scaling, pools):
    @pulumi.runtime.test
    def program():
        plan = ServicePlan(name="chat", rows=(), left_out=(), pools=tuple(pools), cost=ZERO, scaling=scaling)
        host = Host(root=Path("/checkout"), home=Path("/checkout/.tradewind/dev"))
        weather = LocalCloud(trace="trace.csv")
        args = ServiceArgs(
            plan=plan,
            num_nodes=1,
            declare=lambda pool, opts: LocalPool(pool, host=host, weather=weather, opts=opts),
        )
        Service("chat", args)

    program()


def test_policies_compute_from_the_resources_what_the_plan_computed(monitor):
    scaling = Scaling(
        min_replicas=2,
        max_replicas=3,
        num_overprovision=1,
        base_ondemand_fallback_replicas=1,
        target_qps_per_replica=2.5,
        schedules=(Schedule(cron="0 8 * * 1-5", duration_s=36_000, min_replicas=3),),
    )
    leaving = pool("local-east-b", "spot", 0.1).model_copy(update={"state": PoolState.RETIRING})
    pools = [pool("local-east-a", "spot", 0.2), pool("local-west-a", "on_demand", 0.7), leaving]
    declare(scaling, pools)
    stack = read(monitor.as_policies_see_them())
    assert stack.unpriced == ()
    [service] = stack.services
    assert service.scaling == scaling
    planned = cost_of_service(scaling, pools)
    for figure in FIGURES:
        assert figure.usd_hour(service.cost) == pytest.approx(figure.usd_hour(planned))
        assert figure.usd_hour(planned) > 0


def test_a_planned_pool_without_a_price_reaches_the_policies_as_one_without(monitor):
    declare(Scaling(), [pool("local-east-a", "spot", 0.2), pool("local-east-b", "spot", None)])
    assert [u.resource for u in read(monitor.as_policies_see_them()).unpriced] == [
        "chat.local.local-east-b.L4x1.spot"
    ]
