"""A renewal takes what prices choose, and drops a pool only when the controller has been told to drain it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from planner.planner import plan
from planner.renewal import Deployed, renewed
from spec.clouds import CLOUDS
from spec.desired import PoolState
from spec.lock import SCHEMA, Lock, LockedHost, LockedPool
from tests.planner.test_lock import TODAY, TWO_POOLS, a_service, lock_of, pool, table

FILES = {"svc": "services/svc.yaml"}
NOBODY_KNOWS = Deployed(unknown=dict.fromkeys(CLOUDS, "log in"))


def deployed(lock, *, but=()):
    """As an update with that lock leaves it."""
    return Deployed({i: p.state for i, p in lock.pools.items() if i not in but})


def held(*zones, **more):
    """With the file of the service."""
    return lock_of(*zones, **more).model_copy(update={"files": FILES})


def renewal(old, catalog=TODAY, *, services=None, files=None, hosts=None, known=None):
    fresh = plan(services or [a_service()], catalog, TWO_POOLS, env="prod")
    if known is None:
        known = deployed(old) if old else Deployed()
    return renewed(old, fresh, files=files or FILES, hosts=hosts or {}, deployed=known)


def zones_of(found):
    return {i.split(".")[2]: p.state.value for i, p in found.lock.pools.items()}


def test_a_first_lock_takes_what_prices_choose():
    found = renewal(None)
    assert zones_of(found) == {"use1-az1": "active", "usw2-az1": "active"}
    assert found.changes == (
        "+ svc: services/svc.yaml",
        f"+ {pool('use1-az1')}",
        f"+ {pool('usw2-az1')}",
    )
    assert found.lock.pools[pool("use1-az1")].usd_hour == 0.1
    assert found.lock.files == FILES


def test_a_pool_leaves_in_two_steps_with_an_update_between_them():
    before = held("use1-az1", "usw2-az2")
    first = renewal(before)
    assert zones_of(first) == {"use1-az1": "active", "usw2-az1": "active", "usw2-az2": "retiring"}
    assert f"~ {pool('usw2-az2')}: retiring; the controller drains it" in first.changes
    second = renewal(first.lock, known=deployed(first.lock))
    assert zones_of(second) == {"use1-az1": "active", "usw2-az1": "active"}
    assert second.changes == (f"- {pool('usw2-az2')}: it was deployed as retiring",)
    assert renewal(second.lock).changes == ()


def test_a_second_renewal_without_an_update_drops_nothing_and_says_why():
    before = held("use1-az1", "usw2-az2")
    first = renewal(before)
    again = renewal(first.lock, known=deployed(before))
    assert (again.lock, again.changes) == (first.lock, ())
    assert again.notes == ("1 pool stays retiring: no update has told the controller yet",)


def test_where_nobody_knows_what_is_deployed_nothing_is_dropped():
    first = renewal(held("use1-az1", "usw2-az1"), table(use1_az2=0.1, usw2_az2=0.1), known=NOBODY_KNOWS)
    again = renewal(first.lock, table(use1_az2=0.1, usw2_az2=0.1), known=NOBODY_KNOWS)
    assert again.lock == first.lock
    assert again.notes == (
        "2 pools stay retiring: whether an update has told the controller is not known here: log in",
    )


def test_a_cloud_that_can_t_be_asked_holds_only_its_own_pools():
    there = "svc.gcp.us-central1-a.L4x1.spot"
    gone = {i: LockedPool(instance_types=("x",), state=PoolState.RETIRING) for i in (there, pool("usw2-az2"))}
    old = Lock(schema=SCHEMA, pools={**lock_of("use1-az1").pools, **gone})
    known = Deployed({pool("usw2-az2"): PoolState.RETIRING}, {"gcp": "stack prod-gcp: error: no access"})
    found = renewal(old, known=known)
    assert there in found.lock.pools
    assert pool("usw2-az2") not in found.lock.pools


def test_what_was_never_deployed_goes_at_once():
    found = renewal(held("use1-az1", "usw2-az2"), known=Deployed())
    assert zones_of(found) == {"use1-az1": "active", "usw2-az1": "active"}
    assert f"- {pool('usw2-az2')}: it is not deployed" in found.changes


def test_a_retiring_pool_that_is_wanted_again_stays():
    found = renewal(held("usw2-az1", retiring=["use1-az1"]))
    assert zones_of(found) == {"use1-az1": "active", "usw2-az1": "active"}
    assert found.changes == (f"+ {pool('use1-az1')}: no longer retiring",)


def test_a_new_price_alone_changes_nothing_in_the_file():
    before = renewal(None).lock
    dearer = table(use1_az1=0.11, use1_az2=0.2, usw2_az1=0.31, usw2_az2=0.4)
    assert renewal(before, dearer).lock == before


def test_other_instance_types_are_said():
    lines = renewal(held("use1-az1", "usw2-az1", types=("g6.2xlarge",))).changes
    assert f"~ {pool('use1-az1')}: g6.2xlarge => g6.xlarge" in lines


def test_a_pool_whose_price_is_gone_retires_like_any_other():
    before = held("use1-az1", "usw2-az2")
    first = renewal(before, table(use1_az1=0.1, usw2_az1=0.3))
    assert zones_of(first)["usw2-az2"] == "retiring"


def test_a_service_that_is_removed_leaves_in_two_steps_and_its_file_is_named_until_then():
    both = renewal(
        None, services=[a_service(), a_service("old")], files={**FILES, "old": "services/old.yaml"}
    )
    first = renewal(both.lock)
    assert {p.state for i, p in first.lock.pools.items() if i.startswith("old.")} == {PoolState.RETIRING}
    assert first.lock.files == {**FILES, "old": "services/old.yaml"}
    waits = renewal(first.lock, known=deployed(both.lock))
    assert waits.lock == first.lock
    second = renewal(first.lock, known=deployed(first.lock))
    assert {i.partition(".")[0] for i in second.lock.pools} == {"svc"}
    assert second.lock.files == FILES
    assert "- old: services/old.yaml is no longer needed" in second.changes


def test_a_service_that_comes_back_is_served_where_it_was():
    services, files = [a_service(), a_service("old")], {**FILES, "old": "services/old.yaml"}
    both = renewal(None, services=services, files=files)
    first = renewal(both.lock)
    assert renewal(first.lock, services=services, files=files).lock == both.lock


def test_a_file_that_moved_is_said():
    found = renewal(held("use1-az1", "usw2-az1"), files={"svc": "services/new.yaml"})
    assert found.changes == ("~ svc: services/svc.yaml => services/new.yaml",)


def test_a_pool_that_is_deployed_and_lost_its_line_is_said():
    known = deployed(held("use1-az1", "usw2-az1", "usw2-az2", retiring=["use1-az2"]))
    found = renewal(held("use1-az1", "usw2-az1"), known=known)
    assert found.notes == (
        f"{pool('usw2-az2')} is deployed and has no line: put it back (git has it), so that it can retire",
    )


def test_a_host_that_moves_is_said_with_what_that_means():
    here = LockedHost(cloud="aws", region="us-east-1", zone="use1-az1", instance_type="t3.small")
    moved = here.model_copy(update={"zone": "use1-az2"})
    away = LockedHost(cloud="gcp", region="us-central1", zone="us-central1-a", instance_type="e2-small")
    old = Lock(schema=SCHEMA, hosts={"controller": here, "edge-1": here, "edge-2": here, "gone": here})
    now = {
        "controller": moved,
        "edge-1": away,
        "edge-2": here.model_copy(update={"instance_type": "m7i.large"}),
        "new": here,
    }
    lines = [line for line in renewal(old, hosts=now).changes if "L4" not in line and "yaml" not in line]
    assert lines == [
        "~ controller: aws/us-east-1/use1-az1 t3.small => aws/us-east-1/use1-az2 t3.small: another machine",
        (
            "~ edge-1: aws/us-east-1/use1-az1 t3.small => gcp/us-central1/us-central1-a e2-small: another machine with "
            "another address"
        ),
        "~ edge-2: aws/us-east-1/use1-az1 t3.small => aws/us-east-1/use1-az1 m7i.large: its machine stops and changes its type",
        "- gone: aws/us-east-1/use1-az1 t3.small: its machine and its address go",
        "+ new: aws/us-east-1/use1-az1 t3.small",
    ]


class Environment(RuleBasedStateMachine):
    """Any order of new prices, services that come and go, renewals, updates, failed look-ups and edits by hand."""

    @initialize()
    def first(self):
        self.services, self.catalog, self.lock = ["svc"], TODAY, None
        self.deployed = {}
        self.renew(knows=True)

    @rule(prices=st.lists(st.floats(0.01, 0.9), min_size=4, max_size=4))
    def reprice(self, prices):
        self.catalog = table(
            **dict(zip(("use1_az1", "use1_az2", "usw2_az1", "usw2_az2"), prices, strict=True))
        )

    @rule(names=st.sampled_from([["svc"], ["svc", "old"], ["old"]]))
    def choose_services(self, names):
        self.services = names

    @rule(data=st.data())
    def retire_by_hand(self, data):
        """A line is set to `retiring`, as the docs allow."""
        pool_id = data.draw(st.sampled_from(sorted(self.lock.pools)))
        line = self.lock.pools[pool_id].model_copy(update={"state": PoolState.RETIRING})
        self.lock = self.lock.model_copy(update={"pools": {**self.lock.pools, pool_id: line}})

    @rule(knows=st.booleans())
    def renew(self, knows):
        fresh = plan([a_service(n) for n in self.services], self.catalog, TWO_POOLS, env="prod")
        files = {n: f"services/{n}.yaml" for n in self.services}
        known = Deployed(dict(self.deployed)) if knows else NOBODY_KNOWS
        found = renewed(self.lock, fresh, files=files, hosts={}, deployed=known)
        self.lock = found.lock
        again = renewed(self.lock, fresh, files=files, hosts={}, deployed=known)
        assert again.lock == found.lock, "the same once more"
        assert again.changes == ()

    @rule()
    def update(self):
        """What an update with this lock declares, and deletes."""
        now = {i: p.state for i, p in self.lock.pools.items()}
        for pool_id in set(self.deployed) - set(now):
            assert self.deployed[pool_id] is PoolState.RETIRING, f"{pool_id} is deleted and nobody drained it"
        self.deployed = now

    @invariant()
    def every_pool_of_a_service_that_left_has_a_file(self):
        assert self.lock is None or set(self.lock.with_pools) <= set(self.lock.files)


TestEnvironment = Environment.TestCase
TestEnvironment.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
