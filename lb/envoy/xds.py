"""A snapshot as Envoy's xDS files: file name -> text, same snapshot, same bytes.

Made with a serialiser only: Envoy logs the whole text of a file that it can't parse.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lb.envoy import clusters, names, routes
from lb.envoy.names import type_url
from spec.snapshot import Key, Snapshot


def render(snapshot: Snapshot | None, *, directory: Path, mutual: bool = False) -> dict[str, str]:
    """The files of `directory`'s xDS folder for this snapshot; None is an edge that has never seen one.

    `mutual`: whether the edge has a certificate of its own, with which it reaches replicas in clouds.

    Raises ValueError when two services have the same name. Endpoints that Envoy could not take are left out;
    `problems` names them.
    """
    services = sorted(snapshot.services, key=lambda s: s.name) if snapshot else []
    twice = [name for name, n in Counter(s.name for s in services).items() if n > 1]
    if twice:
        raise ValueError(f"two services are named {twice[0]!r}")
    for name in ("", names.NO_CLUSTER, names.AGENT_CLUSTER):
        if any(s.name == name for s in services):
            raise ValueError(f"a service can't be named {name!r}")
    limit = routes.max_request_bytes(services)
    files = {names.eds_file(s.name): _file([clusters.load_assignment(s)]) for s in services}
    files[names.CDS_FILE] = _file([clusters.cluster(s, directory, mutual=mutual) for s in services])
    files[names.RDS_FILE] = _file([routes.render(snapshot)])
    files[names.KEYS_FILE] = _file([_keys(snapshot.keys if snapshot else ())])
    files[names.BODY_LIMIT_FILE] = _file([_body_limit(limit)])
    return files


def problems(snapshot: Snapshot) -> list[str]:
    """What of the snapshot could not be rendered, a sentence each."""
    said = [
        f"service {s.name}: replica {e.replica_id} is left out, its address {e.address!r} is not an IP address"
        for s in snapshot.services
        for e in s.endpoints
        if not clusters.is_ip(e.address)
    ]
    if len([s for s in snapshot.services if not s.routing.models]) > 1:
        said.append(
            "several services name no models: they are reached by their own names and their engines' models only"
        )
    return said


def _keys(keys: tuple[Key, ...]) -> dict[str, Any]:
    """Deny by default: with no key in the snapshot, everybody gets 401."""
    credentials = {k.sha256: k.id for k in sorted(keys, key=lambda k: (k.sha256, k.id), reverse=True)}
    return _extension(
        names.KEYS_FILTER,
        {
            "@type": type_url("extensions.filters.http.api_key_auth.v3.ApiKeyAuth"),
            "credentials": [{"key": k, "client": credentials[k]} for k in sorted(credentials)],
            "key_sources": [{"header": names.KEY_HASH_HEADER}],
            "forwarding": {"header": names.CLIENT_HEADER, "hide_credentials": True},
        },
    )


def _body_limit(max_request_bytes: int) -> dict[str, Any]:
    message = "extensions.filters.http.body_size_limit.v3.BodySizeLimit"
    return _extension(
        names.BODY_LIMIT_FILTER,
        {"@type": type_url(message), "max_request_bytes": str(max_request_bytes)},
    )


def _extension(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": type_url("config.core.v3.TypedExtensionConfig"),
        "name": name,
        "typed_config": config,
    }


def _file(resources: list[dict[str, Any]]) -> str:
    return json.dumps({"resources": resources}, indent=1, sort_keys=True) + "\n"
