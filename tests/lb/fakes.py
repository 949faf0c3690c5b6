"""A cloud driver that records its calls and does as a test says."""

import asyncio

from lb.clouds.protocol import Instance, InstancePhase, PoolObservation


class FakeDriver:
    """Keeps machines in memory. `next_error` is raised once; `answers` holds calls back while it is cleared."""

    refills = False

    def __init__(self, *, address="127.0.0.1", ports=()):
        self.machines = {}
        self.calls = []
        self.next_error = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.ports = list(ports)
        self._address = address

    async def _turn(self, *call):
        self.calls.append(call)
        await self.answers.wait()
        if self.next_error is not None:
            error, self.next_error = self.next_error, None
            raise error

    async def observe(self, pools):
        await self._turn("observe")
        return [
            PoolObservation(
                p.id,
                len(self.machines.get(p.id, ())),
                tuple(self.machines.get(p.id, {}).values()),
                prices=p.prices,
            )
            for p in pools
        ]

    async def set_size(self, pool, size):
        await self._turn("set_size", pool.id, size)
        machines = self.machines.setdefault(pool.id, {})
        while len(machines) < size:
            port, agent_port = self.ports.pop(0) if self.ports else (None, None)
            name = f"i-{len(self.calls)}-{len(machines)}"
            machines[name] = Instance(name, InstancePhase.RUNNING, self._address, port, agent_port, 0.0)

    async def terminate(self, pool, instance_id):
        await self._turn("terminate", pool.id, instance_id)
        self.machines.get(pool.id, {}).pop(instance_id, None)

    async def prices(self, pools):
        return {p.id: p.prices for p in pools}

    async def quotas(self):
        return {}
