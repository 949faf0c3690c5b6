"""Envoy's bootstrap: everything that does not change while the edge runs.

Services, replicas, keys and limits come by files (`lb.envoy.xds`). An edited bootstrap is the only reason to restart
Envoy, so nothing that a snapshot can change may stand here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lb.envoy import clusters, listener, names

MAX_CONNECTIONS = 8_000
"""Callers' connections to one edge; more are refused instead of running out of memory or of file descriptors, of
which each busy one needs two (Envoy raises its own limit to the hard one, often 20,000 in containers)."""


def render(
    *,
    edge_id: str,
    directory: Path,
    host: str,
    port: int,
    access_log: Path,
    secure: bool = False,
    max_connections: int = MAX_CONNECTIONS,
) -> str:
    """The bootstrap as JSON text: same arguments, same bytes.

    `directory` is the edge's private directory (the agent makes it 0700): the admin socket and the xDS files are in
    it. `host` and `port` take callers' HTTP/1.1 and HTTP/2: plain, or with TLS when `secure`. Relative paths would follow Envoy's working
    directory, so ValueError is raised for them.
    """
    for path in (directory, access_log):
        if not path.is_absolute():
            raise ValueError(f"{path} must be absolute")
    config = {
        "node": {"id": edge_id, "cluster": "tradewind-edge"},
        "admin": {
            "address": {"pipe": {"path": str(names.admin_socket(directory)), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "dynamic_resources": {"cds_config": names.from_file(directory, names.CDS_FILE)},
        "static_resources": {
            "listeners": [
                listener.public(
                    directory=directory, host=host, port=port, access_log=access_log, secure=secure
                )
            ],
            "clusters": [clusters.agent(directory)],
        },
        "overload_manager": _overload(max_connections),
        "layered_runtime": _runtime(),
    }
    return json.dumps(config, indent=1, sort_keys=True) + "\n"


def argv(
    binary: Path,
    bootstrap: Path,
    *,
    concurrency: int = 2,
    drain_time_s: int = 600,
    log_level: str = "warning",
) -> list[str]:
    """The command that runs Envoy on that bootstrap, logging to standard error.

    `concurrency` is the number of worker threads; `drain_time_s` how long a stopping listener lets requests finish.
    """
    return [
        str(binary),
        "--config-path",
        str(bootstrap),
        "--concurrency",
        str(concurrency),
        # A misspelt field in a file would otherwise be dropped silently, e.g. the whole list of keys.
        "--reject-unknown-dynamic-fields",
        # Two Envoys on one computer would otherwise fight over the same shared memory.
        "--disable-hot-restart",
        "--file-flush-interval-msec",
        "100",
        "--drain-time-s",
        str(drain_time_s),
        "--log-level",
        log_level,
        # Says at every change of the keys that api_key_auth is work in progress; pinned by version and tests.
        "--component-log-level",
        "misc:error",
    ]


def _overload(max_connections: int) -> dict[str, Any]:
    monitor = {
        "@type": names.type_url(
            "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
        ),
        "max_active_downstream_connections": max_connections,
    }
    return {
        "resource_monitors": [
            {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": monitor}
        ]
    }


def _runtime() -> dict[str, Any]:
    """Requests that wait for a connection count as load: otherwise a cold burst lands on a few replicas."""
    flags = {"envoy.reloadable_features.least_request_lb_count_pending_requests": True}
    return {"layers": [{"name": "static", "static_layer": flags}]}
