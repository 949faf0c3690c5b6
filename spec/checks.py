"""What is wrong with a service file across several fields, or by what it leaves out.

Works on nodes and not on the models, so that these problems are found together with those of single fields.
"""

from __future__ import annotations

from pathlib import Path

from spec import guess
from spec.dialects import alternatives_of
from spec.errors import Problem
from spec.mounts import problems_of_mounts
from spec.scaling_checks import problems_of_scaling
from spec.source import Node

Finding = tuple[str, str, int, str | None]
"""(field, message, line, hint)"""


def across_fields(root: Node, path: Path) -> list[Problem]:
    """The problems of the file at `path`, whose tree is in today's format."""
    checks = (_name, _service, _port, _accelerators, _alternatives, _places, _probe_interval)
    found = [*(check(root) for check in checks), _workdir(root, path.parent)]
    found += problems_of_scaling(root)
    several = problems_of_mounts(root, path)
    return several + [
        Problem(str(path), where, message, line, hint=hint)
        for f in found
        if f
        for where, message, line, hint in [f]
    ]


def _name(root: Node) -> Finding | None:
    if root.at("name") is not None:
        return None
    return "name", "is missing, and the file's name can't serve as one.", 1, "For example `name: chat`."


def _service(root: Node) -> Finding | None:
    """A task of SkyPilot without `service` may still be one, when its command starts an engine that is known."""
    run, image = root.at("run"), root.at("resources", "image_id")
    if root.at("service") is not None or run is None or not isinstance(run.value, str):
        return None
    if guess.engine(run.value, str(image.value) if image else None):
        return None
    hint = "Add for example `service: {readiness_probe: /health, replicas: 1}`."
    return "service", "is missing: this file describes a task, not a service.", root.line, hint


def _port(root: Node) -> Finding | None:
    if root.at("service", "ports") is not None:
        return None
    ports, run = root.at("resources", "ports"), root.at("run")
    if ports is None or ports.value == []:
        if run is not None and guess.port(str(run.value)):
            return None
        hint = "Add for example `ports: 8000` to `resources`."
        return "resources.ports", "is missing: the port on which the engine answers.", _line(root), hint
    if len(ports.items) > 1:
        hint = "Add `ports` with one of them to `service`."
        return ports.path, "names several ports; which one answers requests is not clear.", ports.line, hint
    return None


def _accelerators(root: Node) -> Finding | None:
    resources = root.at("resources")
    homes = [resources, *alternatives_of(resources)] if resources else []
    if any(home.at("instance_type") or _named_accelerators(home) for home in homes):
        return None
    if root.at("tradewind", "parameters") is not None:
        return None
    hint = "Name them, for example `accelerators: L4:1`, or give the model's size: `tradewind: {parameters: 70B}`."
    message = "is missing, and so is the model's size from which they could be computed."
    return "resources.accelerators", message, _line(root), hint


def _named_accelerators(home: Node) -> bool:
    node = home.at("accelerators", "items")
    return node is not None and bool(node.items)


def _alternatives(root: Node) -> Finding | None:
    any_of, ordered = root.at("resources", "any_of"), root.at("resources", "ordered")
    if any_of is None or ordered is None:
        return None
    return ordered.path, f"can't stand beside `{any_of.path}`.", ordered.line, "Keep one of them."


def _places(root: Node) -> Finding | None:
    resources = root.at("resources")
    for home in [resources, *alternatives_of(resources)] if resources else []:
        infra = home.at("infra")
        also = [name for name in ("cloud", "region", "zone") if home.at(name) is not None]
        if infra is not None and also:
            return infra.path, f"says the same as `{also[0]}`.", infra.line, "Keep one of them."
    return None


def _probe_interval(root: Node) -> Finding | None:
    ours = root.at("tradewind", "interval_seconds")
    theirs = root.at("service", "readiness_probe", "endpoint_probe_interval_seconds")
    if ours is None or theirs is None:
        return None
    return ours.path, f"says the same as `{theirs.path}`.", ours.line, "Keep one of them."


def _workdir(root: Node, folder: Path) -> Finding | None:
    workdir = root.at("workdir")
    if workdir is None or not isinstance(workdir.value, str) or not workdir.value:
        return None
    try:
        exists = (folder / Path(workdir.value).expanduser()).is_dir()
    except (OSError, ValueError, RuntimeError):
        exists = False
    if exists:
        return None
    hint = "It is looked for beside the service file."
    return workdir.path, f"there is no directory `{workdir.text}`.", workdir.line, hint


def _line(root: Node) -> int:
    resources = root.at("resources")
    return resources.line if resources else root.line
