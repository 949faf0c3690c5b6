"""Leafs are renewed in time, and a new authority takes over while everybody believes everybody."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.certificates.authority import LIFE, Authority, Wish, authorities, first_cert, names_of
from lb.certificates.renewal import BELIEVED_AFTER_S, LOOK_EVERY_S, renewed
from spec.certificates import Leaf
from spec.errors import InputError
from tests.lb.certificates.authority import an_authority, authority_pems

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START.timestamp()
OURS = an_authority(at=START)
NEXT = an_authority(at=START, name="Tradewind test, the second")
WISH = Wish(("chat.aws.use1-az1.A100-80GBx2.on_demand.tradewind.internal",), server=True)
LIFE_S = LIFE.total_seconds()
READ_WITHIN_S = 600.0


def cert(leaf):
    return first_cert(leaf)


def test_a_leaf_that_was_never_issued_is_issued_with_its_name_for_thirty_days():
    leaf = renewed(None, OURS, WISH, NOW)
    assert names_of(cert(leaf)) == set(WISH.names)
    assert cert(leaf).not_valid_after_utc == START + timedelta(days=30)
    assert leaf.ca == OURS.pem


def test_it_stays_for_two_thirds_of_its_life_and_is_then_issued_anew_with_another_key():
    leaf = renewed(None, OURS, WISH, NOW)
    assert renewed(leaf, OURS, WISH, NOW + 0.66 * LIFE_S - 3600) is None
    after = renewed(leaf, OURS, WISH, NOW + 0.67 * LIFE_S)
    assert cert(after).public_key() != cert(leaf).public_key()


def test_other_names_are_reason_for_another_leaf():
    leaf = renewed(None, OURS, Wish(("llm.example.com",), server=True), NOW)
    assert renewed(leaf, OURS, Wish(("10.0.0.1", "llm.example.com"), server=True), NOW) is not None


@pytest.mark.parametrize(
    "damage", [{"cert": "no PEM"}, {"key": "no PEM"}, {"key": OURS.issue(WISH, NOW).key}]
)
def test_a_damaged_leaf_and_one_with_another_key_is_issued_anew(damage):
    leaf = renewed(None, OURS, WISH, NOW).model_copy(update=damage)
    assert renewed(leaf, OURS, WISH, NOW) is not None


def test_a_new_authority_is_believed_first_and_issues_later():
    leaf = renewed(None, OURS, WISH, NOW)
    believed = renewed(leaf, NEXT, WISH, NOW + 1)
    assert (believed.cert, believed.key) == (leaf.cert, leaf.key)
    assert len(authorities(believed.ca)) == 2
    assert renewed(believed, NEXT, WISH, NOW + BELIEVED_AFTER_S) is None
    issued = renewed(believed, NEXT, WISH, NOW + 1 + BELIEVED_AFTER_S)
    assert NEXT.issued(cert(issued))
    assert len(authorities(issued.ca)) == 2
    last = renewed(issued, NEXT, WISH, NOW + LIFE_S)
    assert last.ca == NEXT.pem


def test_a_leaf_that_has_ended_does_not_wait_for_a_new_authority_to_be_believed():
    leaf = renewed(None, OURS, WISH, NOW)
    assert NEXT.issued(cert(renewed(leaf, NEXT, WISH, NOW + LIFE_S + 1)))


class Machine:
    """Shows and believes what it read last, some minutes after it was written."""

    def __init__(self, wish):
        self.wish = wish
        self.secret = None
        self.read = None

    def accepts(self, other, now):
        at, shown = datetime.fromtimestamp(now, UTC), cert(other.read)
        valid = shown.not_valid_before_utc <= at < shown.not_valid_after_utc
        return valid and any(_issued(a, shown) for a in authorities(self.read.ca))


def _issued(authority, shown):
    try:
        shown.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_whenever_machines_are_looked_at_and_read_nobody_refuses_anybody_through_a_change_of_authority(data):
    replica = Machine(WISH)
    edge = Machine(Wish(("edge.tradewind.internal",), client=True))
    machines = (replica, edge)
    change = NOW + data.draw(st.floats(0.2, 1.2)) * LIFE_S
    phases = [data.draw(st.floats(0, LOOK_EVERY_S)) for _ in machines]
    lags = [data.draw(st.floats(0, READ_WITHIN_S)) for _ in machines]
    for machine in machines:
        machine.secret = machine.read = renewed(None, OURS, machine.wish, NOW)
    looks = int(2.2 * LIFE_S / LOOK_EVERY_S)
    events = sorted(
        (NOW + turn * LOOK_EVERY_S + phases[i] + (lags[i] if read else 0), i, read)
        for turn in range(looks)
        for i in range(2)
        for read in (False, True)
    )
    for now, i, read in events:
        machine = machines[i]
        if read:
            changed, machine.read = machine.read is not machine.secret, machine.secret
            if changed:
                assert replica.accepts(edge, now)
                assert edge.accepts(replica, now)
        else:
            new = renewed(machine.secret, OURS if now < change else NEXT, machine.wish, now)
            machine.secret = new or machine.secret
    assert all(m.read.ca == NEXT.pem and NEXT.issued(cert(m.read)) for m in machines)


def test_a_leaf_never_outlives_its_authority():
    short = an_authority(at=START, years=0.01)
    assert cert(short.issue(WISH, NOW)).not_valid_after_utc <= START + timedelta(days=3.66)


def test_a_key_of_another_authority_is_refused():
    with pytest.raises(InputError, match="not that of its certificate"):
        Authority(cert=authority_pems()[0], key=authority_pems()[1])
    with pytest.raises(InputError, match="is not PEM"):
        Authority(cert="", key="")


def test_a_leaf_holds_no_authority_that_is_not_pem():
    assert authorities("") == []
    assert first_cert(Leaf(cert="", key="")) is None
