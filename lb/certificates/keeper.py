"""Keeps every certificate of the environment good: the controller's own, the edges', what callers see, one per pool.

They live in the secret stores, so a new controller finds what the one before issued. A store that does not answer costs
nobody anything for days: a leaf is renewed when a third of its life is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from lb.certificates.authority import Authority, Wish
from lb.certificates.renewal import LOOK_EVERY_S, renewed
from lb.certificates.stores import SecretStore
from lb.clock import Clock
from lb.clouds.protocol import DriverError
from lb.mutual import Mutual
from spec import certificates
from spec.certificates import Leaf, parse_leaf, pool_name, pool_owner
from spec.desired import Desired
from spec.errors import OutsideError
from spec.names import PoolKind, secret_name

log = structlog.get_logger(__name__)

STEP_EVERY_S = 5.0
"""A pool that was declared a moment ago waits for its leaf no longer than this."""
AGAIN_AFTER_S = 60.0
AT_ONCE = 8

OWN = Wish((certificates.CONTROLLER,), server=True, client=True)
EDGE = Wish((certificates.EDGE,), client=True)

Public = Callable[[Leaf | None, tuple[str, ...], float], Awaitable[Leaf | None]]
"""What callers are to see from now on, by what they see, the names and the time; None = it stays. Raises OutsideError."""


@dataclass(frozen=True, order=True)
class Place:
    """A secret, by cloud, owner and name."""

    cloud: str
    owner: str
    name: str


class Keeper:
    """`home`: the cloud of the controller's own secret. `edges`: clouds with edge hosts. `public`: None = the user's own."""

    def __init__(
        self,
        *,
        env: str,
        home: str,
        authority: Authority,
        stores: Mapping[str, SecretStore],
        edges: Collection[str],
        public: Public | None,
        clock: Clock,
    ) -> None:
        self._env = env
        self._own = Place(home, certificates.CONTROLLER_OWNER, certificates.LEAF)
        self._authority = authority
        self._stores = stores
        self._edges = sorted(edges)
        self._public = public
        self._clock = clock
        self._due: dict[Place, float] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def begin(self) -> Mutual:
        """The controller's own certificate. While its store is away it is one that nobody keeps, issued for now."""
        leaf = await self._look(self._own, OWN)
        return Mutual(leaf or self._authority.issue(OWN, self._clock.now()))

    async def run(self, mutual: Mutual, desired: Callable[[], Desired | None]) -> None:
        """For ever. `desired`: of this leader; None while somebody else leads or nothing is known."""
        while True:
            await asyncio.sleep(STEP_EVERY_S)
            try:
                await self.step(mutual, desired())
            except Exception:  # the outermost loop: certificates are good for days
                log.exception("certificates could not be looked at")

    async def step(self, mutual: Mutual, desired: Desired | None) -> None:
        """Looks at each that is due."""
        if self._is_due(self._own) and (leaf := await self._look(self._own, OWN)):
            mutual.show(leaf)
        if desired is None:
            return
        wishes = dict(self._wishes(desired))
        due = [place for place in sorted(wishes) if self._is_due(place)]
        await asyncio.gather(*(self._look(place, wishes[place]) for place in due))
        await self._look_at_public(desired)
        kept = {*wishes, *self._public_places(), self._own}
        self._due = {place: at for place, at in self._due.items() if place in kept}

    def _wishes(self, desired: Desired) -> Iterable[tuple[Place, Wish]]:
        for cloud in self._edges:
            yield Place(cloud, certificates.EDGE_OWNER, certificates.LEAF), EDGE
        for pool in desired.pools:
            if pool.kind is PoolKind.VM and pool.cloud in self._stores:
                wish = Wish((pool_name(pool.id),), server=True)
                yield Place(pool.cloud, pool_owner(pool.id), certificates.LEAF), wish

    def _public_places(self) -> list[Place]:
        return (
            [Place(c, certificates.EDGE_OWNER, certificates.PUBLIC) for c in self._edges]
            if self._public
            else []
        )

    async def _look_at_public(self, desired: Desired) -> None:
        """One certificate for the edges of all clouds: issued once, written everywhere."""
        places, names = self._public_places(), public_names(desired)
        if self._public is None or not names or not any(self._is_due(p) for p in places):
            return
        try:
            found = [await self._read(place) for place in places]
            current = next(filter(None, found), None)
            new = await self._public(current, names, self._clock.now())
            for place, had in zip(places, found, strict=True):
                if new is not None or had is None:
                    await self._write(place, new or current)
        except (DriverError, OutsideError) as e:
            self._failed(places, e)
        else:
            self._looked(places)

    async def _look(self, place: Place, wish: Wish) -> Leaf | None:
        """The leaf as it is afterwards; None when its store did not answer."""
        async with self._slots:
            try:
                leaf = await self._read(place)
                new = renewed(leaf, self._authority, wish, self._clock.now())
                if new is not None:
                    await self._write(place, new)
            except DriverError as e:
                self._failed([place], e)
                return None
        self._looked([place])
        return new or leaf

    async def _read(self, place: Place) -> Leaf | None:
        return parse_leaf(await self._stores[place.cloud].read(self._called(place)) or "")

    async def _write(self, place: Place, leaf: Leaf | None) -> None:
        if leaf is not None:
            await self._stores[place.cloud].write(self._called(place), leaf.model_dump_json())
            log.info("certificate issued", cloud=place.cloud, owner=place.owner, name=place.name)

    def _called(self, place: Place) -> str:
        return secret_name(place.cloud, self._env, place.owner, place.name)

    def _is_due(self, place: Place) -> bool:
        return self._clock.monotonic() >= self._due.get(place, 0.0)

    def _looked(self, places: Iterable[Place]) -> None:
        self._due |= dict.fromkeys(places, self._clock.monotonic() + LOOK_EVERY_S)

    def _failed(self, places: Iterable[Place], error: Exception) -> None:
        for place in places:
            self._due[place] = self._clock.monotonic() + AGAIN_AFTER_S
            log.warning("a certificate can't be kept", cloud=place.cloud, owner=place.owner, error=str(error))


def public_names(desired: Desired) -> tuple[str, ...]:
    """The hosts under which callers know the edges."""
    hosts = (urlsplit(edge.endpoint).hostname for edge in desired.edges)
    return tuple(sorted({host for host in hosts if host}))


def own_ca(authority: Authority) -> Public:
    """What callers see is issued by the environment's own authority, which they are given."""

    async def public(leaf: Leaf | None, names: tuple[str, ...], now: float) -> Leaf | None:
        return renewed(leaf, authority, Wish(names, server=True), now)

    return public
