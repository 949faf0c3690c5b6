"""Calling the controller: on loopback as it is, in the clouds with TLS and by the name in its certificate."""

from __future__ import annotations

import ssl

import httpx

from lb.mutual import Mutual
from spec.certificates import CONTROLLER

NAMED = {"sni_hostname": CONTROLLER}
"""Of each request: the controller is called by its address, which its certificate does not have."""


def make_client(
    url: str, mutual: Mutual | None, *, timeout: httpx.Timeout, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """A client for `url`. The environment's proxies are not for it: the controller is ours."""
    verify = ssl.create_default_context() if mutual is None else mutual.client
    return httpx.AsyncClient(
        base_url=url, timeout=timeout, transport=transport, trust_env=False, verify=verify
    )
