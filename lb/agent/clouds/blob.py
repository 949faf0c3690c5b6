"""Azure's Blob Storage. https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api"""

from __future__ import annotations

import os
from email.utils import formatdate
from urllib.parse import quote, urlencode

from lb.agent import web
from lb.agent.clouds import listed
from lb.agent.clouds.protocol import Object
from lb.agent.clouds.tokens import Token

VERSION = "2021-08-06"
_UNAUTHORIZED = 401


class BlobObjects:
    """A `protocol.Objects`. `token`: None for a public container."""

    def __init__(self, account: str, container: str, token: Token | None) -> None:
        base = os.environ.get("AZURE_STORAGE_SERVICE_ENDPOINT") or f"https://{account}.blob.core.windows.net"
        self._base = f"{base.rstrip('/')}/{container}"
        self._token = token

    def get(self, key: str) -> web.Request:
        """See protocol."""
        return web.Request(f"{self._base}/{quote(key, safe='/-_.~')}", self._shown())

    def only(self, found: Object) -> dict[str, str]:
        """See protocol."""
        return {"if-match": found.etag}

    def page(self, prefix: str, after: str) -> web.Request:
        """See protocol."""
        asked = {"restype": "container", "comp": "list", "prefix": prefix}
        query = urlencode(asked | ({"marker": after} if after else {}))
        return web.Request(f"{self._base}?{query}", self._shown())

    def read_page(self, body: bytes) -> tuple[list[Object], str]:
        """See protocol."""
        root = listed.xml(body)
        found = [
            Object(
                listed.text(e, "Name"),
                int(listed.text(e, "Properties/Content-Length")),
                listed.text(e, "Properties/Etag"),
            )
            for e in root.findall("Blobs/Blob")
        ]
        return found, listed.text(root, "NextMarker", default="")

    def heals(self, refusal: web.Refused) -> bool:
        """See protocol."""
        if self._token is None or refusal.status != _UNAUTHORIZED:
            return False
        self._token.forget()
        return True

    def _shown(self) -> dict[str, str]:
        dated = {"x-ms-version": VERSION, "x-ms-date": formatdate(usegmt=True)}
        return dated if self._token is None else dated | {"authorization": self._token()}
