"""Who runs and who waits: a fixed number of slots and a queue in the order of arrival.

No clock, no asyncio, no I/O: `engine` drives it, and its tests try arbitrary orders of events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueFull(Exception):
    """There is no slot and no place in the queue for all of the given sequences."""


class Scheduler(Generic[K]):
    """Slots and queue of sequences, each known by a key.

    Args:
        max_num_seqs: how many may run at the same time.
        max_queue: how many may wait; None = no limit.

    """

    def __init__(self, *, max_num_seqs: int, max_queue: int | None = None) -> None:
        self._slots = max_num_seqs
        self._places = max_queue
        self._running: OrderedDict[K, None] = OrderedDict()
        self._waiting: OrderedDict[K, None] = OrderedDict()

    @property
    def running(self) -> tuple[K, ...]:
        """Who runs, in the order of starting."""
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[K, ...]:
        """Who waits, first the one that is next."""
        return tuple(self._waiting)

    def submit(self, keys: Sequence[K]) -> list[K]:
        """Takes all of them in, or none; returns those that run at once.

        Raises:
            QueueFull: when they do not all fit into free slots and the queue.

        """
        if self._places is not None:
            room = self._slots - len(self._running) + self._places - len(self._waiting)
            if len(keys) > room:
                raise QueueFull
        for key in keys:
            self._waiting[key] = None
        return self._start()

    def finish(self, key: K) -> list[K]:
        """Forgets one that runs or waits (an unknown one is fine); returns those that run now instead."""
        self._waiting.pop(key, None)
        self._running.pop(key, None)
        return self._start()

    def _start(self) -> list[K]:
        started = []
        while self._waiting and len(self._running) < self._slots:
            key, _ = self._waiting.popitem(last=False)
            self._running[key] = None
            started.append(key)
        return started
