"""CDS and EDS: how an edge reaches a service's replicas, and which ones there are."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from lb.envoy import names, tls
from lb.envoy.names import type_url
from spec.snapshot import Endpoint, SnapshotService

_NO_SPILL = 100_000
"""Percent of over-provisioning: a priority is used only when the one above has no healthy endpoint at all. With
Envoy's 140 a service with 1 of 4 replicas sent two thirds of its requests to the next, dearer priority."""
_UPSTREAM_IDLE = "4s"
"""Shorter than the 5 s after which uvicorn (vLLM, SGLang) closes an idle connection: no race with that close."""
_IDLE_BEHIND_TLS = "60s"
"""Of replicas in clouds, where Envoy answers on the other side: a handshake may cost round trips between continents."""
_MANY = 100_000


def cluster(service: SnapshotService, directory: Path, *, mutual: bool = False) -> dict[str, Any]:
    """The service's cluster; its endpoints come from their own file.

    `mutual`: whether this edge has a certificate for replicas that ask for one. It is not asked of the endpoints: a
    cluster that changed with them would break connections.
    """
    secured = _secured(service, directory) if mutual else {}
    return secured | {
        "@type": type_url("config.cluster.v3.Cluster"),
        "name": service.name,
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": names.from_file(directory, names.eds_file(service.name)),
            "service_name": service.name,
        },
        "connect_timeout": "2s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": _balancing(service)}]},
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 0},  # never send to replicas that are known to be bad
            "update_merge_window": "0s",  # by default an ejection may take effect a second late
        },
        "outlier_detection": _ejection(),
        "circuit_breakers": _no_breakers(),
        "track_cluster_stats": {"per_endpoint_stats": True},
        # A machine that vanished without a word is noticed in about 30 s, not at the end of an idle timeout.
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 15, "keepalive_interval": 5, "keepalive_probes": 3}
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_url("extensions.upstreams.http.v3.HttpProtocolOptions"),
                "common_http_protocol_options": {
                    "idle_timeout": _IDLE_BEHIND_TLS if mutual else _UPSTREAM_IDLE
                },
                "explicit_http_config": {"http_protocol_options": {}},
                "outlier_detection": {"error_matcher": _broken()},
            }
        },
    }


def agent(directory: Path) -> dict[str, Any]:
    """The agent's socket. A connection serves one call, so none is ever found closed."""
    pipe = {"pipe": {"path": str(names.agent_socket(directory))}}
    return {
        "name": names.AGENT_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": names.AGENT_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": pipe}}]}],
        },
        "circuit_breakers": _no_breakers(),  # each held request is a connection; the agent limits them
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_url("extensions.upstreams.http.v3.HttpProtocolOptions"),
                "common_http_protocol_options": {"max_requests_per_connection": 1},
                "explicit_http_config": {"http_protocol_options": {}},
                "outlier_detection": {"error_matcher": _broken()},
            }
        },
    }


def load_assignment(service: SnapshotService) -> dict[str, Any]:
    """The service's endpoints by priority; numbers are made dense, because Envoy refuses gaps."""
    usable = usable_endpoints(service)
    priorities = sorted({e.priority for e in usable})
    localities = [
        {
            "priority": rank,
            "lb_endpoints": [_endpoint(e) for e in usable if e.priority == priority],
        }
        for rank, priority in enumerate(priorities)
    ]
    return {
        "@type": type_url("config.endpoint.v3.ClusterLoadAssignment"),
        "cluster_name": service.name,
        "endpoints": localities,
        "policy": {"overprovisioning_factor": _NO_SPILL},
    }


def usable_endpoints(service: SnapshotService) -> list[Endpoint]:
    """Those with an IP address, each address and port once, in stable order.

    One endpoint that Envoy can't take would make it refuse the whole file, and so freeze all the others.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint in sorted(service.endpoints, key=lambda e: (e.priority, e.address, e.port, e.replica_id)):
        if is_ip(endpoint.address):
            found.setdefault((endpoint.address, endpoint.port), endpoint)
    return list(found.values())


def is_ip(address: str) -> bool:
    """Whether Envoy takes it in EDS: names are not resolved there."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return "%" not in address  # Envoy has its own syntax for IPv6 scopes


def _secured(service: SnapshotService, directory: Path) -> dict[str, Any]:
    socket = tls.towards_replicas(directory, service.name)
    return {
        "transport_socket_matches": [
            {"name": "mutual", "match": {"mutual": True}, "transport_socket": socket}
        ]
    }


def _no_breakers() -> dict[str, Any]:
    most = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
    return {"thresholds": [{**most, "max_retries": 1000}]}


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    socket = {"address": endpoint.address, "port_value": endpoint.port}
    metadata: dict[str, Any] = {names.METADATA: {"replica": endpoint.replica_id}}
    if endpoint.tls:
        metadata[tls.MATCH] = {"mutual": True}
    return {
        "endpoint": {"address": {"socket_address": socket}},
        # A draining one gets no new request; those that run on it finish.
        "health_status": "DRAINING" if endpoint.draining else "HEALTHY",
        "metadata": {"filter_metadata": metadata},
    }


def _balancing(service: SnapshotService) -> dict[str, Any]:
    """Least request of five random choices.

    A dead replica has no requests, so a full scan chooses it again at each retry until it is ejected: with ejection
    off, 310 of 500 requests failed on one live and one dead replica; with five choices, and as many selection attempts
    as `routes` allows, none. Two choices left one of four replicas idle for 22 % of the time while another had two
    requests or more (8 in flight); five do so for 7 %, a full scan never.
    """
    if service.routing.policy == "round_robin":
        message = "extensions.load_balancing_policies.round_robin.v3.RoundRobin"
        return {
            "name": "envoy.load_balancing_policies.round_robin",
            "typed_config": {"@type": type_url(message)},
        }
    message = "extensions.load_balancing_policies.least_request.v3.LeastRequest"
    return {
        "name": "envoy.load_balancing_policies.least_request",
        "typed_config": {"@type": type_url(message), "choice_count": 5, "selection_method": "N_CHOICES"},
    }


def _ejection() -> dict[str, Any]:
    """Takes a replica out that refuses connections or resets them, also one of two.

    What an engine answers counts apart from that, and only in a long row: a broken one that fails fast looks idle and
    would draw all requests, but one caller's poisonous prompt must not eject every replica.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "consecutive_5xx": 10,
        "enforcing_consecutive_5xx": 100,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "3s",
        "max_ejection_time": "15s",
        "max_ejection_percent": 100,
        "always_eject_one_host": True,
    }


def _broken() -> dict[str, Any]:
    """Answers that say that an engine is broken: 5xx but not 503.

    503 is what a full queue answers. Counted as failures they ejected every replica of a service that had too much to
    do, so that callers got nothing at all where half of them could have been served.
    """

    def status(matcher: dict[str, Any]) -> dict[str, Any]:
        return {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": matcher}]}}

    return {
        "and_match": {
            "rules": [
                status({"prefix": "5"}),
                {"not_match": status({"exact": "503"})},
            ]
        }
    }
