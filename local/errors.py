"""What the local cloud refuses, with the names that clouds give it.

CloudError
├── PoolNotFound
├── ZoneNotFound
├── MachineNotFound
├── NoCapacity
└── OverMaximum
"""

from __future__ import annotations


class CloudError(Exception):
    """The local cloud can't do what was asked; the message says why."""


class PoolNotFound(CloudError):
    """Nobody declared that pool, or it is being deleted."""


class ZoneNotFound(CloudError):
    """The trace has no such zone."""


class MachineNotFound(CloudError):
    """No such machine, or none to which this can happen."""


class NoCapacity(CloudError):
    """The zone has not even one machine of those that were asked for; the size is what it was."""


class OverMaximum(CloudError):
    """More than the pool's `max_size`."""
