"""The small notations inside of a service file: `A100:8`, `32+`, `320Gi`, `8000/tcp`, `70B`, `gcp/us-central1`.

Each reader takes what YAML gave and returns a value, or raises Wrong with what is expected and a way out. The value
itself stays out of the messages: whoever shows the problem knows whether it may be shown.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic_core import to_json

from spec.service import Accelerator, Amount

MAX_ACCELERATORS = 1024
MAX_NAME = 40
MAX_PORT = 65535


class Wrong(ValueError):
    """A value that does not mean anything; `hint` is the way out."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def accelerator(value: Any) -> Accelerator:
    """`A100-80GB:2`, or `A100` for one."""
    wrong = Wrong(
        "must be `NAME:COUNT`, the count a whole number of at least 1", "For example `A100-80GB:2`."
    )
    if isinstance(value, Accelerator):
        return value
    if not isinstance(value, str):
        raise wrong
    name, _, count = value.partition(":")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,39}", name.strip()):
        raise wrong
    if not re.fullmatch(r"\s*([1-9][0-9]{0,3})\s*|", count) or int(count or 1) > MAX_ACCELERATORS:
        raise wrong
    if ":" in value and not count.strip():
        raise wrong
    return Accelerator(name=name.strip(), count=int(count or 1))


_MEMORY_UNITS = {"": 1, "g": 1, "gb": 1, "gi": 1, "gib": 1, "t": 1024, "tb": 1024, "ti": 1024, "tib": 1024}
_KUBERNETES_UNITS = {"gi", "ti"}


def vcpus(value: Any) -> Amount:
    """`8` exactly, `8+` at least."""
    amount = _amount(value)
    if amount is None or amount[1]:
        raise Wrong("must be a number of vCPUs above 0, or a least number", "For example `8` or `8+`.")
    return Amount(value=amount[0], at_least=amount[2])


def memory_gib(value: Any) -> Amount:
    """GiB: `32` exactly, `32+` at least. `320Gi`, as Kubernetes requests are written, is at least, as there."""
    amount = _amount(value)
    if amount is None or amount[1] not in _MEMORY_UNITS:
        raise Wrong("must be an amount of memory in GiB above 0", "For example `32`, `32+` or `320Gi`.")
    size, unit, at_least = amount
    return Amount(value=size * _MEMORY_UNITS[unit], at_least=at_least or unit in _KUBERNETES_UNITS)


def disk_gib(value: Any) -> int:
    """Whole GiB: `1024`, `1024GB`, `1Ti`."""
    amount = _amount(value)
    if amount is None or amount[1] not in _MEMORY_UNITS or amount[0] * _MEMORY_UNITS[amount[1]] < 1:
        raise Wrong("must be a disk size in GiB, at least 1", "For example `1024` or `2Ti`.")
    return math.ceil(amount[0] * _MEMORY_UNITS[amount[1]])


def _amount(value: Any) -> tuple[float, str, bool] | None:
    """(number, unit in lower case, at least); None when it is no positive amount."""
    if isinstance(value, bool):
        return None
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)\s*(\+?)\s*", str(value))
    if match is None or float(match[1]) <= 0:
        return None
    return float(match[1]), match[2].lower(), bool(match[3])


def port(value: Any) -> int:
    """`8000` or `8000/tcp`."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}-[0-9]{1,5}", value):
        raise Wrong("is a range; the engine listens on one port", "Name that port, for example `8000`.")
    text = "" if isinstance(value, bool) else str(value).removesuffix("/tcp")
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_PORT:
        raise Wrong("must be a TCP port from 1 to 65535", "For example `8000`.")
    return int(text)


_PARAMETER_UNITS = {"M": 1e-3, "B": 1.0, "T": 1e3}


def parameters_b(value: Any) -> float:
    """Billions of parameters from `70B`, `350M` or `1.5T`."""
    text = value.strip().upper() if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9]+X[0-9.]+[MBT]", text):
        hint = "For example `46.7B` for Mixtral 8x7B."
        raise Wrong("must be the model's total, because experts share weights", hint)
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([MBT])", text)
    if match is None or float(match[1]) <= 0:
        raise Wrong("must be a number of parameters with its unit", "For example `70B` or `350M`.")
    return float(match[1]) * _PARAMETER_UNITS[match[2]]


_BYTE_UNITS = {"": 1, "ki": 1024, "mi": 1024**2, "gi": 1024**3, "kb": 1024, "mb": 1024**2, "gb": 1024**3}


def size_bytes(value: Any) -> int:
    """Bytes: `8388608` or `8Mi`."""
    amount = _amount(value)
    if amount is None or amount[2] or amount[1] not in _BYTE_UNITS or amount[0] * _BYTE_UNITS[amount[1]] < 1:
        raise Wrong("must be a number of bytes, at least 1", "For example `8388608` or `8Mi`.")
    return math.ceil(amount[0] * _BYTE_UNITS[amount[1]])


def cloud(value: Any) -> str | None:
    """A cloud's name in lower case; `*` and `any` are any cloud."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in {"*", "any"}:
        return None
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", text):
        raise Wrong("must be the name of a cloud", "For example `aws`; leave it out for any cloud.")
    return {"k8s": "kubernetes"}.get(text, text)


def place(value: Any) -> str | None:
    """A region, a zone or an instance type; `*` is any."""
    if not isinstance(value, str) or not re.fullmatch(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value.strip()):
        raise Wrong("must be a name, as the cloud writes it", "For example `us-east-1`.")
    return None if value.strip() == "*" else value.strip()


def infra(value: Any) -> tuple[str | None, str | None, str | None]:
    """`cloud/region/zone`, later parts optional, `*` for any; `k8s/context` has its context as the region."""
    parts = [p.strip() for p in value.strip("/").split("/")] if isinstance(value, str) else []
    if not parts or len(parts) > 3:  # noqa: PLR2004 - cloud, region, zone
        raise Wrong(
            "must be `cloud`, `cloud/region` or `cloud/region/zone`", "For example `gcp/us-central1`."
        )
    places = [place(p) for p in parts[1:]] + [None, None]
    return cloud(parts[0]), places[0], places[1]


def service_name(value: Any) -> str:
    """A name that can stand in pool ids and in the clouds' resource names."""
    if isinstance(value, str) and re.fullmatch(rf"[a-z]([-a-z0-9]{{0,{MAX_NAME - 2}}}[a-z0-9])?", value):
        return value
    legal = slug(value) if isinstance(value, str) else None
    message = f"must be lower-case letters, digits and `-`, begin with a letter, and have at most {MAX_NAME} characters"
    raise Wrong(message, f"For example `{legal}`." if legal else None)


def slug(text: str) -> str | None:
    """The nearest legal service name; None when nothing is left of it."""
    legal = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:MAX_NAME].strip("-")
    return legal or None


def env_name(value: str) -> str:
    """A name that a shell takes as a variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise Wrong("is no name of an environment variable", "Use letters, digits and `_`.")
    return value


def lower(value: Any) -> Any:
    """Text in lower case; anything else is left for the field's type to refuse."""
    return value.lower() if isinstance(value, str) else value


def text_or_map(value: Any) -> Any:
    """A field that is usually text, and that SkyPilot also takes as a map."""
    if not value or not isinstance(value, str | dict):
        raise Wrong("must be text")
    return value


def probe_path(value: Any) -> str:
    """`/health`: the path of a URL, with its query."""
    if not isinstance(value, str) or not re.fullmatch(r"/[\x21-\x7e]{0,2000}", value):
        raise Wrong("must be a path that begins with `/`, without spaces", "For example `/health`.")
    return value


def header_name(value: str) -> str:
    """A token of RFC 9110, section 5.1."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}", value):
        raise Wrong("is no name of an HTTP header")
    return value


def header_value(value: Any) -> str:
    """Text of one line; a number is taken as it would be sent."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Wrong("must be text")
    if not re.fullmatch(r"[\t\x20-\x7e]{0,8000}", str(value)):
        raise Wrong("must be one line of ASCII text")
    return str(value)


def post_data(value: Any) -> Any:
    """The JSON value to send: a map as it stands, or JSON in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_constant=_no_constant)
        except (ValueError, RecursionError) as e:
            raise Wrong("is text that is not JSON", "Write it as a YAML map instead.") from e
    if not isinstance(value, dict | list):
        raise Wrong("must be a map, or JSON in a string", "For example `{prompt: hi, max_tokens: 1}`.")
    try:
        json.dumps(value, allow_nan=False)
        to_json(value)
    except (ValueError, RecursionError) as e:
        raise Wrong(
            "holds something that can't be sent as JSON: NaN, infinity, or nesting without end"
        ) from e
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def per_replica(value: Any) -> float | dict[str, float]:
    """What a replica takes: one number, or one per accelerator."""
    wrong = Wrong(
        "must be a number above 0, or a map from accelerators to such numbers", "For example `2.5`."
    )
    if isinstance(value, dict) and value:
        return {key: _above_zero(v, wrong) for key, v in value.items() if accelerator(key)}
    return _above_zero(value, wrong)


def above_zero(value: Any) -> float:
    """A number above 0."""
    return _above_zero(value, Wrong("must be a number above 0"))


def share(value: Any) -> float:
    """A share above 0 and up to 1; `80%` is 0.8."""
    match = (
        re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*", value) if isinstance(value, str) else None
    )
    wrong = Wrong("must be a share above 0 and at most 1", "For example `0.8` or `80%`.")
    found = _above_zero(float(match[1]) / 100 if match else value, wrong)
    if found > 1:
        raise wrong
    return found


_LEAST_SLO, _HIGHEST_SLO = 50.0, 99.99
"""Closer to always than that is not a matter of where replicas are."""


def slo(value: Any) -> float:
    """A target of availability in percent, from 50 to 99.99; `99.9%` is 99.9."""
    text = value.strip().removesuffix("%") if isinstance(value, str) else value
    try:
        found = math.nan if isinstance(text, bool) else float(text)
    except (TypeError, ValueError):
        found = math.nan
    if not _LEAST_SLO <= found <= _HIGHEST_SLO:
        near = f"Write `{found * 100:g}`." if _LEAST_SLO / 100 <= found < 1 else "For example `99.9`."
        raise Wrong(f"must be a percentage from {_LEAST_SLO:g} to {_HIGHEST_SLO:g}", near)
    return found


def _above_zero(value: Any, wrong: Wrong) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    if not math.isfinite(value) or value <= 0:
        raise wrong
    return float(value)
