"""`assignments/<pool_id>.json`: which bundle the machines of a pool run, and which of them are one replica together.

Written here and read by their node agents, which know only the bucket of their own cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import structlog

from lb.bucket import Bucket, BucketError, ObjectNotFound, for_each
from lb.decide import Assign, AssignGangs
from lb.decide.observed import Assignment, Gang
from spec.names import cloud_of

log = structlog.get_logger(__name__)


class Assignments:
    """The assignments as they are in the bucket. Only the leader writes them, so one read of each is enough."""

    def __init__(self, bucket: Bucket, of_clouds: Mapping[str, Bucket] | None = None) -> None:
        """`bucket`: the state bucket; `of_clouds`: those of clouds whose machines read another one."""
        self._bucket = bucket
        self._of_clouds = of_clouds or {}
        self._known: dict[str, Assignment] = {}
        self._failing: set[str] = set()

    def forget(self) -> None:
        """Reads everything anew: somebody else may have written in the meantime."""
        self._known.clear()

    async def of(self, pool_ids: Iterable[str]) -> tuple[Assignment, ...]:
        """The assignments of those pools, without those of a cloud whose own bucket can't be read now.

        An assignment that can't be read is not an empty one. Raises BucketError when the state bucket fails.
        """
        pool_ids = tuple(pool_ids)
        await for_each(self._learn, (i for i in pool_ids if i not in self._known))
        return tuple(self._known[i] for i in pool_ids if i in self._known)

    async def apply(self, commands: Sequence[Assign | AssignGangs]) -> None:
        """Carries the commands out, each pool in one write. Raises BucketError."""
        of_pools: dict[str, list[Assign | AssignGangs]] = {}
        for command in commands:
            of_pools.setdefault(command.pool_id, []).append(command)
        await for_each(self._write, (changed(self._of(i), of_pool) for i, of_pool in of_pools.items()))

    def _of(self, pool_id: str) -> Assignment:
        return self._known.get(pool_id) or Assignment(pool_id)

    async def _write(self, assignment: Assignment) -> None:
        content = {
            "schema": 1,
            "pool_id": assignment.pool_id,
            "default": assignment.default,
            "instances": dict(sorted(assignment.instances.items())),
        }
        if assignment.gangs:
            content["gangs"] = [{"nodes": g.nodes, "ips": g.ips} for g in assignment.gangs]
        bucket = self._bucket_of(assignment.pool_id)
        await bucket.put(_path(assignment.pool_id), json.dumps(content, indent=1).encode())
        self._known[assignment.pool_id] = assignment

    async def _learn(self, pool_id: str) -> None:
        cloud = cloud_of(pool_id)
        try:
            self._known[pool_id] = await self._read(pool_id)
            self._failing.discard(cloud)
        except BucketError as e:
            if cloud not in self._of_clouds:
                raise
            if cloud not in self._failing:
                self._failing.add(cloud)
                log.warning("the bucket of a cloud can't be read", cloud=cloud, error=str(e))

    async def _read(self, pool_id: str) -> Assignment:
        try:
            content = json.loads(await self._bucket_of(pool_id).get(_path(pool_id)))
            gangs = tuple(Gang(tuple(g["nodes"]), tuple(g["ips"])) for g in content.get("gangs", ()))
            return Assignment(pool_id, content["default"], dict(content["instances"]), gangs)
        except ObjectNotFound:
            return Assignment(pool_id)
        except (ValueError, KeyError, TypeError) as e:
            log.warning("an assignment is unreadable and written anew", pool_id=pool_id, error=str(e))
            return Assignment(pool_id)

    def _bucket_of(self, pool_id: str) -> Bucket:
        return self._of_clouds.get(cloud_of(pool_id), self._bucket)


def changed(before: Assignment, commands: Sequence[Assign | AssignGangs]) -> Assignment:
    """The assignment of one pool after the commands.

    A new default comes with the names of all machines that keep another bundle, so others need not be named any more.
    """
    assigns = [c for c in commands if isinstance(c, Assign)]
    named = {c.instance_id: c.sha256 for c in assigns if c.instance_id is not None}
    defaults = [c.sha256 for c in assigns if c.instance_id is None]
    default = defaults[-1] if defaults else before.default
    instances = named if defaults else before.instances | named
    gangs = [c.gangs for c in commands if isinstance(c, AssignGangs)]
    return Assignment(
        before.pool_id,
        default,
        {i: s for i, s in instances.items() if s != default},
        gangs[-1] if gangs else before.gangs,
    )


def _path(pool_id: str) -> str:
    return f"assignments/{pool_id}.json"
