"""Google Cloud Storage: objects by its XML interface, listings by JSON. https://cloud.google.com/storage/docs/apis"""

from __future__ import annotations

import json
import os
from urllib.parse import quote, urlencode

from lb.agent import web
from lb.agent.clouds.protocol import Object
from lb.agent.clouds.tokens import Token

_UNAUTHORIZED = 401


class GcsObjects:
    """A `protocol.Objects`. `token`: None for a public bucket."""

    def __init__(self, bucket: str, token: Token | None) -> None:
        self._bucket = bucket
        self._token = token
        base = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        self._base = base.rstrip("/")

    def get(self, key: str) -> web.Request:
        """See protocol."""
        return web.Request(f"{self._base}/{self._bucket}/{quote(key, safe='/-_.~')}", self._shown())

    def only(self, found: Object) -> dict[str, str]:
        """See protocol. The two interfaces write ETags differently; generations are the same in both."""
        return {"x-goog-if-generation-match": found.etag}

    def page(self, prefix: str, after: str) -> web.Request:
        """See protocol."""
        asked = {"prefix": prefix, "fields": "items(name,size,generation),nextPageToken"}
        query = urlencode(asked | ({"pageToken": after} if after else {}))
        return web.Request(f"{self._base}/storage/v1/b/{self._bucket}/o?{query}", self._shown())

    def read_page(self, body: bytes) -> tuple[list[Object], str]:
        """See protocol."""
        found = json.loads(body)
        try:
            items = [Object(i["name"], int(i["size"]), str(i["generation"])) for i in found.get("items", ())]
            return items, str(found.get("nextPageToken", ""))
        except (AttributeError, LookupError, TypeError) as e:
            raise ValueError(f"not a listing: {type(e).__name__}") from e

    def heals(self, refusal: web.Refused) -> bool:
        """See protocol."""
        if self._token is None or refusal.status != _UNAUTHORIZED:
            return False
        self._token.forget()
        return True

    def _shown(self) -> dict[str, str]:
        return {} if self._token is None else {"authorization": self._token()}
