"""Names that several rooms must build and read in the same way."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum


class Market(StrEnum):
    """How a machine is bought."""

    SPOT = "spot"
    ON_DEMAND = "on_demand"
    RESERVED = "reserved"


class PoolKind(StrEnum):
    """What a pool consists of, and so which driver serves it."""

    VM = "vm"
    DEPLOYMENT = "deployment"
    MANAGED = "managed"
    EXTERNAL = "external"
    PROCESS = "process"


def pool_id(*, service: str, cloud: str, place: str, accelerator: str, count: int, market: Market) -> str:
    """`{service}.{cloud}.{zone or region}.{accelerator}x{count}.{market}`.

    The id is stable: it names the pool in Pulumi, in the state bucket and in every log line.
    """
    return f"{service}.{cloud}.{place}.{accelerator}x{count}.{market}"


def cloud_of(pool_id: str) -> str:
    """The cloud of a pool, by its id."""
    return pool_id.split(".")[1]


def edge_id(cloud: str, region: str) -> str:
    """`edge-{cloud}-{region}`: an edge of a real cloud."""
    return f"edge-{cloud}-{region}"


def cloud_of_edge(edge: str) -> str:
    """The cloud of an edge, by its id."""
    return edge.split("-")[1] if "-" in edge else ""


def replica_id(*, cloud: str, region: str, instance: str) -> str:
    """`{cloud}:{region}:{instance}`; never an address, because addresses are used again."""
    return f"{cloud}:{region}:{instance}"


def cloud_name(env: str, what: str, *, limit: int = 63) -> str:
    """`tw-{env}-{what}-{hash}` in the letters that every cloud allows: a-z, 0-9 and `-`, at most `limit` of them.

    The hash is of what was given, so that two names which differ only in letters that a cloud does not have, or beyond
    its limit, stay two names.
    """
    digest = hashlib.sha256(f"{env}/{what}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", f"tw-{env}-{what}".lower()).strip("-")
    return f"{slug[: limit - len(digest) - 1].rstrip('-')}-{digest}"


def secret_name(cloud: str, env: str, owner: str, name: str) -> str:
    """The name of a secret in its cloud's store. `owner`: whose identity may read it, for instance `service-chat`.

    AWS has paths; GCP and Azure allow fewer letters, and Azure has no underscore. No environment and no service has one, so
    in GCP what a name begins with tells whose it is, as a path does: rights are given so.
    """
    if cloud == "aws":
        return f"tradewind/{env}/{owner}/{name}"
    between, others = ("-", r"[^0-9A-Za-z-]") if cloud == "azure" else ("_", r"[^0-9A-Za-z_-]")
    return re.sub(others, between, between.join(("tradewind", env, owner, name)))
