"""Names that the bootstrap and the xDS files must agree on: files, resources, headers, metadata.

They are in one place because a mismatch is silent: Envoy would wait for ever for a resource, or let a header pass.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

CDS_FILE = "cds.json"
RDS_FILE = "rds.json"
KEYS_FILE = "ecds-api_keys.json"
BODY_LIMIT_FILE = "ecds-body_limit.json"

ROUTES = "public"
"""The one route configuration, that of the public listener."""
KEYS_FILTER = "api_keys"
BODY_LIMIT_FILTER = "body_limit"
ADMIT_FILTER = "admit"
"""Names of HTTP filters; for the first two also the names of their ECDS resources."""
STAT_PREFIX = "public"
"""Of the public listener's counters."""

KEY_HASH_HEADER = "x-tradewind-key-sha256"
"""Carries the hash of the caller's key between two filters; never accepted from a caller, never sent to a replica."""
CLIENT_HEADER = "x-client-id"
"""The key's public id, told to the replica; never accepted from a caller."""
CALLER_KEY_HEADERS = ("authorization", "x-api-key")

METADATA = "tradewind"
"""Namespace of our route metadata, endpoint metadata and dynamic metadata."""

NO_CLUSTER = "~none"
"""A cluster that never exists: no service may have this name."""
AGENT_CLUSTER = "~agent"
"""The agent's socket, where held requests ask; no service may have this name either."""

PUBLIC = "public"
CLIENT = "client"
AUTHORITIES = "authorities"
"""Names of secrets: what callers see, what replicas see, and whose certificates are believed of replicas."""

READY_PATH = "/edge/ready"

_SOCKET_PATH_MAX = 100
_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def xds_dir(directory: Path) -> Path:
    """Where Envoy watches its files: nothing else is ever renamed into this folder."""
    return directory / "xds"


def sds_dir(directory: Path) -> Path:
    """Where Envoy watches its certificates, apart from what snapshots change."""
    return directory / "sds"


def sds_file(name: str) -> str:
    """File name of a secret."""
    return f"{name}.json"


def eds_file(service: str) -> str:
    """File name of a service's endpoints.

    A name that is not plain enough for every file system (upper case, dots, slashes, anything hostile) is replaced
    by a hash; `~` can't start a plain name, so the two kinds never meet.
    """
    return f"eds-{stem(service)}.json"


def arrivals(service: str) -> str:
    """Name of the counter of requests that came for a service, under the prefix of its filter."""
    return f"arrived.{stem(service)}"


def stem(service: str) -> str:
    """The service's name where only plain ones will do."""
    plain = _PLAIN.fullmatch(service) is not None
    return service if plain else "~" + hashlib.sha256(service.encode()).hexdigest()[:32]


def hold_path(service: str) -> str:
    """Where a held request of the service asks the agent whether it may go on."""
    return f"/v1/hold/{stem(service)}"


def admin_socket(directory: Path) -> Path:
    """Unix socket of Envoy's admin interface, for the owner of `directory` only.

    The kernel takes about 104 bytes of path; a deeper directory gets a short private one under /tmp, which whoever
    starts Envoy must make (`lb.edge` does).
    """
    return _sockets(directory) / "admin.sock"


def agent_socket(directory: Path) -> Path:
    """Unix socket of the agent, for Envoy only; in the same folder as the admin socket."""
    return _sockets(directory) / "agent.sock"


def _sockets(directory: Path) -> Path:
    if len(str(directory / "admin.sock").encode()) <= _SOCKET_PATH_MAX:
        return directory
    short = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return Path("/tmp") / f"tradewind-{short}"  # noqa: S108 - made 0700 and its owner checked


def type_url(message: str) -> str:
    """The `@type` of a protobuf message of Envoy's API, named without its `envoy.` prefix."""
    return f"type.googleapis.com/envoy.{message}"


def from_file(directory: Path, file: str) -> dict[str, object]:
    """A config source that follows renames of one file in `directory`'s xDS folder."""
    path = str(xds_dir(directory) / file)
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}
