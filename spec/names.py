"""Names that several rooms must build and read in the same way."""

from __future__ import annotations

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


def replica_id(*, cloud: str, region: str, instance: str) -> str:
    """`{cloud}:{region}:{instance}`; never an address, because addresses are used again."""
    return f"{cloud}:{region}:{instance}"
