"""Every certificate of an environment is there, and good, whatever its stores do for a while."""

import asyncio

from lb.certificates.authority import LIFE, first_cert, names_of
from lb.certificates.keeper import Keeper, own_ca
from lb.clouds.protocol import Unreachable
from spec.certificates import NOT_ISSUED, parse_leaf
from spec.desired import Edge
from spec.errors import OutsideError
from spec.names import PoolKind, secret_name
from tests.lb.certificates.authority import an_authority
from tests.lb.clock import FakeClock
from tests.lb.world import a_desired, a_pool

OURS = an_authority()
OWN_CA = own_ca(OURS)
POOLS = [
    a_pool(zone, cloud=cloud).model_copy(update={"kind": PoolKind.VM})
    for cloud, zone in (("aws", "use1-az1"), ("gcp", "us-central1-a"))
]
DESIRED = a_desired(pools=POOLS).model_copy(
    update={
        "edges": (
            Edge(id="one", endpoint="https://llm.example.com"),
            Edge(id="two", endpoint="https://10.1.2.3"),
        )
    }
)


class FakeStore:
    def __init__(self):
        self.values = {}
        self.calls = 0
        self.away = False

    async def read(self, name):
        self.calls += 1
        if self.away:
            raise Unreachable("no answer")
        return self.values.get(name, NOT_ISSUED)

    async def write(self, name, value):
        self.values[name] = value


class Environment:
    def __init__(self, public=OWN_CA):
        self.clock = FakeClock()
        self.stores = {"aws": FakeStore(), "gcp": FakeStore()}
        self.keeper = self.another(public)
        self.mutual = None

    def another(self, public=OWN_CA):
        return Keeper(
            env="prod",
            home="aws",
            authority=OURS,
            stores=self.stores,
            edges={"aws", "gcp"},
            public=public,
            clock=self.clock,
        )

    async def begin(self):
        self.mutual = await self.keeper.begin()
        await self.keeper.step(self.mutual, DESIRED)
        return self

    def leaf(self, cloud, owner, name="leaf"):
        return parse_leaf(self.stores[cloud].values.get(secret_name(cloud, "prod", owner, name), NOT_ISSUED))


def names(leaf):
    return names_of(first_cert(leaf))


def test_every_holder_gets_a_leaf_of_its_own_in_its_own_cloud():
    env = asyncio.run(Environment().begin())
    assert names(env.leaf("aws", "controller")) == {"controller.tradewind.internal"}
    for cloud in ("aws", "gcp"):
        assert names(env.leaf(cloud, "edge")) == {"edge.tradewind.internal"}
    for pool in POOLS:
        assert names(env.leaf(pool.cloud, f"pool-{pool.id}")) == {f"{pool.id}.tradewind.internal"}


def test_the_edges_of_all_clouds_show_callers_the_same_certificate():
    env = asyncio.run(Environment().begin())
    assert env.leaf("aws", "edge", "public") == env.leaf("gcp", "edge", "public")
    assert names(env.leaf("aws", "edge", "public")) == {"llm.example.com", "10.1.2.3"}


def test_nobody_is_asked_again_before_an_hour_has_gone_but_a_new_pool_is_served_at_once():
    async def story():
        env = await Environment().begin()
        calls = env.stores["aws"].calls
        await env.keeper.step(env.mutual, DESIRED)
        assert env.stores["aws"].calls == calls
        new = a_pool("use1-az2", cloud="aws").model_copy(update={"kind": PoolKind.VM})
        await env.keeper.step(env.mutual, DESIRED.model_copy(update={"pools": (*POOLS, new)}))
        assert env.leaf("aws", f"pool-{new.id}") is not None
        assert env.stores["aws"].calls == calls + 1

    asyncio.run(story())


def test_a_new_controller_issues_nothing_that_is_still_good():
    async def story():
        env = await Environment().begin()
        before = {name: dict(store.values) for name, store in env.stores.items()}
        keeper = env.another()
        await keeper.step(await keeper.begin(), DESIRED)
        assert {name: store.values for name, store in env.stores.items()} == before

    asyncio.run(story())


def test_all_are_renewed_when_a_third_of_their_life_is_left():
    async def story():
        env = await Environment().begin()
        before = {name: dict(store.values) for name, store in env.stores.items()}
        env.clock.pass_(0.67 * LIFE.total_seconds())
        await env.keeper.step(env.mutual, DESIRED)
        for cloud, values in before.items():
            assert all(env.stores[cloud].values[name] != value for name, value in values.items())

    asyncio.run(story())


def test_a_store_that_is_away_is_asked_again_a_minute_later_and_stops_no_other():
    async def story():
        env = Environment()
        env.stores["gcp"].away = True
        await env.begin()
        assert env.leaf("gcp", "edge") is None
        assert env.leaf("aws", "edge") is not None
        env.stores["gcp"].away = False
        await env.keeper.step(env.mutual, DESIRED)
        assert env.leaf("gcp", "edge") is None
        env.clock.pass_(60)
        await env.keeper.step(env.mutual, DESIRED)
        assert env.leaf("gcp", "edge") is not None
        assert env.leaf("gcp", "edge", "public") is not None

    asyncio.run(story())


def test_without_its_store_the_controller_begins_with_a_certificate_for_now():
    async def story():
        env = Environment()
        env.stores["aws"].away = True
        assert await env.keeper.begin() is not None

    asyncio.run(story())


def test_while_another_controller_leads_only_the_own_certificate_is_kept():
    async def story():
        env = Environment()
        await env.keeper.step(await env.keeper.begin(), None)
        assert env.leaf("aws", "controller") is not None
        assert env.leaf("aws", "edge") is None

    asyncio.run(story())


def test_an_issuer_of_public_certificates_that_fails_stops_nothing_else():
    async def refuses(leaf, names, now):
        raise OutsideError("the authority is away")

    env = asyncio.run(Environment(public=refuses).begin())
    assert env.leaf("aws", "edge") is not None
    assert env.leaf("aws", "edge", "public") is None


def test_edges_whose_certificate_is_the_users_own_get_none():
    env = asyncio.run(Environment(public=None).begin())
    assert env.leaf("aws", "edge", "public") is None
