"""What a controller and a stack have written, for tests of the commands that read it."""

import time

from spec.desired import Bundle, Desired, Probe, Scaling, Service, dump
from spec.names import Market
from spec.status import (
    ControllerStatus,
    ReplicaState,
    ReplicaStatus,
    RolloutPhase,
    RolloutStatus,
    ServiceStatus,
    Status,
)

SHA, NEW = "a" * 64, "b" * 64


def a_replica(name="i-1", state=ReplicaState.READY, reason="", bundle=SHA):
    return ReplicaStatus(
        id=f"local:local-east:{name}",
        pool="chat.local.local-east-a.L4x1.spot",
        cloud="local",
        region="local-east",
        zone="local-east-a",
        market=Market.SPOT,
        accelerator="L4",
        state=state,
        since=time.time() - 100,
        bundle=bundle,
        usd_hour=0.2,
        reason=reason,
    )


def write(context, *replicas, **more):
    (context.state_dir / "status.json").write_text(a_status(*replicas, **more).model_dump_json())


def a_status(
    *replicas,
    endpoint="",
    desired=1,
    age_s=0.0,
    leader=True,
    lives=True,
    frozen=None,
    generation="g1",
    failures=0,
    traffic=None,
    spend=None,
    rollout=None,
    reasons=("12:00:00Z chat: 1 missing and nowhere to launch",),
    min_replicas=None,
):
    return Status(
        services=(
            ServiceStatus(
                name="chat",
                endpoint=endpoint,
                ready=sum(r.state is ReplicaState.READY for r in replicas),
                desired=desired,
                replicas=replicas,
                failures=failures,
                traffic=traffic,
                rollout=rollout,
                min_replicas=min_replicas,
            ),
        ),
        usd_hour=0.2,
        spend=spend,
        controller=ControllerStatus(alive=lives, leader=leader, last_tick_age_s=0.1, frozen=frozen),
        written_at=time.time() - age_s,
        generation=generation,
        reasons=reasons,
    )


def write_desired(context, sha256=SHA, initial_delay_s=60):
    desired = a_desired(sha256, initial_delay_s)
    path = context.state_dir / "desired" / "dev.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump(desired))
    return desired


def a_desired(sha256=SHA, initial_delay_s=60, env="dev", pools=()):
    bundle = Bundle(sha256=sha256, run="serve", port=8000)
    service = Service(
        name="chat",
        bundle=bundle,
        scaling=Scaling(min_replicas=1, max_replicas=1),
        probe=Probe(initial_delay_s=initial_delay_s),
    )
    return Desired(schema=1, env=env, generation="g1", services=(service,), pools=pools)


def a_rollout(phase=RolloutPhase.ROLLING, **changes):
    known = {"updated": 1, "total": 3, "started_at": time.time() - 30}
    return RolloutStatus(phase=phase, from_bundle=SHA, to_bundle=NEW, **(known | changes))
