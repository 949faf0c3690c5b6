"""What the replica's own Envoy is told, as text. Pure: same arguments, same bytes.

What changes while it runs stands in files of its own, which Envoy follows: the certificates, because a renewal must
break no stream, and the engine's port, because the next bundle may have another one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOMAIN = "tradewind.internal"
CALLERS = (f"controller.{DOMAIN}", f"edge.{DOMAIN}")
"""Whose certificates are accepted: `spec.certificates.CONTROLLER` and `EDGE`."""

NODE_PATH = "/.tradewind/node"
"""Leads to the agent; everything else is the engine's."""

ENGINE = "engine"
LEAF_FILE, AUTHORITIES_FILE, ENGINE_FILE = "leaf.json", "authorities.json", "engine.json"
_LEAF, _AUTHORITIES = "leaf", "authorities"

_SILENT_STREAM = "86400s"
"""How long a stream may be silent is the service's affair, and edges hold it; this is for callers that are gone."""
_ENGINE_IDLE = "4s"
"""Shorter than the 5 s after which uvicorn (vLLM, SGLang) closes an idle connection: no race with that close."""
_MANY = 100_000
_MOST_CALLERS = 20_000
"""Connections of edges: more are refused instead of running out of file descriptors."""
_KEEPALIVE = ((1, 9, 1), (6, 4, 15), (6, 5, 5), (6, 6, 3))
"""SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT of Linux: a caller that vanished is noticed in 30 s."""


def bootstrap(*, directory: Path, address: str, port: int, agent_port: int) -> str:
    """The bootstrap. `directory`: absolute and private, with the files that Envoy follows and its admin socket."""
    listener = {
        "name": "replica",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "socket_options": [
            {"level": level, "name": name, "int_value": value, "state": "STATE_PREBIND"}
            for level, name, value in _KEEPALIVE
        ],
        "filter_chains": [{"filters": [_manager()], "transport_socket": _mutual(directory)}],
    }
    config = {
        "node": {"id": "replica", "cluster": "tradewind-replica"},
        "admin": {"address": {"pipe": {"path": str(admin_socket(directory)), "mode": 0o600}}},
        "static_resources": {
            "listeners": [listener],
            "clusters": [_engine(directory), _agent(agent_port)],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _url(
                            "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
                        ),
                        "max_active_downstream_connections": _MOST_CALLERS,
                    },
                }
            ]
        },
    }
    return json.dumps(config, indent=1, sort_keys=True) + "\n"


def engine(port: int | None) -> str:
    """The file that says where the engine listens; None = there is none now."""
    ends = [] if port is None else [{"lb_endpoints": [_loopback(port)]}]
    return _file(
        {"@type": _url("config.endpoint.v3.ClusterLoadAssignment"), "cluster_name": ENGINE, "endpoints": ends}
    )


def leaf(*, cert: str, key: str) -> str:
    """The file of the certificate that the machine shows, both in PEM."""
    pair = {"certificate_chain": {"inline_string": cert}, "private_key": {"inline_string": key}}
    return _file({"@type": _SECRET, "name": _LEAF, "tls_certificate": pair})


def authorities(ca: str) -> str:
    """The file of the authorities whose certificates are accepted, in PEM."""
    context = {"trusted_ca": {"inline_string": ca}}
    return _file({"@type": _SECRET, "name": _AUTHORITIES, "validation_context": context})


def admin_socket(directory: Path) -> Path:
    """Where Envoy tells its counters; nobody but its own user reaches it."""
    return directory / "admin.sock"


# ---------------------------------------------------------------- the listener


def _manager() -> dict[str, Any]:
    routes = [
        {
            "match": {"path": NODE_PATH},
            "route": {"cluster": "agent", "prefix_rewrite": "/v1/node", "timeout": "10s"},
        },
        {
            "match": {"prefix": "/"},
            "route": {
                "cluster": ENGINE,
                "timeout": "0s",
                # The engine closed the connection before it saw anything of the request.
                "retry_policy": {"retry_on": "reset-before-request", "num_retries": 1},
            },
        },
    ]
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": _url("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "replica",
            "codec_type": "HTTP1",
            "server_header_transformation": "PASS_THROUGH",
            "use_remote_address": True,
            "skip_xff_append": True,
            "generate_request_id": False,
            "common_http_protocol_options": {"idle_timeout": "3600s"},
            "request_headers_timeout": "10s",
            "request_timeout": "0s",
            "stream_idle_timeout": _SILENT_STREAM,
            "delayed_close_timeout": "1s",
            "route_config": {"virtual_hosts": [{"name": "replica", "domains": ["*"], "routes": routes}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {
                        "@type": _url("extensions.filters.http.router.v3.Router"),
                        "suppress_envoy_headers": True,
                    },
                }
            ],
        },
    }


def _mutual(directory: Path) -> dict[str, Any]:
    names = [{"san_type": "DNS", "matcher": {"exact": name}} for name in CALLERS]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _url("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": True,
            "common_tls_context": {
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "alpn_protocols": ["http/1.1"],
                "tls_certificate_sds_secret_configs": [_followed(directory, _LEAF, LEAF_FILE)],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": names},
                    "validation_context_sds_secret_config": _followed(
                        directory, _AUTHORITIES, AUTHORITIES_FILE
                    ),
                },
            },
        },
    }


# ---------------------------------------------------------------- what is behind it


def _engine(directory: Path) -> dict[str, Any]:
    return {
        "name": ENGINE,
        "type": "EDS",
        "eds_cluster_config": {"service_name": ENGINE, "eds_config": _source(directory, ENGINE_FILE)},
        "common_lb_config": {"update_merge_window": "0s"},
        **_near(idle=_ENGINE_IDLE),
    }


def _agent(port: int) -> dict[str, Any]:
    ends = [{"lb_endpoints": [_loopback(port)]}]
    return {
        "name": "agent",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "agent", "endpoints": ends},
        **_near(idle="1s"),
    }


def _near(*, idle: str) -> dict[str, Any]:
    """What is the same for everything on this machine: it can't be overloaded by waiting, so nothing is limited here."""
    protocol = "extensions.upstreams.http.v3.HttpProtocolOptions"
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), _MANY)
    return {
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            f"envoy.{protocol}": {
                "@type": _url(protocol),
                "common_http_protocol_options": {"idle_timeout": idle},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _loopback(port: int) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}


def _followed(directory: Path, name: str, file: str) -> dict[str, Any]:
    return {"name": name, "sds_config": _source(directory, file)}


def _source(directory: Path, file: str) -> dict[str, Any]:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(directory / file)}}


def _url(message: str) -> str:
    return f"type.googleapis.com/envoy.{message}"


_SECRET = _url("extensions.transport_sockets.tls.v3.Secret")


def _file(resource: dict[str, Any]) -> str:
    return json.dumps({"resources": [resource]}, indent=1) + "\n"
