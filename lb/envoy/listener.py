"""The public listener: its connection manager, the order of its filters, and its access log.

The order of the filters is the security of the edge: forged internal headers are dropped first, by configuration
that can't fail; then the key is hashed and compared; only then is a body read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lb.envoy import local_replies, names, tls
from lb.envoy.names import type_url

_HERE = Path(__file__).parent
_MATCHES_NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}


def public(*, directory: Path, host: str, port: int, access_log: Path, secure: bool) -> dict[str, Any]:
    """The listener that callers reach; `secure`: by TLS."""
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": _connection_manager(directory, access_log),
    }
    chain: dict[str, Any] = {"filters": [manager]}
    if secure:
        chain["transport_socket"] = tls.towards_callers(directory)
    return {
        "name": "public",
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [chain],
    }


def _connection_manager(directory: Path, access_log: Path) -> dict[str, Any]:
    return {
        "@type": type_url("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": names.STAT_PREFIX,
        "codec_type": "AUTO",
        "server_name": "tradewind",
        "use_remote_address": True,
        # Callers on private addresses would count as internal, and their x-envoy-* headers would be obeyed.
        "internal_address_config": {"cidr_ranges": [_MATCHES_NOBODY]},
        "normalize_path": True,
        "merge_slashes": True,
        "always_set_request_id_in_response": True,
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {"idle_timeout": "600s", "max_headers_count": 100},
        "request_headers_timeout": "10s",
        # Receiving the request only; answers may take as long as they send something (idle timeout of the route).
        "request_timeout": "120s",
        "stream_idle_timeout": "600s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "30s",
        "rds": {
            "route_config_name": names.ROUTES,
            "config_source": names.from_file(directory, names.RDS_FILE),
        },
        "local_reply_config": local_replies.config(),
        "access_log": [_access_log(access_log)],
        "http_filters": _filters(directory),
    }


def _filters(directory: Path) -> list[dict[str, Any]]:
    return [
        _headers(),
        _lua("hash_key", "hash_key.lua"),
        _discovered(
            directory,
            names.KEYS_FILTER,
            names.KEYS_FILE,
            "extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        ),
        _discovered(
            directory,
            names.BODY_LIMIT_FILTER,
            names.BODY_LIMIT_FILE,
            "extensions.filters.http.body_size_limit.v3.BodySizeLimit",
        ),
        _lua(names.ADMIT_FILTER, "scan.lua", "admit.lua"),
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": type_url("extensions.filters.http.router.v3.Router"),
                "suppress_envoy_headers": True,
            },
        },
    ]


def _headers() -> dict[str, Any]:
    """Drops forged internal headers, and lets browsers read every answer (also 401 and 404)."""

    def answer(key: str, value: str) -> dict[str, Any]:
        header = {"key": key, "value": value}
        return {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}

    return {
        "name": "headers",
        "typed_config": {
            "@type": type_url("extensions.filters.http.header_mutation.v3.HeaderMutation"),
            "mutations": {
                "request_mutations": [
                    {"remove": header} for header in (names.KEY_HASH_HEADER, names.CLIENT_HEADER)
                ],
                "response_mutations": [
                    answer("access-control-allow-origin", "*"),
                    answer("access-control-expose-headers", "x-request-id, retry-after"),
                ],
            },
        },
    }


def _lua(name: str, *files: str) -> dict[str, Any]:
    """One script of several files: each filter costs every request some microseconds."""
    source = "\n".join((_HERE / file).read_text(encoding="utf-8") for file in files)
    return {
        "name": name,
        "typed_config": {
            "@type": type_url("extensions.filters.http.lua.v3.Lua"),
            "default_source_code": {"inline_string": source},
            "stat_prefix": name,
        },
    }


def _discovered(directory: Path, name: str, file: str, message: str) -> dict[str, Any]:
    """A filter whose configuration changes while Envoy runs (ECDS)."""
    discovery = {"config_source": names.from_file(directory, file), "type_urls": [type_url(message)]}
    return {"name": name, "config_discovery": discovery}


def _access_log(path: Path) -> dict[str, Any]:
    """One JSON object per request: no body, no query string, no key."""
    metadata = names.METADATA
    fields = {
        "ts": "%START_TIME(%s.%6f)%",
        "id": "%REQ(x-request-id)%",
        "client": f"%REQ({names.CLIENT_HEADER})%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "model": f"%DYNAMIC_METADATA({metadata}:model)%",
        "service": f"%METADATA(ROUTE:{metadata}:service)%",
        "replica": f"%UPSTREAM_METADATA({metadata}:replica)%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "ms": "%DURATION%",
        "rx": "%BYTES_RECEIVED%",
        "tx": "%BYTES_SENT%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": type_url("extensions.access_loggers.file.v3.FileAccessLog"),
            "path": str(path),
            "log_format": {"json_format": fields},
        },
    }
