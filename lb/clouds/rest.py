"""JSON calls to a cloud's own REST interface, with a token each, and failures as the protocol's errors.

GCP's and Azure's drivers need a handful of calls. Their clients' packages are tens of megabytes of generated code each,
and not asynchronous where it matters here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx

from lb.clouds.protocol import Denied, DriverError, NotFound, Throttled, Unreachable

Token = Callable[[], Awaitable[str]]
"""A bearer token that is valid now. Raises DriverError."""

TIMEOUT_S = 8.0

_OK_BELOW = 300
_STATUS: Mapping[int, type[DriverError]] = {401: Denied, 403: Denied, 404: NotFound, 429: Throttled}

Refine = Callable[[str, str], type[DriverError] | None]
"""From a cloud's own error code and message to the error that it is; None = as the HTTP status says."""


def endpoint(variable: str, usual: str) -> str:
    """Where a cloud's interface is: as the variable of the environment says, else the usual place."""
    return (os.environ.get(variable) or usual).rstrip("/")


class Rest:
    """One cloud's interface at `base`. All calls raise DriverError."""

    def __init__(self, client: httpx.AsyncClient, base: str, token: Token, *, refine: Refine) -> None:
        self._client = client
        self._base = base
        self._token = token
        self._refine = refine

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON; empty where there is none. `path` may be a whole URL, as the next page's is."""
        url = path if path.startswith(self._base) else f"{self._base}{path}"
        try:
            response = await self._client.request(
                method,
                url,
                params=params or None,
                json=body,
                headers={"authorization": f"Bearer {await self._token()}"},
                timeout=TIMEOUT_S,
            )
        except httpx.HTTPError as e:
            raise Unreachable(f"{method} {httpx.URL(url).path}: {type(e).__name__} {e}".rstrip()) from e
        try:
            content = response.json() if response.content else {}
        except ValueError:
            content = {}
        if not isinstance(content, dict):
            content = {}
        if response.status_code >= _OK_BELOW:
            raise self._error(response.status_code, content)
        return content

    async def pages(
        self, path: str, *, params: Mapping[str, str] | None = None, method: str = "GET"
    ) -> AsyncIterator[dict[str, Any]]:
        """Every page of a listing: by GCP's `nextPageToken` or Azure's `nextLink`."""
        query: Mapping[str, str] | None = params
        while True:
            page = await self.call(method, path, params=query)
            yield page
            if link := page.get("nextLink"):
                path, query = link, None
            elif token := page.get("nextPageToken"):
                query = {**(params or {}), "pageToken": token}
            else:
                return

    def _error(self, status: int, content: Mapping[str, Any]) -> DriverError:
        error = content.get("error")
        error = error if isinstance(error, dict) else {}
        reasons = [e.get("reason", "") for e in error.get("errors", ()) if isinstance(e, dict)]
        code = next(filter(None, reasons), str(error.get("code", status)))
        message = str(error.get("message", ""))
        kind = self._refine(code, message) or _STATUS.get(status, Unreachable)
        return kind(f"{status} {code}: {message}".rstrip(": "))
