"""How many replicas of a service should be ready. Autoscaling has its place behind this function."""

from __future__ import annotations

from spec.desired import Service


def target_replicas(service: Service) -> int:
    """The service's fixed number of replicas."""
    return min(service.scaling.min_replicas, service.scaling.max_replicas)


def most_replicas(service: Service) -> int:
    """The number that is never exceeded, moves and updates included."""
    return service.scaling.max_replicas + service.scaling.surge
