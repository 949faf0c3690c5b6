"""`tradewind:local:Process`: a program that runs on after the update that started it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from pulumi.runtime.rpc import UNKNOWN

from local.plugin import ports
from local.plugin.fields import Failure, Field, Type, unknown
from local.plugin.readiness import hangs, log_size, wait_ready
from local.plugin.resource import CancelledError, OperationError, Properties
from local.processes import KINDS, NAME, Entry, Launch, ProcessError, Registry

_SPEC = "spec"
"""Key of the entry's meta: hash of what the process was started from, so that a repeated create can adopt it."""
_RUNS_FROM = ("kind", "argv", "env", "cwd", "log", "codeHash", "readyUrl", "listens")
_CANCEL_GRACE_S = 2.0


class Process:
    """A change of what it runs from restarts it; one that is dead or hangs shows as a change of `pid`."""

    token: ClassVar[str] = "tradewind:local:Process"  # noqa: S105  a type's name
    outputs: ClassVar[dict[str, Type]] = {"pid": "integer", "startTime": "string"}
    delete_first: ClassVar[bool] = True
    fields: ClassVar[tuple[Field, ...]] = (
        Field("home", "string", required=True, replaces=True),
        Field("name", "string", required=True, replaces=True),
        Field("kind", "string", required=True, choices=KINDS),
        Field("argv", "list", required=True),
        Field("env", "map", default={}),
        Field("cwd", "string", required=True),
        Field("log", "string", required=True),
        Field("codeHash", "string", default=""),
        Field("readyUrl", "string", default=""),
        Field("readyTimeoutS", "number", default=20, minimum=0.1),
        Field("graceS", "number", default=5, minimum=0),
        Field("listens", "list", default=[]),
        Field("portConfigKey", "string", default=""),
    )

    def check(self, inputs: Properties) -> list[Failure]:
        """Names, addresses, and that no other program has one of the ports."""
        found = [
            Failure(name, problem) for name, problem in _problems(inputs) if not unknown(inputs.get(name))
        ]
        if found or unknown([inputs.get(name) for name in ("home", "readyUrl", "listens")]):
            return found
        registry = Registry(Path(inputs["home"]))
        foreign = [a for a in _addresses(inputs) if ports.taken(a) and ports.owner(a, registry) is None]
        if foreign and registry.get(inputs["name"]) is None and registry.anything_runs(inputs["name"]):
            return []  # its entry was lost: it is found by its marker, and ended before the port is needed
        return [
            Failure(_addresses(inputs)[address], ports.complaint(address, inputs["portConfigKey"]))
            for address in foreign
        ]

    def identify(self, inputs: Properties) -> str:
        """Unique within a stack's home."""
        return inputs["name"]

    def preview(self, inputs: Properties) -> Properties:
        """The pid is known only after the start."""
        return {**inputs, "pid": UNKNOWN, "startTime": UNKNOWN}

    def drift(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """A process that is dead, that hangs, or that the state does not know (a killed update left it)."""
        entry = _living(outputs)
        if entry is None:
            return {"pid": "delete"}
        sound = _identity(entry) == _identity_in(outputs) and not _hangs(entry, outputs)
        return {} if sound else {"pid": "update"}

    def ensure(self, inputs: Properties, cancelled: Event) -> Properties:
        """Adopts a process that runs from the same inputs and answers; ends any other of that name and starts this one."""
        registry, log = Registry(Path(inputs["home"])), Path(inputs["log"])
        launch = _launch(inputs)
        try:
            entry = registry.get(launch.name)
            same = entry is not None and entry.meta.get(_SPEC) == launch.meta[_SPEC]
            if entry is None or not same or not registry.alive(entry) or _hangs(entry, inputs):
                registry.end(launch.name, inputs["graceS"])
                _require_free(inputs, registry)
            if cancelled.is_set():
                raise CancelledError(f"{launch.name} was about to start")
            start = log_size(log)
            entry = registry.launch(launch)
            try:
                wait_ready(
                    entry,
                    url=inputs["readyUrl"],
                    timeout_s=inputs["readyTimeoutS"],
                    log=log,
                    log_start=start,
                    cancelled=cancelled,
                )
            except OperationError:
                registry.end(launch.name, min(inputs["graceS"], _CANCEL_GRACE_S))
                raise
        except ProcessError as e:
            raise OperationError(str(e)) from e
        return {**inputs, **_identity(entry)}

    def read(self, outputs: Properties) -> Properties | None:
        """A dead process is gone: its leftovers are ended by the next create of that name, or by a sweep."""
        entry = _living(outputs)
        return None if entry is None else {**outputs, **_identity(entry)}

    def delete(self, outputs: Properties) -> None:
        """Ends the process and all that it started."""
        try:
            Registry(Path(outputs["home"])).end(outputs["name"], outputs.get("graceS", 5))
        except ProcessError as e:
            raise OperationError(str(e)) from e


def _problems(inputs: Properties) -> list[tuple[str, str]]:
    found = []
    if not NAME.fullmatch(inputs["name"]):
        found.append(("name", f"can't be {inputs['name']!r}: letters, digits, `.`, `_`, `-`, at most 100"))
    found += [
        (name, f"must be an absolute path, got {inputs[name]!r}")
        for name in ("home", "cwd", "log")
        if not Path(inputs[name]).is_absolute()
    ]
    if not inputs["argv"]:
        found.append(("argv", "is empty: it needs at least the program"))
    url = inputs["readyUrl"]
    if url and ports.address_of(url) is None:
        found.append(("readyUrl", f"must be an http:// URL with a host, got {url!r}"))
    found += [
        ("listens", f"must be host:port, got {address!r}")
        for address in inputs["listens"]
        if ports.split(address) is None
    ]
    return found


def _addresses(inputs: Properties) -> dict[str, str]:
    """Where the process will listen: address -> the input that says so."""
    found = dict.fromkeys(sorted(inputs["listens"]), "listens")
    if ready := ports.address_of(inputs["readyUrl"]):
        found[ready] = "readyUrl"
    return found


def _require_free(inputs: Properties, registry: Registry) -> None:
    for address in _addresses(inputs):
        if ports.taken(address):
            ours = ports.owner(address, registry)
            if ours is None:
                raise OperationError(ports.complaint(address, inputs["portConfigKey"]))
            raise OperationError(
                f"{inputs['name']} can't listen on {address}: process {ours} of this stack does"
            )


def _launch(inputs: Properties) -> Launch:
    runs_from = json.dumps([inputs[name] for name in _RUNS_FROM], sort_keys=True)
    meta = {
        _SPEC: hashlib.sha256(runs_from.encode()).hexdigest(),
        ports.LISTENS: " ".join(_addresses(inputs)),
    }
    return Launch(
        name=inputs["name"],
        kind=inputs["kind"],
        argv=tuple(inputs["argv"]),
        env=inputs["env"],
        cwd=inputs["cwd"],
        log=inputs["log"],
        meta=meta,
    )


def _living(outputs: Mapping[str, Any]) -> Entry | None:
    registry = Registry(Path(outputs["home"]))
    entry = registry.get(outputs["name"])
    return entry if entry is not None and registry.alive(entry) else None


def _hangs(entry: Entry, properties: Mapping[str, Any]) -> bool:
    return hangs(entry, url=properties["readyUrl"], grace_s=properties["readyTimeoutS"])


def _identity(entry: Entry) -> Properties:
    return {"pid": entry.pid, "startTime": entry.start_time}


def _identity_in(outputs: Mapping[str, Any]) -> Properties:
    return {name: outputs.get(name) for name in Process.outputs}
