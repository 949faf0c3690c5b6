"""Envoy's two uses of TLS: towards callers, and with replicas in clouds, where both ends show a certificate.

Certificates come by files of their own (SDS), which Envoy follows like all others: a renewal restarts nothing and breaks
no connection.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lb.envoy import names
from lb.envoy.names import type_url

MATCH = "envoy.transport_socket_match"
"""Namespace of the endpoint metadata that chooses between plain and TLS."""

_CIPHERS = [
    f"ECDHE-{kind}-{cipher}"
    for kind in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
]
"""Of TLS 1.2, for callers; TLS 1.3 has only good ones."""


def certificate(name: str, *, cert: str, key: str) -> str:
    """The file of a certificate chain and its key, both in PEM."""
    pair = {"certificate_chain": {"inline_string": cert}, "private_key": {"inline_string": key}}
    return _file(name, {"tls_certificate": pair})


def authorities(ca: str) -> str:
    """The file of the authorities that replicas' certificates may be of, in PEM."""
    return _file(names.AUTHORITIES, {"validation_context": {"trusted_ca": {"inline_string": ca}}})


def towards_callers(directory: Path) -> dict[str, Any]:
    """The public listener's transport socket."""
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "cipher_suites": _CIPHERS},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [_followed(directory, names.PUBLIC)],
    }
    message = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    return _socket({"@type": type_url(message), "common_tls_context": common})


def towards_replicas(directory: Path, service: str) -> dict[str, Any]:
    """A service's transport socket: whoever answers must be of the authority, and of a pool of this service."""
    ours = {"san_type": "DNS", "matcher": {"prefix": f"{service}."}}
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [_followed(directory, names.CLIENT)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [ours]},
            "validation_context_sds_secret_config": _followed(directory, names.AUTHORITIES),
        },
    }
    message = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    return _socket({"@type": type_url(message), "common_tls_context": common})


def _followed(directory: Path, name: str) -> dict[str, Any]:
    path = str(names.sds_dir(directory) / names.sds_file(name))
    return {
        "name": name,
        "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": path}},
    }


def _socket(config: dict[str, Any]) -> dict[str, Any]:
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _file(name: str, secret: dict[str, Any]) -> str:
    message = type_url("extensions.transport_sockets.tls.v3.Secret")
    return json.dumps({"resources": [{"@type": message, "name": name, **secret}]}, indent=1) + "\n"
