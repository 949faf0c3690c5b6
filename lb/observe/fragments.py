"""The desired state of an environment that is several stacks: home's, and a fragment of each cloud with a stack of its own.

A fragment says which pools are declared in its cloud, and which version of each service its bucket has. One that can't be
read keeps what was known of its pools, and nothing is launched there. A new version of a service is taken up when every
cloud that runs it has it: a rollout that can't be finished is not begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lb.observe.desired import DesiredReader, DesiredReading
from spec.desired import Desired, Pool, Service, dump

Readings = Mapping[str, DesiredReading]
"""By cloud."""


class FragmentsReader:
    """Reads home and all fragments, and puts them together again when one of them has changed."""

    def __init__(
        self, home: DesiredReader, fragments: Mapping[str, DesiredReader], last: Desired | None
    ) -> None:
        """`last`: what was put together before this process."""
        self._home, self._fragments = home, fragments
        self._reading = DesiredReading(last, "the desired state was not read yet")
        self._seen: tuple[DesiredReading, ...] = ()

    async def read(self) -> DesiredReading:
        """The desired state of now; never raises."""
        home = await self._home.read()
        parts = {cloud: await reader.read() for cloud, reader in self._fragments.items()}
        seen = (home, *parts.values())
        if not parts:
            return home
        if seen != self._seen:
            self._seen = seen
            self._reading = together(home, parts, self._reading.desired)
        return self._reading


def together(home: DesiredReading, parts: Readings, last: Desired | None) -> DesiredReading:
    """One desired state of home and its fragments. `last`: the one before, which stays where something is missing."""
    if home.desired is None or home.frozen is not None:
        return replace(home, desired=last)
    waits = [f"{cloud}: nothing is launched there: {r.frozen}" for cloud, r in parts.items() if r.frozen]
    pools = [*(p for p in home.desired.pools if p.cloud not in parts), *_pools(parts, last)]
    names = {s.name for s in home.desired.services}
    known = {s.name: s for s in last.services} if last is not None else {}
    services = []
    for service in home.desired.services:
        behind = _behind(service, parts, pools)
        services.append(_kept(service, known.get(service.name)) if behind else service)
        if behind:
            waits.append(f"{service.name}: its new version waits for the stack of {' and '.join(behind)}")
    whole = home.desired.model_copy(
        update={
            "services": tuple(services),
            "pools": tuple(sorted((p for p in pools if p.service in names), key=_rank)),
        }
    )
    digest = hashlib.sha256(dump(whole).encode()).hexdigest()[:8]
    named = whole.model_copy(update={"generation": f"{whole.generation}-{digest}"})
    return DesiredReading(named, None, tuple(waits), _bundles(home.desired, parts))


def _pools(parts: Readings, last: Desired | None) -> Iterable[Pool]:
    for cloud, reading in parts.items():
        if reading.desired is not None and reading.frozen is None:
            yield from (p for p in reading.desired.pools if p.cloud == cloud)
        elif last is not None:
            yield from (p.model_copy(update={"held": True}) for p in last.pools if p.cloud == cloud)


def _rank(pool: Pool) -> tuple[float, str]:
    """Pools of one stack come in the planner's order, which is by price."""
    price = pool.price_usd_hour
    return (float("inf") if price is None else price / pool.capacity_units, pool.id)


def _behind(service: Service, parts: Readings, pools: Iterable[Pool]) -> list[str]:
    """Clouds that run the service and whose fragment names another version of it, or can't be read."""
    used = {p.cloud for p in pools if p.service == service.name}
    return [
        cloud
        for cloud, reading in parts.items()
        if cloud in used
        and reading.desired is not None
        and _version(reading.desired, service) != service.bundle.sha256
    ]


def _version(of: Desired, service: Service) -> str | None:
    return next((s.bundle.sha256 for s in of.services if s.name == service.name), None)


def _kept(service: Service, before: Service | None) -> Service:
    """Everything of now but the version; there is none before in a new environment, so then it is taken at once."""
    return service if before is None else service.model_copy(update={"bundle": before.bundle})


def _bundles(home: Desired, parts: Readings) -> frozenset[str]:
    wholes = [home, *(r.desired for r in parts.values() if r.desired is not None)]
    return frozenset(s.bundle.sha256 for whole in wholes for s in whole.services)
