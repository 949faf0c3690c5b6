"""What a tick means for the metrics: gauges of what is, counters of what happened between two memories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lb.act.executor import NOT_SENT
from lb.decide import Decision, Memory, Observed
from lb.metrics import Metrics
from spec.desired import Desired
from spec.status import ReplicaState, ServiceStatus, SpendStatus


def measure_state(
    metrics: Metrics, services: Sequence[ServiceStatus], *, usd_hour: float, spend: SpendStatus | None
) -> None:
    """Sets what is; services and pools that are no more have no value left."""
    for gauge in (
        metrics.replicas,
        metrics.desired,
        metrics.limits,
        metrics.rollout,
        metrics.usd_month_service,
    ):
        gauge.clear()
    for service in services:
        metrics.desired.labels(service.name).set(service.desired)
        for limit, value in (("min", service.min_replicas), ("max", service.max_replicas)):
            if value is not None:
                metrics.limits.labels(service.name, limit).set(value)
        if service.rollout is not None:
            metrics.rollout.labels(service.name, service.rollout.phase.value).set(1)
        if service.usd_month is not None:
            metrics.usd_month_service.labels(service.name).set(service.usd_month)
        counts = Counter((replica.pool, replica.state.value) for replica in service.replicas)
        for (pool_id, state), count in counts.items():
            metrics.replicas.labels(service.name, pool_id, state).set(count)
    metrics.usd_hour.set(usd_hour)
    metrics.usd_month.set(spend.usd if spend else 0)
    metrics.budget_month.set((spend.budget_usd if spend else None) or 0)
    metrics.exhausted.set(spend is not None and spend.exhausted is not None)


def count_events(
    metrics: Metrics, desired: Desired, observed: Observed, before: Memory, decision: Decision
) -> None:
    """Counts what happened since the decision before. What is only found again after a loss of memory did not happen."""
    service_of = {p.id: p.service for p in desired.pools}
    for command in decision.commands:
        metrics.commands.labels(service_of.get(command.pool_id, ""), command.call).inc()
    for outcome in observed.outcomes:
        if outcome.call == "set_size" and outcome.error not in (None, NOT_SENT):
            metrics.refused.labels(outcome.pool_id).inc()
    after = decision.memory
    for pool_id, pool in after.pools.items():
        earlier = before.pools.get(pool_id)
        if earlier is not None and pool.refusal_seen > earlier.refusal_seen:
            metrics.refused.labels(pool_id).inc()
    for replica_id, replica in after.replicas.items():
        known = before.replicas.get(replica_id)
        if known is None and before.pools:
            metrics.launched.labels(replica.pool_id).inc()
        if replica.preempt_at is not None and (known is None or known.preempt_at is None):
            metrics.notices.labels(replica.pool_id).inc()
        if replica.state is ReplicaState.FAILED and (known is None or known.state is not ReplicaState.FAILED):
            metrics.failed.labels(replica.service).inc()
    for replica_id, known in before.replicas.items():
        wanted = known.asked_at is not None or known.ended or known.state is ReplicaState.FAILED
        if replica_id not in after.replicas and not wanted:
            metrics.lost.labels(known.pool_id).inc()
