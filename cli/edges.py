"""Whether the edges of a stack let callers in: said by `tw status`, which otherwise knows only what the controller says.

The controller goes on ready and leading while an edge's Envoy is dead and every caller is refused.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cli.state import State
from lb.envoy.names import READY_PATH
from lb.mutual import believing
from local.processes import Registry
from spec.status import Status

if TYPE_CHECKING:
    import httpx

LIMIT_S = 1.0
"""An edge answers in milliseconds; `tw status --watch` must not stand still for one that hangs."""
LIMIT_AFAR_S = 5.0
"""Names, TLS and half the world are in between."""

_DEAD = {
    "envoy": "Envoy is not running, callers are refused",
    "edge-agent": "its agent is not running, Envoy goes on with the replicas that it knows",
}


def edge_troubles(state: State, found: Status) -> list[str]:
    """A sentence for each thing that keeps callers out, or the edge from following the controller; [] when all is well."""
    registry = Registry(state.context.home)
    dead = [_DEAD[e.kind] for e in registry.entries() if e.kind in _DEAD and not registry.alive(e)]
    troubles = dead or [t for e in sorted({s.endpoint for s in found.services}) if (t := _silent(state, e))]
    mends = f"; `make up STACK={state.context.stack}` mends it" if state.afar is None else ""
    return [f"{trouble}{mends}" for trouble in troubles]


def _silent(state: State, endpoint: str) -> str | None:
    if not endpoint:
        return None
    limit_s = LIMIT_S if state.afar is None else LIMIT_AFAR_S
    import httpx

    try:
        answer = ask(state, f"{endpoint}{READY_PATH}", limit_s=limit_s)
    except httpx.TimeoutException:
        return f"{endpoint} does not answer within {limit_s:g} s"
    except httpx.HTTPError as e:
        return f"{endpoint} does not answer: {e}"
    return None if answer.is_success else f"{endpoint} has no snapshot yet, callers get {answer.status_code}"


def ask(
    state: State, url: str, *, limit_s: float, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """As a caller would who trusts the environment's own authority, where there is one. Raises httpx.HTTPError."""
    import httpx

    if state.afar is None:
        return httpx.get(url, timeout=limit_s, headers=headers, trust_env=False)
    own = state.context.config.tls.mode == "own_ca" and state.afar.authority
    trusted = believing(own) if own else ssl.create_default_context()
    return httpx.get(url, timeout=limit_s, headers=headers, verify=trusted)


def not_serving(state: State, found: Status) -> str | None:
    """Why the endpoints do not serve yet; None when they do.

    An edge learns of a ready replica a moment after the controller says so; with the key of a local stack one real
    request tells whether it has.
    """
    import httpx

    key_file = state.context.key_file
    for endpoint in sorted({s.endpoint for s in found.services if s.endpoint and s.desired}):
        try:
            answer = ask(state, f"{endpoint}{READY_PATH}", limit_s=LIMIT_AFAR_S)
            if answer.is_success and state.afar is None and key_file.is_file():
                key = {"Authorization": f"Bearer {key_file.read_text().strip()}"}
                answer = ask(state, f"{endpoint}/v1/models", limit_s=LIMIT_AFAR_S, headers=key)
        except httpx.HTTPError as e:
            return f"its edge at {endpoint} does not answer: {e}"
        if answer.is_server_error:
            return f"its edge at {endpoint} answers {answer.status_code}: {answer.text.strip()[:200]}"
    return None
