"""Watching replicas: two small tasks for each ask its node agent and probe its engine, at their own pace.

A tick never waits for them; it reads what they found last. A change is told at once, so that a dead replica leaves the
edges without waiting for a tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import httpx

from lb.decide.observed import AgentState, EngineLoad, Health, ProbeState
from lb.observe.answers import MOST_BYTES, trouble_with
from lb.observe.http import named, origin, refused
from lb.observe.load import ask_engine, in_works
from lb.observe.node import NodeRefused, NodeSilent, ask_node, ask_node_over_tls, gpu_share, moment
from spec.desired import Probe

AGENT_EVERY_S = 0.5
AGENT_EVERY_MAX_S = 5.0
AGENTS_PER_S = 200.0
"""All agents together are asked at most this often, so that a large fleet does not need a core of its own."""
AGENT_TIMEOUT_S = 2.0
SILENT_AFTER = 3
PROBES_AT_ONCE = 256
FAST_S = 0.5
"""Between probes of an engine that is not ready: it gets its first request this soon after it is."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to ask one machine. Without an `agent_port` only the engine is asked; unless `probed`, only the agent.

    Of a gang only the head is probed: the engines of the others may serve nothing. `peer`: the name in the certificate
    that the machine has to show; None = it is asked without TLS. `loaded`, `gpus`: its service scales by what its engine, or
    its GPUs, do. `needed`: callers are sent there.
    """

    instance_id: str
    address: str
    port: int
    agent_port: int | None
    probe: Probe
    engine: str | None = None
    draining: bool = False
    probed: bool = True
    peer: str | None = None
    loaded: bool = False
    gpus: bool = False
    needed: bool = False


class Watcher:
    """Keeps a watch on every target and the last health of each."""

    def __init__(self, client: httpx.AsyncClient, on_change: Callable[[str], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)
        self._watches: dict[str, _Watch] = {}

    def follow(self, targets: Mapping[str, Target]) -> None:
        """Watches exactly these from now on, by replica id."""
        every_s = min(max(AGENT_EVERY_S, len(targets) / AGENTS_PER_S), AGENT_EVERY_MAX_S)
        for replica_id in self._watches.keys() - targets.keys():
            self._watches.pop(replica_id).stop()
        for replica_id, target in targets.items():
            watch = self._watches.get(replica_id)
            if watch is not None and watch.moved(target):
                watch.stop()
                watch = None
            if watch is None:
                watch = _Watch(self._client, self._slots, replica_id, target, self._on_change)
                self._watches[replica_id] = watch
            watch.aim(target, every_s)

    def health(self) -> tuple[Health, ...]:
        """What is known of every target, in the order of their ids."""
        return tuple(self._watches[i].health for i in sorted(self._watches))

    def engines(self) -> tuple[EngineLoad, ...]:
        """What those whose service scales by it tell of themselves, in the order of their ids."""
        found = ((i, self._watches[i]) for i in sorted(self._watches))
        return tuple(replace(w.load, replica_id=i) for i, w in found if w.target.loaded or w.target.gpus)

    def health_of(self, replica_id: str) -> Health | None:
        """What is known of that replica; None when it is not watched."""
        watch = self._watches.get(replica_id)
        return None if watch is None else watch.health

    async def close(self) -> None:
        """Ends every watch."""
        watches = list(self._watches.values())
        self._watches.clear()
        for watch in watches:
            watch.stop()
        await asyncio.gather(*(t for w in watches for t in w.tasks), return_exceptions=True)


class _Watch:
    """The two tasks of one replica."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        slots: asyncio.Semaphore,
        replica_id: str,
        target: Target,
        on_change: Callable[[str], None],
    ) -> None:
        self.target = target
        self.every_s = AGENT_EVERY_S
        self.health = Health(replica_id, AgentState.NONE if target.agent_port is None else AgentState.UNKNOWN)
        self.load = EngineLoad(replica_id)
        self._client = client
        self._slots = slots
        self._on_change = on_change
        self._misses = 0
        self._may_probe = asyncio.Event()
        self._urgent = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        if target.probed:
            self.tasks.append(asyncio.create_task(self._probe_forever()))
        if target.agent_port is not None:
            self.tasks.append(asyncio.create_task(self._ask_forever()))
        else:
            self._may_probe.set()

    def moved(self, target: Target) -> bool:
        """Whether the replica is to be asked at another address than before."""
        now, then = target, self.target
        return (now.address, now.port, now.agent_port, now.peer) != (
            then.address,
            then.port,
            then.agent_port,
            then.peer,
        )

    def aim(self, target: Target, every_s: float) -> None:
        """Asks as the target says from now on; whoever drains is asked at once whether it is idle."""
        if target.draining and not self.target.draining:
            self._urgent.set()
        self.target, self.every_s = target, every_s

    def stop(self) -> None:
        """Ends both tasks."""
        for task in self.tasks:
            task.cancel()

    # ------------------------------------------------------------ the agent

    async def _ask_forever(self) -> None:
        while True:
            try:
                node = await self._ask()
            except NodeRefused:
                self._agent_is(AgentState.REFUSED)
            except NodeSilent:
                self._miss()
            else:
                self._take(node)
            await asyncio.sleep(self.every_s)

    async def _ask(self) -> dict[str, object]:
        target = self.target
        assert target.agent_port is not None
        if target.peer is None:
            return await ask_node(
                target.address, target.agent_port, timeout_s=AGENT_TIMEOUT_S, gpus=target.gpus
            )
        return await ask_node_over_tls(
            self._client,
            target.address,
            target.agent_port,
            peer=target.peer,
            timeout_s=AGENT_TIMEOUT_S,
            gpus=target.gpus,
            needed=target.needed,
        )

    def _take(self, node: Mapping[str, object]) -> None:
        phase, bundle = node.get("phase"), node.get("bundle")
        if not isinstance(phase, str) or not isinstance(bundle, str | None):
            self._miss()
            return
        if node.get("instance_id") != self.target.instance_id:
            self._agent_is(AgentState.REFUSED)  # the address belongs to another machine now
            return
        self._misses = 0
        self.load = replace(self.load, gpu=gpu_share(node.get("gpu_utilization")))
        message = str(node.get("message") or "")
        new = replace(
            self.health,
            agent=AgentState.ANSWERS,
            phase=phase,
            bundle=bundle,
            message=message,
            preempt_at=moment(node.get("preempt_at")),
            leaving=node.get("leaving") is True,
        )
        if (phase, bundle) != (self.health.phase, self.health.bundle):  # another engine: ask it anew
            new = replace(new, probe=ProbeState.UNKNOWN, failures=0, detail="", in_flight=None)
            self._urgent.set()
        self._set(new)
        if phase == "running":
            self._may_probe.set()
        else:
            self._may_probe.clear()

    def _miss(self) -> None:
        self._misses += 1
        if self._misses >= SILENT_AFTER:
            self._agent_is(AgentState.SILENT)

    def _agent_is(self, state: AgentState) -> None:
        self._misses = 0
        self._set(replace(self.health, agent=state))

    # ------------------------------------------------------------ the engine

    async def _probe_forever(self) -> None:
        while True:
            await self._may_probe.wait()
            before = self.health
            async with self._slots:
                state, detail = await self._probe()
            asks = self.target.draining or self.target.loaded
            load = await self._load() if asks and state is ProbeState.OK else None
            if (before.phase, before.bundle) == (self.health.phase, self.health.bundle):
                self._probed(state, detail, load)
            pause = self.target.probe.interval_s if state is ProbeState.OK else FAST_S
            await self._sleep(min(pause, FAST_S) if self.target.draining else pause)

    async def _sleep(self, seconds: float) -> None:
        """Until the next probe is due, or something has made it urgent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()
        self._urgent.clear()

    async def _probe(self) -> tuple[ProbeState, str]:
        probe = self.target.probe
        url = origin(self.target.address, self.target.port, self.target.peer) + probe.path
        body = None if probe.method == "GET" or probe.body is None else json.dumps(probe.body).encode()
        headers = ({} if body is None else {"content-type": "application/json"}) | probe.headers
        try:
            async with (
                asyncio.timeout(probe.timeout_s),
                self._client.stream(
                    probe.method,
                    url,
                    headers=headers,
                    content=body,
                    timeout=None,
                    extensions=named(self.target.peer),
                ) as response,
            ):
                said = f"{probe.method} {probe.path} answers {response.status_code}"
                if not response.is_success:
                    return ProbeState.FAILING, said
                kind = response.headers.get("content-type", "")
                trouble = trouble_with(probe, kind, await _start_of(response))
                return (ProbeState.FAILING, f"{said} {trouble}") if trouble else (ProbeState.OK, "")
        except TimeoutError:
            return ProbeState.FAILING, f"{probe.method} {probe.path}: no answer within {probe.timeout_s:g} s"
        except httpx.TransportError as e:
            if refused(e):
                return ProbeState.REFUSED, f"nothing listens on port {self.target.port}"
            return ProbeState.FAILING, f"{probe.method} {probe.path}: the connection broke"
        except (httpx.InvalidURL, httpx.DecodingError, ValueError) as e:
            return ProbeState.FAILING, f"{probe.method} {probe.path}: {e}"

    async def _load(self) -> EngineLoad | None:
        t = self.target
        return await ask_engine(self._client, t.address, t.port, engine=t.engine, peer=t.peer)

    def _probed(self, state: ProbeState, detail: str, load: EngineLoad | None) -> None:
        told = load or EngineLoad("")
        self.load = replace(self.load, running=told.running, waiting=told.waiting, kv_cache=told.kv_cache)
        in_flight = in_works(load) if self.target.draining else None
        failures = 0
        if state is ProbeState.FAILING:
            failures = min(self.health.failures + 1, self.target.probe.failure_threshold)
        self._set(replace(self.health, probe=state, failures=failures, detail=detail, in_flight=in_flight))

    def _set(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._on_change(health.replica_id)


async def _start_of(response: httpx.Response) -> bytes:
    """The body, read to its end so that the connection can be used again; of a long one only the start."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            break
    return bytes(body)
