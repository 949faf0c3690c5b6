import pytest

from lb.decide.observed import Health, ProbeState
from lb.observe.traffic import Traffic
from spec.report import EdgeReport, ReplicaTraffic
from tests.lb.clock import FakeClock

HEALTHY = Health("r1", bundle="a", probe=ProbeState.OK)


class Rig:
    def __init__(self):
        self.clock = FakeClock()
        self.traffic = Traffic(self.clock.monotonic)
        self.seq = 0
        self.counts = {}

    def more(self, ok=0, failed=0, edge="e1", replica="r1", seconds=1):
        """That many more requests of the replica, told a second later."""
        self.clock.pass_(seconds)
        self.seq += 1
        before = self.counts.get((edge, replica), (0, 0))
        now = self.counts[edge, replica] = (before[0] + ok, before[1] + failed)
        told = ReplicaTraffic(replica_id=replica, ok=now[0], failed=now[1])
        self.traffic.take(EdgeReport(edge_id=edge, boot="b", seq=self.seq, replicas=(told,)))

    def lies(self, health=HEALTHY):
        [found] = self.traffic.with_lies([health])
        return found.lies


@pytest.fixture
def rig():
    made = Rig()
    made.more()
    made.more(edge="e2")
    return made


def test_five_failures_that_are_half_of_all_are_told_in_words(rig):
    rig.more(ok=2, failed=7)
    assert rig.lies() == "7 of 9 requests failed in the last 30 s"


@pytest.mark.parametrize(("ok", "failed"), [(0, 4), (6, 5), (100, 50), (0, 0)])
def test_few_failures_or_less_than_half_are_no_lie(rig, ok, failed):
    rig.more(ok=ok, failed=failed)
    assert rig.lies() == ""


def test_failures_at_several_edges_and_moments_add_up(rig):
    for _ in range(2):
        rig.more(failed=1, edge="e1")
        rig.more(failed=2, edge="e2")
    assert rig.lies() == "6 of 6 requests failed in the last 30 s"


def test_failures_that_are_long_ago_do_not_count(rig):
    rig.more(failed=4)
    for _ in range(6):
        rig.more(seconds=6)
    rig.more(failed=4)
    assert rig.lies() == ""


def test_what_a_controller_did_not_see_happen_is_no_lie():
    rig = Rig()
    rig.more(failed=100)
    assert rig.lies() == ""


def test_it_stands_unchanged_while_the_replica_gets_no_requests(rig):
    rig.more(failed=5)
    said = rig.lies()
    for _ in range(20):
        rig.more(seconds=10)
    assert rig.lies() == said != ""


def test_it_is_taken_back_when_the_replica_answers_well_again(rig):
    rig.more(failed=5)
    assert rig.lies()
    for _ in range(4):
        rig.more(seconds=10)
    rig.more(ok=4)
    assert rig.lies()
    rig.more(ok=1)
    assert rig.lies() == ""


def test_another_bundle_starts_with_a_clean_record(rig):
    rig.more(failed=5)
    assert rig.lies()
    other = Health("r1", bundle="b", probe=ProbeState.OK)
    assert rig.lies(other) == ""
    assert rig.lies(other) == ""


def test_it_is_given_another_chance_in_the_end(rig):
    rig.more(failed=5)
    assert rig.lies()
    rig.clock.pass_(901)
    assert rig.lies() == ""


def test_a_replica_that_is_gone_is_forgotten(rig):
    rig.more(failed=5)
    assert rig.traffic.with_lies([]) == ()
    assert rig.traffic._lies._found == rig.traffic._lies._lately == {}


def test_many_edges_that_tell_often_take_no_more_room_than_one(rig):
    for n in range(600):
        rig.more(ok=1, edge=f"e{n % 20}", seconds=0.1)
    [lately] = rig.traffic._lies._lately.values()
    assert len(lately.steps) <= 31
    assert 280 <= lately.ok <= 300
