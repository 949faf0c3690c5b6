"""The local cloud as it shows itself: its pools to the controller, and all of it to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from local import addresses
from local.conditions import State
from local.pools import Machine, PoolRecord, Refusal
from local.trace import Quote


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine as the cloud shows it.

    Attributes:
        launched_at: epoch seconds.
        ending: it has been told to end.
        preempt_at: epoch seconds of the announced kill; None when none is announced.

    """

    instance_id: str
    address: str
    port: int
    agent_port: int
    launched_at: float
    ending: bool
    preempt_at: float | None = None


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool at one moment. Prices in USD per hour and machine, None = unknown."""

    pool_id: str
    region: str
    zone: str
    market: str
    size: int
    max_size: int
    machines: tuple[MachineView, ...]
    refusals: tuple[Refusal, ...]
    spot: float | None
    on_demand: float | None


@dataclass(frozen=True, slots=True)
class ZoneView:
    """One zone at one moment. Prices in USD per hour and machine, None = unknown.

    Attributes:
        capacity: spot machines that it has now.
        override: the same, when it is not the trace that says so.
        spot_machines: how many of them run, those under notice included.

    """

    zone: str
    capacity: int
    override: int | None
    spot_machines: int
    spot: float | None
    on_demand: float | None


@dataclass(frozen=True, slots=True)
class CloudView:
    """The whole cloud at one moment. `position_s`: seconds of the trace that are over."""

    trace: str
    position_s: float
    speed: float
    notice_s: float
    zones: tuple[ZoneView, ...]
    pools: tuple[PoolView, ...]


def machine_view(instance_id: str, machine: Machine) -> MachineView:
    """The machine as the cloud knows it."""
    return MachineView(
        instance_id,
        addresses.HOST,
        machine.port,
        machine.agent_port,
        machine.launched_at,
        machine.ending_since is not None,
        machine.preempt_at,
    )


def pool_view(record: PoolRecord, quote: Quote) -> PoolView:
    """The pool at that quote of its zone."""
    declared = record.declaration
    machines = (machine_view(i, m) for i, m in record.machines.items())
    return PoolView(
        pool_id=declared.pool_id,
        region=declared.region,
        zone=declared.zone,
        market=declared.market,
        size=record.size,
        max_size=declared.max_size,
        machines=tuple(sorted(machines, key=lambda m: (m.launched_at, m.instance_id))),
        refusals=tuple(record.refusals),
        spot=quote.spot,
        on_demand=quote.on_demand,
    )


def cloud_view(
    state: State, records: Mapping[str, PoolRecord], quotes: Mapping[str, Quote], now: float
) -> CloudView:
    """Everything at one moment; `quotes` of all zones of the trace and of the pools."""
    opened = [r for r in records.values() if not r.closing]
    zones = (
        ZoneView(
            zone=zone,
            capacity=quote.capacity,
            override=state.capacity.get(zone),
            spot_machines=sum(len(r.staying()) for r in opened if r.spot and r.declaration.zone == zone),
            spot=quote.spot,
            on_demand=quote.on_demand,
        )
        for zone, quote in sorted(quotes.items())
    )
    return CloudView(
        trace=state.trace,
        position_s=state.position(now),
        speed=state.speed,
        notice_s=state.notice_s,
        zones=tuple(zones),
        pools=tuple(pool_view(r, quotes[r.declaration.zone]) for r in opened),
    )
