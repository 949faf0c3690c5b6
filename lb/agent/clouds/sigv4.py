"""AWS's Signature Version 4. Pure: the moment and the credentials are arguments.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from lb.agent.web import Request

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Of a role, for a while. `expires`: epoch seconds."""

    key_id: str
    secret: str
    token: str
    expires: float

    def __repr__(self) -> str:
        """Without what a log must not hold."""
        return f"Credentials({self.key_id})"


def signed(request: Request, credentials: Credentials, *, service: str, region: str, now: float) -> Request:
    """The same request with its signature. The URL's path is quoted as S3 wants it, and its query sorted. `now`: epoch seconds."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    parts, hashed = urlsplit(request.url), hashlib.sha256(request.body or b"").hexdigest()
    headers = {name.lower(): value for name, value in request.headers.items()} | {
        "host": parts.netloc,
        "x-amz-content-sha256": hashed,
        "x-amz-date": stamp,
        "x-amz-security-token": credentials.token,
    }
    names = ";".join(sorted(headers))
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    canonical = "\n".join([request.method, parts.path or "/", parts.query, *lines, "", names, hashed])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    shown = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return Request(request.url, headers | {"authorization": shown}, request.method, request.body)
