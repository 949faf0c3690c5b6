"""The only door to HTTP: never through a proxy, never along a redirect, and never without a limit of time and size.

A proxy that the machine's image is set up for must not see a metadata service or a signed request, and a signature is
not good for another place. What is worth another try is tried again here, with pauses that grow and differ.
"""

from __future__ import annotations

import http.client
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

_T = TypeVar("_T")

TIMEOUT_S = 10.0
"""For an answer to begin, and between two of its pieces."""
MOST_BYTES = 4 << 20
_SHOWN = 300
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unreachable(Exception):
    """There was no answer, or only half of one; another try may get it."""


class Refused(Exception):
    """An answer that is none of the expected ones."""

    def __init__(self, url: str, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        said = " ".join(body[:_SHOWN].decode(errors="replace").split())
        super().__init__(f"{_shown(url)}: {status} {said}".rstrip())
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def passes(self) -> bool:
        """Whether the other end only asks for patience."""
        return self.status in _AGAIN


@dataclass(frozen=True)
class Request:
    """What is asked. `url` is complete and quoted."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """A whole answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Stay(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> None:
        """None: a redirect is an answer like others."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


_open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay()).open


@contextmanager
def opened(request: Request, *, timeout_s: float = TIMEOUT_S) -> Generator[http.client.HTTPResponse]:
    """An answer of the 200s whose body is still to be read. Raises Refused for others, and Unreachable."""
    asked = urllib.request.Request(  # noqa: S310 - our own URLs, or the cloud's
        request.url, request.body, dict(request.headers), method=request.method
    )
    try:
        with _open(asked, timeout=timeout_s) as response:
            yield response
    except urllib.error.HTTPError as e:
        with e:
            try:
                body = e.read(MOST_BYTES)
            except (OSError, http.client.HTTPException):
                body = b""
            raise Refused(request.url, e.code, body, _lower(e.headers)) from None
    except urllib.error.URLError as e:
        raise Unreachable(f"{_shown(request.url)}: {e.reason}") from None
    except http.client.HTTPException as e:
        raise Unreachable(f"{_shown(request.url)}: {type(e).__name__}: {e}") from None
    except (TimeoutError, ConnectionError) as e:
        raise Unreachable(f"{_shown(request.url)}: {e.strerror or e or 'no answer in time'}") from None


def ask(request: Request, *, timeout_s: float = TIMEOUT_S, limit: int = MOST_BYTES) -> Answer:
    """A whole answer of the 200s. Raises Refused for others and for one of more than `limit` bytes, and Unreachable."""
    with opened(request, timeout_s=timeout_s) as response:
        body = response.read(limit + 1)
        if len(body) > limit:
            why = f"more than {limit} bytes".encode()
            raise Refused(request.url, response.status, why, _lower(response.headers))
        return Answer(response.status, _lower(response.headers), body)


@dataclass(frozen=True)
class Patience:
    """How often and how long something is tried. Pauses are drawn, so that machines which fail together don't ask together."""

    tries: int = 4
    first_s: float = 0.5
    most_s: float = 8.0

    def within(self, do: Callable[[], _T], *, pause: Callable[[float], None] = time.sleep) -> _T:
        """What `do` returns. Raises what its last try raised; what is no use to try again is raised at once."""
        left, pause_s = self.tries, self.first_s
        while True:
            left -= 1
            try:
                return do()
            except Unreachable:
                if left <= 0:
                    raise
            except Refused as e:
                if left <= 0 or not e.passes:
                    raise
            pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, self.most_s)


PATIENCE = Patience()
"""With stores and buckets: some seconds in all."""


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _shown(url: str) -> str:
    """Without the query, which may hold more than a log should."""
    return url.partition("?")[0]
