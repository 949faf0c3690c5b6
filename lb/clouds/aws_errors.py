"""AWS's refusals in the words of the driver protocol, from its error codes and from the text of its activity log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from lb.clouds.protocol import (
    Denied,
    DriverError,
    InsufficientCapacity,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unreachable,
)

P = ParamSpec("P")
T = TypeVar("T")

_CAPACITY = (
    "InsufficientInstanceCapacity",
    "UnfulfillableCapacity",
    "do not have sufficient",
    "no Spot capacity",
)
_QUOTA = (
    "VcpuLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "InstanceLimitExceeded",
    "requested more vCPU capacity",
    "Max spot instance count exceeded",
)
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ScalingActivityInProgress",
        "ResourceContention",
    }
)
_DENIED = frozenset(
    {
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "InvalidClientTokenId",
        "OptInRequired",
        "InvalidIdentityToken",
    }
)


async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The call in a thread, its errors as the protocol's."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except ClientError as e:
        raise _translated(e) from e
    except (NoCredentialsError, PartialCredentialsError) as e:
        raise Denied(f"AWS: {e}") from e
    except BotoCoreError as e:
        raise Unreachable(f"AWS: {e}") from e


def _translated(error: ClientError) -> DriverError:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    text = f"{code}: {message}"
    if code in _THROTTLED:
        return Throttled(text)
    if code in _DENIED:
        return Denied(text)
    if code == "ResourceNotFoundException":
        return NotFound(text)
    if code == "ValidationError" and "above max value" in message:
        return QuotaExceeded(text)
    if code == "ValidationError" and ("not found" in message.lower() or "No managed instance" in message):
        return NotFound(text)
    kind = refused(text)
    return {InsufficientCapacity.kind: InsufficientCapacity, QuotaExceeded.kind: QuotaExceeded}.get(
        kind, Unreachable
    )(text)


def refused(message: str) -> str:
    """The protocol's word for why a launch was refused."""
    if any(sign in message for sign in _QUOTA):
        return QuotaExceeded.kind
    if any(sign in message for sign in _CAPACITY):
        return InsufficientCapacity.kind
    return DriverError.kind
