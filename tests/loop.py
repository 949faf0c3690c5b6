"""The event loop of tests that declare Pulumi resources without an engine.

Pulumi takes the thread's loop, and `asyncio.run` in another test leaves the thread without one. There is one for all
of them, kept until the end: a loop that nobody holds any more is a warning at some later moment, in whatever test runs then.
"""

from __future__ import annotations

import asyncio
import atexit
import functools


@functools.cache
def _loop():
    made = asyncio.new_event_loop()
    atexit.register(made.close)
    return made


def set_loop():
    """Gives this thread the loop."""
    asyncio.set_event_loop(_loop())
