"""Asking agents and engines over HTTP, and telling the kinds of failure apart that matter.

That nothing listens at an address is certain and final for this moment; everything else (a timeout, a reset, a route that
is gone) may be the fault of the way there.
"""

from __future__ import annotations

import ssl

import httpx


def make_client(verify: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """One client for all replicas; ignores proxies, which are for the way out and not for our own machines.

    `verify`: what we show to machines with certificates, and whom we believe; see `lb.mutual`.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=512, keepalive_expiry=30)
    return httpx.AsyncClient(
        limits=limits,
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": "tradewind-controller"},
        verify=verify or ssl.create_default_context(),
    )


def origin(address: str, port: int, peer: str | None) -> str:
    """Where a machine is asked: with TLS when it has to show that it is `peer`."""
    host = f"[{address}]" if ":" in address else address
    return f"{'http' if peer is None else 'https'}://{host}:{port}"


def named(peer: str | None) -> dict[str, str]:
    """What makes a request fail unless the other end shows a certificate of that name: its address is in none."""
    return {} if peer is None else {"sni_hostname": peer}


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
