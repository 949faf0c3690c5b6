"""The machines of the local cloud: each a process group, and a folder `<home>/machines/<instance_id>/`.

In the folder, `node.json` says who the machine is. `notice.json` appears when its preemption is announced: it stands for
the metadata endpoint that a cloud gives its machines, and only the machine's own agent reads it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from local import addresses
from local.files import read_json, write_json
from local.pools import Declaration, Machine
from local.processes import Launch, Registry, running

_OVERDUE_S = 15.0
"""A machine that is still there so long after its end began was left by somebody who was killed."""
_FOLDERS_KEPT = 20
"""Folders of machines that are gone, for a look at their logs."""


class Machines:
    """The machines of one home."""

    def __init__(self, home: Path, registry: Registry) -> None:
        self._folder = home / "machines"
        self._registry = registry

    def start(self, declared: Declaration, instance_id: str, machine: Machine) -> None:
        """Starts it and notes its pid. Raises ProcessError, OSError."""
        entry = self._registry.launch(self._prepare(declared, instance_id, machine))
        machine.pid, machine.start_time = entry.pid, entry.start_time

    def gone(self, machines: Mapping[str, Machine], now: float) -> list[str]:
        """Those of them that died, and those whose end somebody began and did not finish."""
        return [i for i, m in machines.items() if self._is_gone(i, m, now)]

    def found(self, pool_id: str) -> dict[str, Machine]:
        """Machines of a pool whose file was lost, as the registry and their folders know them."""
        entries = [e for e in self._registry.entries() if e.kind == "machine"]
        return {
            e.name: Machine(
                port=int(e.meta["port"]),
                agent_port=int(e.meta["agent_port"]),
                launched_at=e.launched_at,
                pid=e.pid,
                start_time=e.start_time,
                preempt_at=self._told(e.name),
            )
            for e in entries
            if e.meta.get("pool_id") == pool_id and self._registry.alive(e)
        }

    def tell(self, instance_id: str, machine: Machine) -> None:
        """Tells the machine when it will be killed, unless it was told before. Raises OSError."""
        notice = self._notice(instance_id)
        if not notice.exists():
            write_json(notice, {"schema": 1, "preempt_at": machine.preempt_at})

    def clear(self, instance_ids: Iterable[str], known: set[str]) -> None:
        """Throws away what machines that are gone worked on; their logs stay until many others are gone too."""
        for instance_id in instance_ids:
            shutil.rmtree(self._folder / instance_id / "work", ignore_errors=True)
        folders = [f for f in self._folder.glob("i-*") if f.name not in known]
        for folder in sorted(folders, key=_age)[:-_FOLDERS_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)

    def _is_gone(self, instance_id: str, machine: Machine, now: float) -> bool:
        if machine.ending_since is not None:
            return now > machine.ending_since + _OVERDUE_S
        if machine.pid is None:  # whoever launched it was killed before it could write the pid down
            entry = self._registry.get(instance_id)
            if entry is None:
                return True
            machine.pid, machine.start_time = entry.pid, entry.start_time
        return not running(machine.pid, machine.start_time or "")

    def _prepare(self, declared: Declaration, instance_id: str, machine: Machine) -> Launch:
        folder = self._folder / instance_id
        (folder / "work").mkdir(parents=True)
        place = {"pool_id": declared.pool_id, "zone": declared.zone, "region": declared.region}
        where = {"address": addresses.HOST, "port": machine.port, "agent_port": machine.agent_port}
        node = {
            "schema": 1,
            "cloud": "local",
            "instance_id": instance_id,
            "bucket": declared.bucket,
            "work_dir": str(folder / "work"),
            "log_dir": str(folder),
            "notice_file": str(self._notice(instance_id)),
            **place,
            **where,
        }
        write_json(folder / "node.json", node)
        return Launch(
            name=instance_id,
            kind="machine",
            argv=(*declared.argv, "--config", str(folder / "node.json")),
            env=declared.env,
            cwd=str(folder),
            log=str(folder / "log"),
            meta={key: str(value) for key, value in (place | where).items()},
        )

    def _notice(self, instance_id: str) -> Path:
        return self._folder / instance_id / "notice.json"

    def _told(self, instance_id: str) -> float | None:
        found = (read_json(self._notice(instance_id)) or {}).get("preempt_at")
        return found if isinstance(found, float) else None


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
