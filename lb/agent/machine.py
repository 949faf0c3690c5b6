"""A machine in a cloud, put together: who it is, and where its assignment, bundles, secrets and notices come from."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path

from lb.agent import assignment
from lb.agent.bucket import CloudBucket, Follower
from lb.agent.clouds.protocol import Cloud, CloudError, Identity
from lb.agent.config import CloudNode, NodeConfig
from lb.agent.secrets import StoreSecrets, called_in

_ACCELERATOR = re.compile(r"(nvidia|neuron)\d+")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`config`: with what the cloud knows. `leaf`: what its pool's certificate is called."""

    config: NodeConfig
    cloud: Cloud
    bucket: CloudBucket
    assignment: Follower
    secrets: StoreSecrets
    leaf: str


def open_cloud(node: CloudNode) -> Cloud:
    """Its cloud; nothing is asked yet."""
    return importlib.import_module(f"lb.agent.clouds.{node.cloud}").Cloud(node.store)


def identified(node: CloudNode, cloud: Cloud) -> Machine:
    """The machine, once its cloud says who it is. Raises CloudError, also for a machine of no pool."""
    who = cloud.identity()
    pool_id = node.pool_id or who.pool_id
    if pool_id is None:
        raise CloudError(
            f"the machine {who.instance_id} has no tag tradewind-pool, so it does not know its pool: "
            "it was not made by a group of this environment, or its metadata does not show tags"
        )
    bucket = CloudBucket(cloud.objects(node.bucket, place=node.store))
    follower = Follower(bucket, assignment.key(pool_id), limit=assignment.MAX_BYTES, every_s=node.poll_s)
    return Machine(
        config=_config(node, who, pool_id),
        cloud=cloud,
        bucket=bucket,
        assignment=follower,
        secrets=StoreSecrets(cloud.secret, cloud=node.cloud, env=node.env, service=node.service),
        leaf=called_in(node.cloud, node.env, f"pool-{pool_id}", "leaf"),
    )


def _config(node: CloudNode, who: Identity, pool_id: str) -> NodeConfig:
    return NodeConfig(
        cloud=node.cloud,
        region=who.region,
        zone=who.zone,
        pool_id=pool_id,
        instance_id=who.instance_id,
        address=who.private_address,
        port=None,
        agent_address="127.0.0.1",
        agent_port=node.agent_port,
        sidecar_port=node.sidecar.port,
        bucket=node.bucket,
        work_dir=node.work_dir,
        accelerator_count=accelerators(),
        containers=True,
        grace_s=node.grace_s,
        drain_s=node.drain_s,
    )


def accelerators(devices: Path = Path("/dev")) -> int | None:
    """How many the machine has, by their device files; None when there are none that this knows."""
    found = sum(_ACCELERATOR.fullmatch(path.name) is not None for path in devices.iterdir())
    return found or None
