"""The local cloud's driver: what the cloud says in the protocol's words."""

import asyncio

import pytest

from lb.clouds import local as module
from lb.clouds.local import LocalDriver
from lb.clouds.protocol import (
    InstancePhase,
    InsufficientCapacity,
    NotFound,
    QuotaExceeded,
    Unreachable,
)
from local.errors import CloudError, NoCapacity, OverMaximum, PoolNotFound
from local.pools import Refusal
from local.processes import ProcessError
from local.views import MachineView, PoolView
from tests.lb.world import ZONES, a_pool

POOL = a_pool(ZONES[0])


class Cloud:
    """Stands for the emulated cloud."""

    def __init__(self, home=None):
        self.error, self.calls = None, []

    def observe(self):
        if self.error:
            raise self.error
        machines = (
            MachineView("i-1", "127.0.0.1", 18100, 18101, 5.0, ending=False, preempt_at=35.0),
            MachineView("i-2", "127.0.0.1", 18102, 18103, 6.0, ending=True),
        )
        refusals = (Refusal("insufficient_capacity", "full", 7.0),)
        view = PoolView(POOL.id, "local-east", ZONES[0], "spot", 2, 8, machines, refusals, 0.2, 0.7)
        return [view]

    def set_size(self, *args):
        self.calls.append(args)
        if self.error:
            raise self.error

    terminate = set_size


@pytest.fixture
def driver(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "LocalCloud", Cloud)
    return LocalDriver(tmp_path)


def test_machines_refusals_and_prices_are_observed(driver):
    (found,) = asyncio.run(driver.observe([POOL]))
    assert (found.pool_id, found.size, found.error) == (POOL.id, 2, None)
    assert [(i.instance_id, i.phase) for i in found.instances] == [
        ("i-1", InstancePhase.RUNNING),
        ("i-2", InstancePhase.STOPPING),
    ]
    assert found.instances[0].agent_port == 18101
    assert [i.preempt_at for i in found.instances] == [35.0, None]
    assert found.refusals[0].at == 7.0
    assert (found.prices.spot, found.prices.on_demand) == (0.2, 0.7)


def test_a_pool_that_nobody_declared_is_an_error_of_that_pool_only(driver):
    found = asyncio.run(driver.observe([a_pool(ZONES[1]), POOL]))
    assert [bool(o.error) for o in found] == [True, False]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCapacity("x"), InsufficientCapacity),
        (PoolNotFound("x"), NotFound),
        (OverMaximum("x"), QuotaExceeded),
        (CloudError("x"), Unreachable),
        (ProcessError("x"), Unreachable),
        (OSError("x"), Unreachable),
    ],
)
def test_every_error_of_the_cloud_has_its_name_in_the_protocol(driver, error, kind):
    driver._cloud.error = error
    with pytest.raises(kind):
        asyncio.run(driver.set_size(POOL, 2))
    with pytest.raises(kind):
        asyncio.run(driver.terminate(POOL, "i-1"))


def test_sizes_and_names_are_passed_on(driver):
    asyncio.run(driver.set_size(POOL, 2))
    asyncio.run(driver.terminate(POOL, "i-1"))
    assert driver._cloud.calls == [(POOL.id, 2), (POOL.id, "i-1")]
    assert asyncio.run(driver.prices([POOL]))[POOL.id].spot == 0.2
