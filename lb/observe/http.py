"""Asking agents and engines over HTTP, and telling the kinds of failure apart that matter.

That nothing listens at an address is certain and final for this moment; everything else (a timeout, a reset, a route that
is gone) may be the fault of the way there.
"""

from __future__ import annotations

import httpx


def make_client() -> httpx.AsyncClient:
    """One client for all replicas; ignores proxies, which are for the way out and not for our own machines."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=512, keepalive_expiry=30)
    return httpx.AsyncClient(
        limits=limits, trust_env=False, follow_redirects=False, headers={"user-agent": "tradewind-controller"}
    )


def refused(error: httpx.TransportError) -> bool:
    """Whether the request failed because nothing listens there."""
    return _refused(error)


def _refused(error: BaseException | None) -> bool:
    """Looks through the layers: each one wraps the operating system's error in its own."""
    if error is None:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(_refused(e) for e in error.exceptions)
    return isinstance(error, ConnectionRefusedError) or _refused(error.__cause__ or error.__context__)
