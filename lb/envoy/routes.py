"""RDS: which requests go to which service, and what the edge answers itself.

One service gets everything, whatever its engine speaks. Several are told apart by the request's top-level `model`,
which `admit.lua` leaves in dynamic metadata: not in a header, so no caller can forge or break it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lb.envoy import names
from lb.envoy.names import type_url
from spec.snapshot import Snapshot, SnapshotService

DEFAULT_MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""While there is no service that says its own."""

_SHORT_PATH = "^/(chat/completions|completions|embeddings|models)$"
"""OpenAI paths of clients whose base URL is the bare origin."""
_NO_SERVICE_RETRY_S = 10
_HOLD_GRACE_S = 10
"""The agent ends a wait by itself; Envoy does so later, when the agent hangs."""
_OPEN = {names.KEYS_FILTER: {"@type": type_url("config.route.v3.FilterConfig"), "disabled": True}}
_SCAN = {"scan": True}
"""Tells `admit.lua` that the body chooses the service."""


def render(snapshot: Snapshot | None) -> dict[str, Any]:
    """The route configuration; None is an edge that has never seen a snapshot."""
    services = sorted(snapshot.services, key=lambda s: s.name) if snapshot else []
    routes = [_ready(ready=snapshot is not None), _preflight()]
    if not services:
        routes.append(_no_service(known=snapshot is not None))
    elif len(services) == 1:
        routes.extend(_service_routes(services[0], {}, {}))
    else:
        routes.extend(_by_model(services))
    host: dict[str, Any] = {
        "name": names.ROUTES,
        "domains": ["*"],
        "routes": routes,
        # Whatever the filters did: the caller's key never leaves the edge.
        "request_headers_to_remove": [*names.CALLER_KEY_HEADERS, names.KEY_HASH_HEADER],
        "request_body_buffer_limit": max_request_bytes(services),
    }
    return {
        "@type": type_url("config.route.v3.RouteConfiguration"),
        "name": names.ROUTES,
        "virtual_hosts": [host],
        "max_direct_response_body_size_bytes": max(4096, *(_body_size(r) for r in routes)),
    }


def max_request_bytes(services: Sequence[SnapshotService]) -> int:
    """The largest body that any of them takes."""
    return max((s.routing.max_request_bytes for s in services), default=DEFAULT_MAX_REQUEST_BYTES)


def claims(services: Sequence[SnapshotService]) -> dict[str, list[str]]:
    """Values of `model` that choose each service, by service name; a value chooses one service only.

    Those that it names, and its own name. One that names none has its engine's model too, unless another has it as well.
    """
    found: dict[str, set[str]] = {s.name: set() for s in services}
    taken: set[str] = set()
    for service in services:
        found[service.name] = {*service.routing.models, service.name} - taken
        taken |= found[service.name]
    implied = Counter(s.routing.model for s in services if s.routing.model and not s.routing.models)
    for service in services:
        model = service.routing.model
        if implied[model] == 1 and model not in taken and not service.routing.models:
            found[service.name].add(model)
    return {name: sorted(models) for name, models in found.items()}


def _by_model(services: Sequence[SnapshotService]) -> list[dict[str, Any]]:
    """Named models first; then the one service, if it is the only one, that named none and so takes every other."""
    routes = [_model_list(services)]
    claimed = claims(services)
    for service in services:
        if claimed[service.name]:
            routes.extend(_service_routes(service, _model_is_one_of(claimed[service.name]), _SCAN))
    rest = [s for s in services if not s.routing.models]
    if len(rest) == 1:
        routes.extend(_service_routes(rest[0], {}, _SCAN))
    else:
        routes.append(_unknown_model())
    return routes


def _unknown_model() -> dict[str, Any]:
    """Every request is here until its body is scanned; those without a known model stay and get 404.

    It is a route to a cluster that can't exist, because Envoy ignores `request_body_buffer_limit` while the route
    is a direct response, and so would refuse bodies above 1 MiB before the scan.
    """
    route = {"cluster": names.NO_CLUSTER, "cluster_not_found_response_code": "NOT_FOUND"}
    metadata = {"filter_metadata": {names.ADMIT_FILTER: _SCAN}}
    return {"name": "unknown-model", "match": {"prefix": "/"}, "route": route, "metadata": metadata}


def _service_routes(
    service: SnapshotService, condition: dict[str, Any], scan: dict[str, Any]
) -> list[dict[str, Any]]:
    """A service's route, and before it the same one for OpenAI paths without their /v1."""
    short = {"safe_regex": {"regex": _SHORT_PATH}, **condition}
    rewrite = {"regex_rewrite": {"pattern": {"regex": "^/(.*)$"}, "substitution": "/v1/\\1"}}
    return [
        _service_route(service, short, scan, rewrite),
        _service_route(service, {"prefix": "/", **condition}, scan, {}),
    ]


def _service_route(
    service: SnapshotService, match: dict[str, Any], scan: dict[str, Any], rewrite: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": service.name,
        "match": match,
        "metadata": _metadata(service, scan),
        "route": {
            "cluster": service.name,
            "timeout": "0s",  # the default of 15 s would cut every long answer
            "idle_timeout": f"{_idle_timeout_s(service):.3f}s",
            "retry_policy": _retries(),
            **rewrite,
        },
    }


def _retries() -> dict[str, Any]:
    """Another replica is asked while no byte of the answer was sent on.

    `reset` repeats work that may have begun; for inference that costs time and no correctness. The many selection
    attempts (some microseconds) make sure that a replica that failed, which looks idle to the balancer, is really
    left out, also when there are only two: 32 attempts still failed 14-27 of 500 requests.
    """
    previous = type_url("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
        "retriable_status_codes": [503],
        "num_retries": 3,
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": previous}}
        ],
        "host_selection_retry_max_attempts": "256",
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.250s"},
    }


def _metadata(service: SnapshotService, scan: dict[str, Any]) -> dict[str, Any]:
    """Read by the access log, by the answers for failures (`local_replies`) and by `admit.lua`."""
    ours = {"service": service.name, "retry_after_s": _whole_seconds(service.retry_after_s)}
    admit = {
        "arrived": names.arrivals(service.name),
        "max_request_bytes": service.routing.max_request_bytes,
        **scan,
    }
    if service.hold:
        admit["hold"] = names.hold_path(service.name)
        admit["hold_ms"] = round(1000 * (service.routing.hold_limit_s + _HOLD_GRACE_S))
    return {"filter_metadata": {names.METADATA: ours, names.ADMIT_FILTER: admit}}


def _idle_timeout_s(service: SnapshotService) -> float:
    """A request that is held is silent, too."""
    silent = service.routing.stream_idle_timeout_s
    return max(silent, service.routing.hold_limit_s + 2 * _HOLD_GRACE_S) if service.hold else silent


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


def _model_is_one_of(models: Sequence[str]) -> dict[str, Any]:
    values = [{"string_match": {"exact": m}} for m in models]
    value = values[0] if len(values) == 1 else {"or_match": {"value_matchers": values}}
    return {"dynamic_metadata": [{"filter": names.METADATA, "path": [{"key": "model"}], "value": value}]}


def _model_list(services: Sequence[SnapshotService]) -> dict[str, Any]:
    """`GET /v1/models` of all services together."""
    owner = {model: name for name, models in claims(services).items() for model in models}
    data = [{"id": m, "object": "model", "created": 0, "owned_by": owner[m]} for m in sorted(owner)]
    text = json.dumps({"object": "list", "data": data})
    match = {
        "safe_regex": {"regex": "^(/v1)?/models$"},
        "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
    }
    return {
        **_answer("models", match, 200, text),
        "response_headers_to_add": [_header("content-type", "application/json")],
    }


def _ready(*, ready: bool) -> dict[str, Any]:
    """For health checks of DNS and load balancers: without a key, says only whether this edge knows anything."""
    match = {"path": names.READY_PATH}
    if ready:
        return {**_answer("ready", match, 200, "ready\n"), "typed_per_filter_config": _OPEN}
    waiting = _answer("ready", match, 503, "This edge has no snapshot yet.")
    return {**waiting, "metadata": _retry_soon(), "typed_per_filter_config": _OPEN}


def _preflight() -> dict[str, Any]:
    """Browsers ask before they send the key, so this can't need one."""
    match = {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "OPTIONS"}}]}
    return {
        "name": "preflight",
        "match": match,
        "direct_response": {"status": 204},
        "response_headers_to_add": [
            _header("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
            _header("access-control-allow-headers", "*, authorization"),
            _header("access-control-max-age", "86400"),
        ],
        "typed_per_filter_config": _OPEN,
    }


def _no_service(*, known: bool) -> dict[str, Any]:
    text = "No service is deployed here." if known else "This edge has no snapshot yet."
    return {**_answer("no-service", {"prefix": "/"}, 503, text), "metadata": _retry_soon()}


def _retry_soon() -> dict[str, Any]:
    return {"filter_metadata": {names.METADATA: {"retry_after_s": str(_NO_SERVICE_RETRY_S)}}}


def _answer(name: str, match: dict[str, Any], status: int, text: str) -> dict[str, Any]:
    body = {"inline_string": text}
    return {"name": name, "match": match, "direct_response": {"status": status, "body": body}}


def _header(key: str, value: str) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _body_size(route: dict[str, Any]) -> int:
    return len(route.get("direct_response", {}).get("body", {}).get("inline_string", "").encode())
