"""Whether the edges of a stack let callers in: said by `tw status`, which otherwise knows only what the controller says.

The controller goes on ready and leading while an edge's Envoy is dead and every caller is refused.
"""

from __future__ import annotations

from cli.context import Context
from lb.envoy.names import READY_PATH
from local.processes import Registry
from spec.status import Status

LIMIT_S = 1.0
"""An edge answers in milliseconds; `tw status --watch` must not stand still for one that hangs."""

_DEAD = {
    "envoy": "Envoy is not running, callers are refused",
    "edge-agent": "its agent is not running, Envoy goes on with the replicas that it knows",
}


def edge_troubles(context: Context, found: Status) -> list[str]:
    """A sentence for each thing that keeps callers out, or the edge from following the controller; [] when all is well."""
    registry = Registry(context.home)
    dead = [_DEAD[e.kind] for e in registry.entries() if e.kind in _DEAD and not registry.alive(e)]
    troubles = dead or [t for e in sorted({s.endpoint for s in found.services}) if (t := _silent(e))]
    return [f"{trouble}; `make up STACK={context.stack}` mends it" for trouble in troubles]


def _silent(endpoint: str) -> str | None:
    if not endpoint:
        return None
    import httpx

    try:
        answer = httpx.get(f"{endpoint}{READY_PATH}", timeout=LIMIT_S, trust_env=False)
    except httpx.TimeoutException:
        return f"{endpoint} does not answer within {LIMIT_S:g} s"
    except httpx.HTTPError as e:
        return f"{endpoint} does not answer: {e}"
    return None if answer.is_success else f"{endpoint} has no snapshot yet, callers get {answer.status_code}"
