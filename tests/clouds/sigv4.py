"""Checks Signature Version 4 as AWS does, written from its documentation and apart from the code that signs."""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit


class Unsigned(Exception):
    """The request has no signature, or not that of the key."""


class Skewed(Exception):
    """It was signed at another time than now."""


LATE_S = 900


def key_of(headers):
    """The id of the key that a request says it is signed with."""
    return headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]


def service_of(method, target, headers, body, *, key_id, secret, token, now):
    """The service that a request was signed for. `now`: epoch seconds. Raises Unsigned or Skewed."""
    given = headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 "):
        raise Unsigned("no signature")
    parts = dict(p.strip().split("=", 1) for p in given.removeprefix("AWS4-HMAC-SHA256 ").split(","))
    owner, day, region, service, _ = parts["Credential"].split("/")
    if owner != key_id or headers.get("x-amz-security-token") != token:
        raise Unsigned("another key or token")
    names = parts["SignedHeaders"].split(";")
    url = urlsplit(target)
    query = "&".join(
        f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
        for k, v in sorted(parse_qsl(url.query, keep_blank_values=True))
    )
    hashed = headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    if hashed not in (hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"):
        raise Unsigned("another body")
    lines = [f"{n}:{' '.join(headers[n].split())}\n" for n in names]
    request = "\n".join([method, url.path, query, "".join(lines), ";".join(names), hashed])
    digest = hashlib.sha256(request.encode()).hexdigest()
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = b"AWS4" + secret.encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), parts["Signature"]):
        raise Unsigned("the signature does not fit")
    signed_at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    if abs(signed_at - now) > LATE_S:
        raise Skewed(f"signed {signed_at - now:.0f} s from now")
    return service
