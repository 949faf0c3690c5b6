"""Envoy's own answers (401, 404, 413, 503, ...) in the shape of OpenAI's errors, so that every client understands them.

Answers of replicas are never touched. Envoy's own texts for upstream failures name addresses of replicas, so those
are replaced; texts that our routes and scripts wrote are kept.
"""

from __future__ import annotations

from typing import Any

from lb.envoy.names import METADATA

_BODY = "%LOCAL_REPLY_BODY%"
_SERVICE = f"%METADATA(ROUTE:{METADATA}:service)%"
_RETRY_AFTER = f"%METADATA(ROUTE:{METADATA}:retry_after_s)%"
_UPSTREAM_FAILED = ["UF", "UC", "UO", "URX", "UR", "LR", "NC"]


def config() -> dict[str, Any]:
    """`local_reply_config` of the connection manager; the first mapper that matches wins."""
    retry = [
        {
            "header": {"key": "retry-after", "value": _RETRY_AFTER},
            "append_action": "ADD_IF_ABSENT",
        }
    ]
    invalid, unavailable = "invalid_request_error", "service_unavailable"
    return {
        "mappers": [
            _mapper(_status("EQ", 400), _BODY, invalid, None),
            _mapper(
                _status("EQ", 401),
                "No valid API key was given; send it as `Authorization: Bearer <key>`.",
                invalid,
                "invalid_api_key",
            ),
            _mapper(_status("EQ", 403), _BODY, "permission_error", "forbidden"),
            _mapper(
                _status("EQ", 404),
                "No service has this `model`; GET /v1/models lists those that can be asked for.",
                invalid,
                "model_not_found",
                param="model",
            ),
            _mapper(_status("EQ", 408), "The request did not arrive in time.", invalid, "request_timeout"),
            _mapper(_status("EQ", 413), "The request body is too large.", invalid, "request_too_large"),
            _mapper(_status("EQ", 429), _BODY, "rate_limit_error", "rate_limit_exceeded", headers=retry),
            _mapper(
                _both(_status("EQ", 503), _flags(["UH"])),
                f"No replica of {_SERVICE} is ready; try again in {_RETRY_AFTER} s.",
                "server_error",
                unavailable,
                headers=retry,
            ),
            _mapper(
                _both(_status("EQ", 503), _flags(_UPSTREAM_FAILED)),
                f"The replicas of {_SERVICE} did not answer; try again.",
                "server_error",
                unavailable,
                headers=retry,
            ),
            _mapper(_status("EQ", 503), _BODY, "server_error", unavailable, headers=retry),
            _mapper(
                _status("GE", 500), "The request failed on its way (%RESPONSE_FLAGS%).", "server_error", None
            ),
        ]
    }


def _mapper(
    condition: dict[str, Any],
    message: str,
    kind: str,
    code: str | None,
    *,
    param: str | None = None,
    headers: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    error = {"message": message, "type": kind, "param": param, "code": code}
    mapper: dict[str, Any] = {
        "filter": condition,
        "body_format_override": {"json_format": {"error": error}},
    }
    return {**mapper, "headers_to_add": headers} if headers else mapper


def _status(op: str, status: int) -> dict[str, Any]:
    # The runtime key is required by the schema; no runtime layer sets it.
    value = {"default_value": status, "runtime_key": f"tradewind.local_reply.{op.lower()}_{status}"}
    return {"status_code_filter": {"comparison": {"op": op, "value": value}}}


def _flags(flags: list[str]) -> dict[str, Any]:
    return {"response_flag_filter": {"flags": flags}}


def _both(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}
