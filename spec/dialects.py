"""Older ways to write a service file, brought to SkyServe's format of today.

Works on nodes, so that a moved field keeps the line and the name that the user gave it. Two steps: MOVES says which
field goes where; then fields that may be written in several shapes get one. A value of a wrong type is left as it is:
the models find it, and say so with the place as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from spec.errors import Problem
from spec.source import Node
from spec.written import Resources, ServiceSection

_AT_THE_TOP = {
    **{field: f"resources.{field}" for field in Resources.model_fields},
    **{field: f"service.{field}" for field in ServiceSection.model_fields if field != "ports"},
    "accelerator": "resources.accelerators",
    "regions": "resources.fallback_regions",
    "fallback_regions": "resources.fallback_regions",
    "port": "resources.ports",
    "autoscaling": "service.replica_policy",
    "health_check": "service.readiness_probe",
    "min_replicas": "service.replica_policy.min_replicas",
    "max_replicas": "service.replica_policy.max_replicas",
    "health_check_path": "service.readiness_probe.path",
}

MOVES: tuple[tuple[str, str], ...] = (
    *_AT_THE_TOP.items(),
    ("resources.accelerator", "resources.accelerators"),
    ("resources.regions", "resources.fallback_regions"),
    ("resources.port", "resources.ports"),
    ("service.name", "name"),
    ("service.port", "service.ports"),
    ("service.autoscaling", "service.replica_policy"),
    ("service.min_replicas", "service.replica_policy.min_replicas"),
    ("service.max_replicas", "service.replica_policy.max_replicas"),
    ("service.health_check", "service.readiness_probe"),
    ("service.health_check_path", "service.readiness_probe.path"),
    ("service.readiness_probe.interval", "service.readiness_probe.endpoint_probe_interval_seconds"),
    ("service.readiness_probe.timeout", "service.readiness_probe.timeout_seconds"),
    ("service.readiness_probe.initial_delay", "service.readiness_probe.initial_delay_seconds"),
    ("service.readiness_probe.failure_threshold", "tradewind.failure_threshold"),
)
"""(where older files have a field, where it belongs), in the order in which they are applied."""


def modernise(root: Node, *, file: str) -> list[Problem]:
    """Brings the tree to today's format, in place; returns the fields that were given in two ways."""
    problems = []
    _shape(root, ("service", "readiness_probe"), _probe_as_map)
    for old, new in MOVES:
        problems += _move(root, old.split("."), new.split("."), file)
        if new == "service.readiness_probe":
            _shape(root, ("service", "readiness_probe"), _probe_as_map)
    _cooldown(root)
    _shape(root, ("service", "replica_policy", "behavior"), _in_snake_case)
    _shape(root, ("resources", "ports"), _as_list)
    _shape(root, ("service", "ports"), _single)
    problems += _regions(root, file)
    _mounts(root)
    _accelerators(root)
    return problems


def _move(root: Node, old: list[str], new: list[str], file: str) -> list[Problem]:
    parent, rest = root.nearest(old[:-1])
    if rest or old[-1] not in parent.fields:
        return []
    node = parent.fields[old[-1]]
    home = _map_at(root, new[:-1], node)
    if home is None:
        return []
    del parent.fields[old[-1]]
    there = home.fields.get(new[-1])
    if there is None or there.value is None:
        home.fields[new[-1]] = node
        return []
    if node.value is None:
        return []
    message = f"says the same as `{there.path}` in line {there.line}."
    return [Problem(file, node.path, message, node.line, hint="Keep one of them.")]


def _map_at(root: Node, loc: list[str], cause: Node) -> Node | None:
    """The map at that place, made when it is missing; None when something else stands there."""
    node = root
    for i, key in enumerate(loc):
        child = node.fields.get(key)
        if child is None or child.value is None:
            child = node.fields[key] = Node({}, cause.line, ".".join(loc[: i + 1]))
        if not isinstance(child.value, dict):
            return None
        node = child
    return node


def _shape(root: Node, loc: tuple[str, ...], shape: Callable[[Node], Node]) -> None:
    parent, rest = root.nearest(loc[:-1])
    node = parent.fields.get(loc[-1])
    if not rest and node is not None and node.value is not None:
        parent.fields[loc[-1]] = shape(node)


def _probe_as_map(node: Node) -> Node:
    if not isinstance(node.value, str):
        return node
    return Node({"path": node}, node.line, node.path)


def _as_list(node: Node) -> Node:
    return node if isinstance(node.value, list | dict) else Node([node], node.line, node.path)


def _single(node: Node) -> Node:
    return node.items[0] if len(node.items) == 1 else node


def _cooldown(root: Node) -> None:
    """One pause for both directions, as older autoscalers had it."""
    policy = root.at("service", "replica_policy")
    if policy is None or (cooldown := policy.fields.pop("cooldown_seconds", None)) is None:
        return
    policy.fields.setdefault("upscale_delay_seconds", cooldown)
    policy.fields.setdefault("downscale_delay_seconds", cooldown)


def _in_snake_case(node: Node) -> Node:
    """The HPA's names, `scaleUp`, in the case of all others; both are understood."""
    if isinstance(node.value, dict):
        fields = {
            re.sub(r"(?<=[a-z])([A-Z])", r"_\1", k).lower(): _in_snake_case(v) for k, v in node.fields.items()
        }
        if len(fields) == len(node.fields):
            return Node(fields, node.line, node.path, node.text)
    elif isinstance(node.value, list):
        return Node([_in_snake_case(item) for item in node.items], node.line, node.path, node.text)
    return node


def _regions(root: Node, file: str) -> list[Problem]:
    """`region` with `fallback_regions`: alternatives in that order."""
    resources = root.at("resources")
    if resources is None or (regions := resources.fields.pop("fallback_regions", None)) is None:
        return []
    if regions.value is None:
        return []
    if any(name in resources.fields for name in ("any_of", "ordered")):
        message = "can't stand beside `any_of` or `ordered`."
        return [
            Problem(file, regions.path, message, regions.line, hint="Name each region in an alternative.")
        ]
    first = resources.fields.pop("region", None)
    names = [first] if first is not None and first.value is not None else []
    names += _as_list(regions).items or [regions]
    resources.fields["ordered"] = Node(
        [Node({"region": name}, name.line, name.path) for name in names], regions.line, regions.path
    )
    return []


def _mounts(root: Node) -> None:
    mounts = root.at("file_mounts")
    if mounts is None:
        return
    for target, node in mounts.fields.items():
        if isinstance(node.value, str):
            mode = Node("COPY", node.line, node.path)
            mounts.fields[target] = Node({"source": node, "mode": mode}, node.line, node.path, node.text)


def _accelerators(root: Node) -> None:
    """Every form of `accelerators` becomes `{ordered, items}`; see `spec.written.Accelerators`."""
    resources = root.at("resources")
    if resources is None:
        return
    for home in (resources, *alternatives_of(resources)):
        if "accelerator" in home.fields and "accelerators" not in home.fields:
            home.fields["accelerators"] = home.fields.pop("accelerator")
        _shape(home, ("accelerators",), _accelerators_of)


def alternatives_of(resources: Node) -> list[Node]:
    """The entries of `any_of` and `ordered`."""
    return [
        item
        for name in ("any_of", "ordered")
        if name in resources.fields
        for item in resources.fields[name].items
    ]


def _accelerators_of(node: Node) -> Node:
    if isinstance(node.value, dict):
        items = [_counted(name, count) for name, count in node.value.items()]
    elif isinstance(node.value, list):
        items = [_item(item) for item in node.value]
    else:
        items = [node]
    ordered = Node(isinstance(node.value, list), node.line, node.path)
    return Node(
        {"ordered": ordered, "items": Node(items, node.line, node.path)}, node.line, node.path, node.text
    )


def _item(node: Node) -> Node:
    """`- A100: 1` is a map of one entry."""
    if len(node.fields) != 1:
        return node
    [(name, count)] = node.fields.items()
    return _counted(name, count)


def _counted(name: str, count: Node) -> Node:
    if isinstance(count.value, dict | list):
        return count
    text = name if count.value is None else f"{name}:{count.text}"
    return Node(text, count.line, count.path, text)
