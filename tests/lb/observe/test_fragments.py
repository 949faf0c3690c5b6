"""An environment of several stacks: each cloud's fragment says what is declared there; what is missing only holds its own."""

import asyncio

import pytest

from lb.bucket import open_bucket
from lb.observe.desired import DesiredReader
from lb.observe.fragments import FragmentsReader
from spec.desired import Desired, Pool, Prices, dump
from spec.names import Market, PoolKind
from tests.lb.world import NEW, OLD, a_service


def a_pool(cloud, price=1.0, service="chat"):
    return Pool(
        id=f"{service}.{cloud}.zone.L4x1.spot",
        service=service,
        kind=PoolKind.VM,
        cloud=cloud,
        region="region",
        zone="zone",
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("x",),
        max_size=4,
        prices=Prices(spot=price),
    )


def of(*pools, version=OLD, generation="g1", services=("chat",)):
    return Desired(
        schema=1,
        env="prod",
        generation=generation,
        services=tuple(a_service(name, sha256=version) for name in services),
        pools=pools,
    )


@pytest.fixture
def world(tmp_path):
    """Buckets of home (AWS) and of Azure, whose stack is `prod-azure`; `read` gives the state of now."""

    class World:
        def __init__(self, last=None):
            self.home, self.azure = (open_bucket(f"file://{tmp_path}/{name}") for name in ("home", "azure"))
            self.again(last)

        def again(self, last=None):
            """Another process of the controller, which remembers `last`."""
            readers = {"azure": DesiredReader(self.azure, "prod-azure")}
            self.reader = FragmentsReader(DesiredReader(self.home, "prod", last), readers, last)

        def put(self, home=None, azure=None):
            for bucket, name, desired in ((self.home, "prod", home), (self.azure, "prod-azure", azure)):
                if desired is not None:
                    raw = desired if isinstance(desired, bytes) else dump(desired).encode()
                    asyncio.run(bucket.put(f"desired/{name}.json", raw))

        def read(self):
            return asyncio.run(self.reader.read())

    return World()


def ids(reading, *, held=None):
    return [p.id.split(".")[1] for p in reading.desired.pools if held is None or p.held is held]


def versions(reading):
    return {s.name: s.bundle.sha256 for s in reading.desired.services}


def test_pools_of_all_stacks_are_one_desired_state_in_the_order_of_their_prices(world):
    world.put(of(a_pool("aws", 2.0)), of(a_pool("azure", 1.0)))
    reading = world.read()
    assert ids(reading) == ["azure", "aws"]
    assert (reading.frozen, reading.waits) == (None, ())


def test_what_home_says_of_the_other_cloud_s_pools_does_not_count(world):
    world.put(of(a_pool("aws"), a_pool("azure", 0.1)), of(a_pool("azure", 5.0)))
    assert [p.prices.spot for p in world.read().desired.pools] == [1.0, 5.0]


def test_before_the_other_stack_is_up_its_cloud_has_no_pools_and_that_is_said(world):
    world.put(of(a_pool("aws")))
    reading = world.read()
    assert ids(reading) == ["aws"]
    assert reading.frozen is None
    assert (
        "azure: nothing is launched there: desired/prod-azure.json is not in the state bucket"
        in reading.waits[0]
    )


@pytest.mark.parametrize("damage", [b"{", b'{"schema": 2}', None])
def test_a_fragment_that_can_t_be_read_holds_its_own_pools_only(world, damage):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    world.read()
    if damage is None:
        asyncio.run(world.azure.delete("desired/prod-azure.json"))
    else:
        world.put(azure=damage)
    reading = world.read()
    assert (ids(reading, held=True), ids(reading, held=False)) == (["azure"], ["aws"])
    assert reading.frozen is None
    world.put(azure=of(a_pool("azure")))
    assert ids(world.read(), held=True) == []


def test_another_process_still_knows_the_pools_of_a_fragment_that_is_gone(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    last = world.read().desired
    asyncio.run(world.azure.delete("desired/prod-azure.json"))
    world.again(last)
    assert ids(world.read(), held=True) == ["azure"]


def test_home_that_can_t_be_read_freezes_everything(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    before = world.read().desired
    world.put(home=b"{")
    reading = world.read()
    assert reading.frozen is not None
    assert reading.desired == before


def test_a_new_version_waits_until_every_cloud_that_runs_the_service_has_it(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    world.read()
    world.put(home=of(a_pool("aws"), version=NEW, generation="g2"))
    reading = world.read()
    assert versions(reading) == {"chat": OLD}
    assert reading.waits == ("chat: its new version waits for the stack of azure",)
    assert reading.coming == {OLD, NEW}, "neither archive may be cleared up meanwhile"
    world.put(azure=of(a_pool("azure"), version=NEW))
    assert versions(world.read()) == {"chat": NEW}
    assert world.read().waits == ()


def test_a_version_that_only_the_other_stack_has_yet_is_not_begun(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    world.read()
    world.put(azure=of(a_pool("azure"), version=NEW))
    assert versions(world.read()) == {"chat": OLD}


def test_a_service_without_pools_in_the_other_cloud_waits_for_nobody(world):
    both = ("chat", "code")
    world.put(
        of(a_pool("aws"), a_pool("aws", service="code"), services=both), of(a_pool("azure"), services=both)
    )
    world.read()
    home = of(a_pool("aws"), a_pool("aws", service="code"), services=both, version=NEW)
    world.put(home=home)
    assert versions(world.read()) == {"chat": OLD, "code": NEW}


def test_what_else_home_says_of_a_service_counts_at_once(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    world.read()
    more = of(a_pool("aws"), version=NEW)
    service = more.services[0].model_copy(
        update={"scaling": more.services[0].scaling.model_copy(update={"max_replicas": 9})}
    )
    world.put(home=more.model_copy(update={"services": (service,)}))
    assert world.read().desired.services[0].scaling.max_replicas == 9


def test_pools_of_a_service_that_home_no_longer_has_are_dropped(world):
    world.put(
        of(a_pool("aws")), of(a_pool("azure"), a_pool("azure", service="old"), services=("chat", "old"))
    )
    assert [p.id for p in world.read().desired.pools if p.service == "old"] == []


def test_each_content_has_a_generation_of_its_own_and_the_same_is_not_put_together_twice(world):
    world.put(of(a_pool("aws")), of(a_pool("azure")))
    first = world.read()
    assert world.read() is first
    assert first.desired.generation.startswith("g1-")
    world.put(azure=of(a_pool("azure", 3.0)))
    assert world.read().desired.generation != first.desired.generation


def test_an_environment_of_one_stack_is_as_home_says(tmp_path):
    bucket = open_bucket(f"file://{tmp_path}")
    asyncio.run(bucket.put("desired/prod.json", dump(of(a_pool("aws"))).encode()))
    reader = FragmentsReader(DesiredReader(bucket, "prod"), {}, None)
    assert asyncio.run(reader.read()).desired == of(a_pool("aws"))
