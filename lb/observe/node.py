"""Asking a node agent what its machine does: one short request on a connection of its own.

Every agent is asked about twice a second, and a general HTTP client takes three times the processor time for it; what
answers is our own agent, so a request line, a status line and a body until the connection ends are all there is to it.
Over TLS it is the other way round: a handshake costs more than the client, which keeps its connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math

import httpx

from lb.agent.api import NEEDED_HEADER
from lb.observe.http import named, origin, refused

_REQUEST = b"GET /v1/node%b HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n"
_BEHIND_TLS = "/.tradewind/node"
"""Where a machine's own Envoy passes requests on to the agent; everything else goes to the engine."""
_WITH_GPUS = "?gpu=1"
"""How busy its GPUs are costs the machine something, so it is asked only where it is needed."""
_MOST_BYTES = 64 * 1024


class NodeSilent(Exception):
    """There is no usable answer; it may be the fault of the way there."""


class NodeRefused(Exception):
    """Nothing listens there, which is certain."""


async def ask_node(address: str, port: int, *, timeout_s: float, gpus: bool = False) -> dict[str, object]:
    """The agent's answer, with how busy its GPUs are where that is wanted; raises NodeSilent or NodeRefused."""
    try:
        async with asyncio.timeout(timeout_s):
            raw = await _exchange(address, port, _REQUEST % (_WITH_GPUS.encode() if gpus else b""))
    except ConnectionRefusedError as e:
        raise NodeRefused(str(e)) from e
    except (OSError, asyncio.IncompleteReadError) as e:  # TimeoutError is an OSError
        raise NodeSilent(str(e) or "no answer in time") from e
    head, _, body = raw.partition(b"\r\n\r\n")
    return _read(body, ok=head.split(b" ", 2)[1:2] == [b"200"])


async def ask_node_over_tls(
    client: httpx.AsyncClient,
    address: str,
    port: int,
    *,
    peer: str,
    timeout_s: float,
    gpus: bool = False,
    needed: bool = False,
) -> dict[str, object]:
    """The same of a machine that has to show a certificate of the name `peer`; raises NodeSilent or NodeRefused.

    `needed`: callers are sent there, so that it must not let its cloud end it before the time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.get(
                f"{origin(address, port, peer)}{_BEHIND_TLS}{_WITH_GPUS if gpus else ''}",
                headers={NEEDED_HEADER: "1"} if needed else None,
                timeout=None,
                extensions=named(peer),
            )
    except httpx.TransportError as e:
        if refused(e):
            raise NodeRefused(str(e)) from e
        raise NodeSilent(str(e) or type(e).__name__) from e
    except TimeoutError as e:
        raise NodeSilent("no answer in time") from e
    return _read(response.content, ok=response.status_code == httpx.codes.OK)


def _read(body: bytes, *, ok: bool) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError as e:
        raise NodeSilent("its answer is not JSON") from e
    if not ok or not isinstance(answer, dict):
        raise NodeSilent("its answer is not that of a node agent")
    return answer


def moment(value: object) -> float | None:
    """Epoch seconds from an answer; None where it names no moment."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def gpu_share(value: object) -> float | None:
    """The share in an answer, 0 to 1; None where it is none."""
    share = moment(value)
    return None if share is None or not 0 <= share <= 1 else round(share, 2)


async def _exchange(address: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address, port, limit=_MOST_BYTES)
    try:
        writer.write(request)
        raw = bytearray()
        while len(raw) < _MOST_BYTES and (chunk := await reader.read(_MOST_BYTES)):
            raw += chunk
        return bytes(raw)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
