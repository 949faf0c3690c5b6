"""The election: at every moment at most one process may act, whatever clocks and processes do."""

import asyncio

import pytest

from lb.bucket import BucketError, open_bucket
from lb.lease import Holder, Lease, LeaseLost, LeaseUnsure, known_dead, this_process
from tests.lb.clock import FakeClock

HERE = "this-machine"


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


def a_lease(bucket, clock, name, dead=()):
    return Lease(bucket, clock, me=Holder(HERE, 1, name), dead=lambda holder: holder.start_time in dead)


async def may_act(lease):
    try:
        await lease.confirm(outlast_s=5)
    except (LeaseLost, LeaseUnsure):
        return False
    return True


def test_the_first_one_leads_and_the_second_waits(bucket):
    async def story():
        clock = FakeClock()
        one, two = a_lease(bucket, clock, "one"), a_lease(bucket, clock, "two")
        assert await one.acquire()
        assert not await two.acquire()
        assert await may_act(one)
        assert not await may_act(two)

    asyncio.run(story())


def test_the_first_epoch_tells_when_the_stack_began_whoever_leads_now(bucket):
    async def story():
        clock = FakeClock()
        one, two = a_lease(bucket, clock, "one"), a_lease(bucket, clock, "two")
        assert await one.first_epoch() is None
        await one.acquire()
        began = int(clock.now())
        assert await one.first_epoch() == one.epoch == began
        clock.pass_(1000)
        await one.release()
        await two.acquire()
        assert await two.first_epoch() == began < two.epoch

    asyncio.run(story())


def test_of_many_that_start_together_one_leads(bucket):
    async def story():
        clock = FakeClock()
        leases = [a_lease(bucket, clock, str(n)) for n in range(20)]
        won = await asyncio.gather(*(lease.acquire() for lease in leases))
        assert won.count(True) == 1

    asyncio.run(story())


def test_a_leader_that_renews_stays_the_leader(bucket):
    async def story():
        clock = FakeClock()
        one, two = a_lease(bucket, clock, "one"), a_lease(bucket, clock, "two")
        await one.acquire()
        for _ in range(100):
            clock.pass_(3)
            await one.renew_if_due()
            assert not await two.acquire()
            assert await may_act(one)

    asyncio.run(story())


def test_a_leader_that_falls_silent_is_followed_only_after_it_can_no_longer_act(bucket):
    async def story():
        clock = FakeClock()
        one, two = a_lease(bucket, clock, "one"), a_lease(bucket, clock, "two")
        await one.acquire()
        first = one.epoch
        while not await two.acquire():
            clock.pass_(0.5)
        assert one.expired
        assert two.epoch == first + 1
        assert not await may_act(one)

    asyncio.run(story())


def test_a_dead_leader_of_this_machine_is_followed_at_once(bucket):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        await one.acquire()
        two = a_lease(bucket, clock, "two", dead={"one"})
        assert await two.acquire()
        assert two.epoch == one.epoch + 1

    asyncio.run(story())


def test_a_lease_that_is_given_back_is_free_at_once(bucket):
    async def story():
        clock = FakeClock()
        one, two = a_lease(bucket, clock, "one"), a_lease(bucket, clock, "two")
        await one.acquire()
        await one.release()
        assert one.epoch is None
        assert await two.acquire()

    asyncio.run(story())


@pytest.mark.parametrize("jump", [-1e6, 3600, 1e9])
def test_a_clock_that_is_set_never_lets_two_act(bucket, jump):
    async def story():
        holders, challengers = FakeClock(), FakeClock()
        one, two = a_lease(bucket, holders, "one"), a_lease(bucket, challengers, "two")
        await one.acquire()
        for step in range(40):
            if step == 5:
                holders.set(holders.wall + jump)
            if step == 10:
                challengers.set(challengers.wall - jump)
            for clock in (holders, challengers):
                clock.pass_(1)
            await one.renew_if_due()
            assert not await two.acquire()
            assert await may_act(one)

    asyncio.run(story())


def test_what_has_expired_is_not_renewed_but_taken_anew(bucket):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        await one.acquire()
        first = one.epoch
        clock.pass_(60)
        await one.renew_if_due()
        assert not await may_act(one)
        assert await one.acquire()
        assert one.epoch == first + 1
        assert await may_act(one)

    asyncio.run(story())


def test_a_leader_learns_of_its_successor_before_its_next_call(bucket):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        await one.acquire()
        await a_lease(bucket, clock, "two", dead={"one"}).acquire()
        with pytest.raises(LeaseLost, match=r"epoch \d+ ended"):
            await one.confirm(outlast_s=1)
        assert one.epoch is None

    asyncio.run(story())


def test_a_call_that_could_outlast_the_lease_is_not_made(bucket):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        await one.acquire()
        clock.pass_(12)
        await one.confirm(outlast_s=5)
        with pytest.raises(LeaseUnsure):
            await one.confirm(outlast_s=10)

    asyncio.run(story())


def test_a_torn_lease_file_counts_as_held_until_it_has_not_changed_for_long(bucket):
    async def story():
        clock = FakeClock()
        await bucket.put("lease/00000007.json", b'{"epoch": 7, "hol')
        two = a_lease(bucket, clock, "two")
        assert not await two.acquire()
        clock.pass_(30)
        assert await two.acquire()
        assert two.epoch == 8

    asyncio.run(story())


def test_a_renewal_that_fails_does_not_end_the_lease_before_its_time(bucket, monkeypatch):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        await one.acquire()
        clock.pass_(4)

        async def full(path, data):
            raise BucketError("disk full")

        monkeypatch.setattr(bucket, "put", full)
        with pytest.raises(BucketError):
            await one.renew_if_due()
        assert await may_act(one)

    asyncio.run(story())


def test_epochs_go_on_growing_after_the_bucket_was_thrown_away(tmp_path):
    async def story():
        clock = FakeClock()
        before = a_lease(open_bucket(f"file://{tmp_path / 'one'}"), clock, "one")
        for _ in range(5):
            await before.acquire()
            clock.pass_(30)
        after = a_lease(open_bucket(f"file://{tmp_path / 'two'}"), clock, "one")
        await after.acquire()
        assert after.epoch > before.epoch

    asyncio.run(story())


def test_two_that_begin_together_with_different_clocks_want_the_same_epoch(bucket):
    async def story():
        clocks = [FakeClock(now=1_800_000_000.0 + n * 86400) for n in range(5)]
        leases = [a_lease(bucket, clock, str(n)) for n, clock in enumerate(clocks)]
        won = await asyncio.gather(*(lease.acquire() for lease in leases))
        assert won.count(True) == 1
        assert len([o for o in await bucket.objects("lease") if o.path != "lease/00000000.json"]) == 1

    asyncio.run(story())


def test_old_epochs_are_cleaned_up(bucket):
    async def story():
        clock = FakeClock()
        one = a_lease(bucket, clock, "one")
        for _ in range(60):
            await one.acquire()
        assert len(await bucket.objects("lease")) <= 25

    asyncio.run(story())


def test_this_process_is_not_dead_and_one_of_another_machine_can_not_be_judged():
    me = this_process()
    assert not known_dead(me)
    assert known_dead(Holder(me.host, me.pid, "another start"))
    assert not known_dead(Holder("elsewhere", me.pid, "another start"))
