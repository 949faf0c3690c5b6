"""What is wrong with `replica_policy` across several fields: limits that contradict each other, signals nobody tells."""

from __future__ import annotations

from collections.abc import Iterator

from spec import guess
from spec.source import Node

TELL_QUEUE = frozenset({"vllm", "sglang", "tgi", "triton", "lorax", "sim"})
TELL_KV_CACHE = frozenset({"vllm", "sglang", "triton", "sim"})
"""Engines whose metrics hold that, as `engines.presets` says; a test compares the two."""

_NEED = {"target_queue_per_replica": TELL_QUEUE, "target_kv_cache_utilization": TELL_KV_CACHE}

Finding = tuple[str, str, int, str | None]
"""(field, message, line, hint)"""


def problems_of_scaling(root: Node) -> list[Finding]:
    """The problems of the file whose tree, in today's format, this is."""
    policy = root.at("service", "replica_policy")
    if policy is None:
        return []
    return [*_said_twice(policy), *_floors(policy), *_silent_engines(root, policy)]


def _said_twice(policy: Node) -> Iterator[Finding]:
    for direction, delay in (
        ("scale_up", "upscale_delay_seconds"),
        ("scale_down", "downscale_delay_seconds"),
    ):
        window = policy.at("behavior", direction, "stabilization_window_seconds")
        same = policy.at(delay)
        if window is not None and same is not None:
            yield window.path, f"says the same as `{same.path}`.", window.line, "Keep one of them."


def _floors(policy: Node) -> Iterator[Finding]:
    """A schedule above `max_replicas` could never be kept."""
    most = policy.at("max_replicas") or policy.at("min_replicas")
    limit = 1 if most is None else most.value
    schedules = policy.at("schedules")
    for entry in schedules.items if schedules else ():
        floor = entry.at("min_replicas")
        if floor is None or not isinstance(floor.value, int) or not isinstance(limit, int):
            continue  # found by the models
        if floor.value > limit:
            message = f"must not be above `max_replicas` ({limit}), not `{floor.text}`."
            yield floor.path, message, floor.line, "Raise `max_replicas` or lower this one."


def _silent_engines(root: Node, policy: Node) -> Iterator[Finding]:
    """A signal that is never told would keep the number from falling for ever."""
    run, image = root.at("run"), root.at("resources", "image_id")
    named = root.at("tradewind", "engine")
    engine = (
        named.value
        if named
        else guess.engine(str(run.value) if run else "", str(image.value) if image else None)
    )
    for field, able in _NEED.items():
        node = policy.at(field)
        if node is None or engine in able:
            continue
        who = f"the engine `{engine}` does not tell it" if engine else "it is not known which engine runs"
        hint = f"Name one of {', '.join(sorted(able))} as `tradewind.engine`, or use `target_inflight_per_replica`."
        yield node.path, f"can't be followed: {who}.", node.line, hint
