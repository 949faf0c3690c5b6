"""What callers are told while no replica is ready: held or not, and when one should be there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.clouds.protocol import Instance, InstancePhase
from lb.controller.outlook import Situation, Starts, outlooks
from lb.decide.memory import Drain, Memory, PoolMemory, ReplicaMemory, ServiceMemory
from spec.desired import PoolState
from spec.snapshot import Endpoint
from spec.status import ReplicaState as S
from tests.lb.world import OLD, START, ZONES, a_desired, a_pool, a_service

COLD_S = 100.0


def sleeper(**more):
    service = a_service(replicas=0, most=2)
    scaling = service.scaling.model_copy(update={"target_qps_per_replica": 1.0, **more})
    return service.model_copy(update={"scaling": scaling})


def desired(service=None, **pool):
    pools = [a_pool(z).model_copy(update={"cold_start_s": COLD_S, **pool}) for z in ZONES[:2]]
    return a_desired([service or sleeper()], pools)


def replica(state=S.STARTING, *, age=0.0, since=None, pool=0, **more):
    """A replica whose machine was launched `age` seconds before START."""
    made = Instance(f"i-{age}", InstancePhase.RUNNING, "127.0.0.1", 1, 2, START - age)
    return ReplicaMemory(
        "chat", desired().pools[pool].id, made, state, START - (age if since is None else since), **more
    )


def memory(*replicas, pools=None, services=None):
    return Memory({f"r{n}": r for n, r in enumerate(replicas)}, pools or {}, services or {})


def outlook(mem=None, want=None, *, endpoints=(), target=0, frozen=None, starts=None, later=0.0):
    at = Situation(want or desired(), mem or Memory(), {"chat": target}, frozen, START + later)
    return outlooks(at, {"chat": endpoints}, starts or Starts())["chat"]


def endpoint(**more):
    return Endpoint(replica_id="r", address="127.0.0.1", port=1, **more)


def test_a_machine_from_a_clock_that_is_an_hour_ahead_takes_no_longer_than_a_new_one():
    ahead, new = (outlook(memory(replica(S.STARTING, age=a, since=0.0)), target=1) for a in (-3600.0, 0.0))
    assert ahead.retry_after_s == new.retry_after_s


class TestHold:
    def test_a_service_at_zero_holds(self):
        assert outlook().hold

    def test_it_holds_while_it_comes_up_and_while_its_last_replica_drains(self):
        assert outlook(memory(replica(S.STARTING)), target=1).hold
        assert outlook(
            memory(replica(S.DRAINING, drain=Drain.LEAVE)), endpoints=[endpoint(draining=True)]
        ).hold

    def test_it_does_not_while_there_is_an_endpoint(self):
        assert not outlook(memory(replica(S.READY)), endpoints=[endpoint(), endpoint(draining=True)]).hold

    @pytest.mark.parametrize(
        "service",
        [sleeper(min_replicas=1), sleeper(max_replicas=0), sleeper(target_qps_per_replica=None)],
        ids=["never-at-zero", "never-more", "never-moves"],
    )
    def test_what_no_request_brings_back_does_not_hold(self, service):
        assert not outlook(want=desired(service)).hold

    def test_nobody_waits_for_what_is_frozen_unless_it_is_on_its_way(self):
        assert not outlook(frozen="no desired state").hold
        assert outlook(memory(replica(S.STARTING)), frozen="no desired state").hold


class TestRetryAfter:
    def test_with_replicas_it_never_changes(self):
        ready = memory(replica(S.READY))
        found = {outlook(ready, endpoints=[endpoint()], later=t).retry_after_s for t in range(100)}
        assert found == {10}

    @pytest.mark.parametrize(
        "service", [sleeper(max_replicas=0), a_service(replicas=0)], ids=["most-0", "replicas-0"]
    )
    def test_of_a_service_that_is_declared_to_have_no_replica_it_is_the_longest(self, service):
        assert outlook(want=desired(service)).retry_after_s == 900

    def test_at_zero_it_is_a_whole_start(self):
        assert outlook().retry_after_s == 105  # 100, in steps of 15

    def test_the_eldest_start_counts_down(self):
        coming = memory(replica(S.PENDING, age=30), replica(S.STARTING, age=10))
        assert outlook(coming).retry_after_s == 75
        assert outlook(coming, later=20).retry_after_s == 50
        assert outlook(coming, later=69).retry_after_s == 5

    def test_a_start_that_is_late_may_take_as_long_again(self):
        assert outlook(memory(replica(S.STARTING, age=140))).retry_after_s == 40
        assert outlook(memory(replica(S.STARTING, age=99.9))).retry_after_s == 5

    def test_a_machine_that_was_asked_for_and_is_not_there_yet_counts_from_then(self):
        awaited = {desired().pools[0].id: PoolMemory(awaiting=1, asked_at=START - 60)}
        assert outlook(memory(pools=awaited)).retry_after_s == 40

    def test_another_bundle_on_an_old_machine_counts_from_when_it_got_it(self):
        assert outlook(memory(replica(S.STARTING, age=9000, since=60))).retry_after_s == 40
        update = replica(S.DRAINING, age=9000, since=5, drain=Drain.UPDATE)
        assert outlook(memory(update)).retry_after_s == 105

    def test_a_replica_that_may_recover_is_hoped_for_and_a_liar_is_not(self):
        assert outlook(memory(replica(S.UNREADY, age=9000))).retry_after_s == 5
        assert outlook(memory(replica(S.UNREADY, age=9000, lied=True))).retry_after_s > 60

    def test_while_every_place_cools_down_it_is_at_least_the_time_until_the_next_attempt(self):
        first, second = (p.id for p in desired().pools)
        cooling = {first: PoolMemory(not_before=START + 500), second: PoolMemory(not_before=START + 200)}
        assert outlook(memory(pools=cooling), target=1).retry_after_s == 300
        assert outlook(memory(pools={first: cooling[first]}), target=0).retry_after_s == 105

    def test_after_failures_in_a_row_it_includes_the_time_for_which_launches_wait(self):
        failed = {"chat": ServiceMemory(OLD, failures=3, not_before=START + 40)}
        assert outlook(memory(services=failed), target=1).retry_after_s == 150

    def test_what_is_wanted_and_still_not_launched_takes_a_while(self):
        assert outlook(target=1).retry_after_s == 165

    def test_without_a_place_or_while_frozen_a_number_is_told_all_the_same(self):
        retiring = desired(state=PoolState.RETIRING)
        assert outlook(want=retiring).retry_after_s == 60
        assert outlook(frozen="why").retry_after_s == 300

    def test_it_stays_within_bounds(self):
        assert outlook(want=desired(cold_start_s=0)).retry_after_s == 5
        assert outlook(want=desired(cold_start_s=50_000)).retry_after_s == 900

    @pytest.mark.parametrize(("cold", "most"), [(60, 13), (300, 30), (900, 42)])
    def test_the_edges_are_told_in_steps(self, cold, most):
        coming = memory(replica(S.STARTING, age=0))
        told = {outlook(coming, desired(cold_start_s=cold), later=t).retry_after_s for t in range(cold)}
        assert len(told) <= most


class TestStarts:
    def started(self, starts, took, *, rid="r0", before=S.STARTING):
        was = replica(before, age=took, since=min(took, 5))
        now = replace(was, state=S.READY, since=START)
        starts.learn(desired(), Memory({rid: was}), Memory({rid: now}))

    def test_what_starts_really_took_is_told_next_time(self):
        starts = Starts()
        for took in (20, 22, 140):
            self.started(starts, took)
        assert starts.usual_s(desired().pools[0]) == 22
        assert outlook(starts=starts).retry_after_s == 25
        assert starts.usual_s(desired().pools[1]) == COLD_S

    def test_only_the_last_few_count(self):
        starts = Starts()
        for took in (900, 900, 900, 10, 10, 10, 10, 10):
            self.started(starts, took)
        assert starts.usual_s(desired().pools[0]) == 10

    @pytest.mark.parametrize("before", [S.UNREADY, S.READY])
    def test_a_recovery_is_no_start(self, before):
        starts = Starts()
        self.started(starts, 20, before=before)
        assert starts.usual_s(desired().pools[0]) == COLD_S

    def test_an_update_on_the_same_machine_is_no_start(self):
        starts = Starts()
        self.started(starts, 9000)
        assert starts.usual_s(desired().pools[0]) == COLD_S


replicas = st.builds(
    replica,
    st.sampled_from([S.PENDING, S.STARTING, S.READY, S.UNREADY, S.FAILED]),
    age=st.floats(0, 10_000),
    since=st.none() | st.floats(0, 10_000),
    pool=st.sampled_from([0, 1]),
    lied=st.booleans(),
    ended=st.booleans(),
)


@given(
    st.lists(replicas, max_size=4),
    st.sampled_from(["", "frozen"]),
    st.integers(0, 3),
    st.floats(0, 5000),
    st.floats(0, 1000),
)
def test_whatever_is_on_its_way_the_estimate_is_within_bounds_and_in_steps(
    coming, frozen, target, cold, not_before
):
    pools = {p.id: PoolMemory(not_before=START + not_before) for p in desired().pools}
    found = outlook(
        memory(*coming, pools=pools), desired(cold_start_s=cold), target=target, frozen=frozen or None
    )
    assert 5 <= found.retry_after_s <= 900
    assert found.retry_after_s % 5 == 0
