"""Slots and queue under arbitrary orders of arrivals, ends and cancellations."""

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.sim.scheduler import QueueFull, Scheduler


class AnyOrderOfEvents(RuleBasedStateMachine):
    """The model: everything accepted starts in the order of arrival, as soon as a slot is free."""

    @initialize(slots=st.integers(1, 4), places=st.none() | st.integers(0, 4))
    def start(self, slots, places):
        self.slots, self.places = slots, places
        self.scheduler = Scheduler(max_num_seqs=slots, max_queue=places)
        self.running: list[int] = []
        self.waiting: deque[int] = deque()
        self.next_key = 0

    @rule(count=st.integers(1, 6))
    def arrive(self, count):
        keys = range(self.next_key, self.next_key + count)
        self.next_key += count
        room = None
        if self.places is not None:
            room = self.slots - len(self.running) + self.places - len(self.waiting)
        if room is not None and count > room:
            with pytest.raises(QueueFull):
                self.scheduler.submit(keys)
            return
        self.waiting.extend(keys)
        assert self.scheduler.submit(keys) == self.started()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_that_runs_ends(self, data):
        key = data.draw(st.sampled_from(self.running))
        self.running.remove(key)
        assert self.scheduler.finish(key) == self.started()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_that_waits_goes_away(self, data):
        key = data.draw(st.sampled_from(list(self.waiting)))
        self.waiting.remove(key)
        assert self.scheduler.finish(key) == []

    @rule()
    def one_that_nobody_knows_ends(self):
        assert self.scheduler.finish(-1) == []

    @invariant()
    def it_agrees_with_the_model(self):
        assert list(self.scheduler.running) == self.running
        assert list(self.scheduler.waiting) == list(self.waiting)

    @invariant()
    def the_batch_is_never_too_large_and_nobody_waits_beside_a_free_slot(self):
        assert len(self.scheduler.running) <= self.slots
        assert not self.scheduler.waiting or len(self.scheduler.running) == self.slots

    def started(self):
        new = []
        while self.waiting and len(self.running) < self.slots:
            new.append(self.waiting.popleft())
            self.running.append(new[-1])
        return new


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
