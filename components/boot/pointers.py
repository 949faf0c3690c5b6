"""What hosts run, as the objects that name it: an archive, and the settings of the role's service.

The settings are those of `lb.config`, `lb.edge.config` and `lb.agent.config`. `secret:`, `state:`, `run:`, `release:` and `host:` stand for what only the host knows
(`components/boot/settings.py` fills it in), so that all hosts of a role share one pointer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from components.cloud import CONTROLLER_PORT, EDGE_PORT, REPLICA_PORT
from spec import certificates
from spec.secrets import CLOUDFLARE_TOKEN
from spec.stack import StackConfig

EDGE_AGENT_PORT = 9445
"""On loopback: health and metrics of an edge's agent."""
NODE_AGENT_PORT = 9446
"""On loopback of a replica's machine: its agent, which others reach through the machine's Envoy."""
TICK_S = 5.0
"""Clouds limit how often one may look."""


def pointer_key(role: str) -> str:
    """Where a bucket names what machines of that role run."""
    return f"hosts/{role}.json"


def pointer(*, archive: str, sha256: str, settings: Mapping[str, Any] | None = None) -> str:
    """The text of a pointer object.

    A change of archive or settings rolls over the hosts, one at a time, and is the one diff that a preview shows of an update.
    """
    return json.dumps(
        {"archive": archive, "sha256": sha256, "settings": dict(settings or {})}, indent=1, sort_keys=True
    )


def node_settings() -> dict[str, Any]:
    """`lb.agent.config.CloudNode`, the same for all replicas' machines of all clouds."""
    facts = ("cloud", "env", "region", "service", "bucket", "store")
    return {
        "schema": 1,
        **{name: f"host:{name}" for name in facts},
        "pool_id": "host:pool",
        "work_dir": "state:node",
        "run_dir": "run:node",
        "agent_port": NODE_AGENT_PORT,
        "sidecar": {
            "address": "0.0.0.0",  # noqa: S104 - callers with certificates alone; the firewall lets in nobody else
            "port": REPLICA_PORT,
            "envoy": "release:site/envoy/_bin/envoy",
            "user": "tradewind",
        },
    }


def controller_settings(
    config: StackConfig,
    *,
    env: str,
    home: tuple[str, str],
    bucket: str,
    clouds: Any,
    edges: Collection[str],
    apart: Any = None,
) -> dict[str, Any]:
    """`lb.config.ControllerConfig`, whose values may be known later.

    `home`: cloud and region of the host. `clouds`, `apart`: the fields of these names, perhaps known later. `edges`: clouds with edge hosts.
    """
    issued = None if config.tls.mode == "files" else config.tls.mode
    return {
        "stack": env,
        "env": env,
        "bucket": bucket,
        "host": "0.0.0.0",  # noqa: S104 - the firewall lets edges in, and nobody else
        "port": CONTROLLER_PORT,
        "token_file": f"secret:{certificates.TOKEN}",
        "tick_s": TICK_S,
        "home": {"cloud": home[0], "region": home[1]},
        "clouds": clouds,
        **({} if apart is None else {"apart": apart}),
        "certificates": {
            "ca_file": f"secret:{certificates.AUTHORITY}",
            "ca_key_file": f"secret:{certificates.AUTHORITY_KEY}",
            "edges": sorted(set(edges)),
            "public": issued,
            **_acme(config),
        },
    }


def _acme(config: StackConfig) -> dict[str, Any]:
    if config.tls.mode != "acme":
        return {}
    token = {"token_file": f"secret:{CLOUDFLARE_TOKEN}"} if config.dns.owner == "cloudflare" else {}
    return {
        "acme": {
            "directory": config.tls.directory,
            "email": config.tls.email,
            "owner": config.dns.owner,
            "zone": config.dns.zone,
            **token,
        }
    }


def edge_settings(config: StackConfig, *, cloud: str, controller_url: Any) -> dict[str, Any]:
    """`lb.edge.config.EdgeConfig`, for the edge hosts of one cloud. `controller_url` may be known later."""
    settings: dict[str, Any] = {
        "edge_id": "host:edge_id",
        "controller_url": controller_url,
        "token_file": f"secret:{certificates.TOKEN}",
        "bucket": "host:bucket",
        "dir": "state:edge",
        "access_log": "state:access.log",
        "host": "127.0.0.1",
        "port": EDGE_AGENT_PORT,
        "public_port": EDGE_PORT,
        "leaf_file": f"secret:{certificates.LEAF}",
    }
    if cloud == "aws":
        settings["bucket_region"] = "host:store"
    if config.tls.mode == "files":
        settings["public_cert_file"] = f"secret:{config.tls.cert}"
        settings["public_key_file"] = f"secret:{config.tls.key}"
    else:
        settings["public_file"] = f"secret:{certificates.PUBLIC}"
    return settings
