"""S3's REST interface: objects and listings. https://docs.aws.amazon.com/AmazonS3/latest/API/"""

from __future__ import annotations

import os
import re
from typing import Protocol
from urllib.parse import quote

from lb.agent import web
from lb.agent.clouds import listed
from lb.agent.clouds.protocol import CloudError, Object

_FIRST_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]+")


class Signs(Protocol):
    """See `aws.Signer`."""

    def sign(self, request: web.Request, *, service: str, region: str) -> web.Request:
        """The request with its signature."""
        ...

    def heals(self, refusal: web.Refused) -> bool:
        """Whether the next one may be accepted."""
        ...


class S3Objects:
    """A `protocol.Objects`. `signer`: None for a public bucket. `region`: None = asked for at the first request."""

    def __init__(self, bucket: str, signer: Signs | None, *, region: str | None) -> None:
        self._bucket = bucket
        self._signer = signer
        self._region = region

    def get(self, key: str) -> web.Request:
        """See protocol."""
        return self._signed(web.Request(f"{self._base()}/{quote(key, safe='/-_.~')}"))

    def only(self, found: Object) -> dict[str, str]:
        """See protocol."""
        return {"if-match": found.etag}

    def page(self, prefix: str, after: str) -> web.Request:
        """See protocol."""
        more = {"continuation-token": after} if after else {}
        asked = sorted(({"list-type": "2", "prefix": prefix} | more).items())
        query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in asked)
        return self._signed(web.Request(f"{self._base()}/?{query}"))

    def read_page(self, body: bytes) -> tuple[list[Object], str]:
        """See protocol."""
        root = listed.xml(body)
        found = [
            Object(listed.text(e, "Key"), int(listed.text(e, "Size")), listed.text(e, "ETag"))
            for e in root.findall(listed.ANY + "Contents")
        ]
        return found, listed.text(root, "NextContinuationToken", default="")

    def heals(self, refusal: web.Refused) -> bool:
        """See protocol."""
        return self._signer is not None and self._signer.heals(refusal)

    def _signed(self, request: web.Request) -> web.Request:
        if self._signer is None:
            return request
        return self._signer.sign(request, service="s3", region=self._region or _FIRST_REGION)

    def _base(self) -> str:
        """Virtual-hosted; by path for a name with dots, which the certificate of the other way does not cover."""
        if base := os.environ.get("AWS_ENDPOINT_URL_S3"):
            return f"{base.rstrip('/')}/{self._bucket}"
        if self._region is None:
            self._region = region_of(self._bucket)
        host = f"s3.{self._region}.amazonaws.com"
        return f"https://{host}/{self._bucket}" if "." in self._bucket else f"https://{self._bucket}.{host}"


def region_of(bucket: str) -> str:
    """S3 tells it to anybody, in answers of any status. Raises CloudError."""
    request = web.Request(f"https://s3.amazonaws.com/{bucket}", method="HEAD")

    def once() -> str:
        try:
            headers = web.ask(request).headers
        except web.Refused as e:
            if e.passes:
                raise
            headers = e.headers
        return headers.get("x-amz-bucket-region", "")

    try:
        found = web.PATIENCE.within(once)
    except (web.Refused, web.Unreachable) as e:
        raise CloudError(f"the region of the bucket {bucket}: {e}") from e
    if not _REGION.fullmatch(found):
        raise CloudError(f"S3 knows no bucket {bucket}")
    return found
