"""Azure as one machine sees it: instance metadata, tokens, Blob Storage, Key Vault and scheduled events, on one port."""

import json
import secrets
import time
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.clouds.serving import Served, etag

STORAGE, VAULT = "https://storage.azure.com/", "https://vault.azure.net"
ACCOUNT = "twtest"


class Azure(Served):
    """`instance`: what instance metadata tells. `events`: scheduled ones; `approved`: ids of those that were. `tokens`: by token, what for.

    `denied`: keys and secrets that the identity may not read; `public`: prefixes that everybody may.
    """

    def __init__(self, bucket="state", region="westeurope"):
        self.bucket, self.region = bucket, region
        self.instance, self.tokens, self.page_size = {}, {}, 5000
        self.events, self.approved = [], []
        self.denied, self.public = set(), set()
        super().__init__()
        self.store = self.url  # the vault's

    @property
    def environment(self):
        """What makes Azure's own libraries, and ours, come here."""
        return {
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url,
            "AZURE_STORAGE_SERVICE_ENDPOINT": self.url,
        }

    @property
    def bucket_url(self):
        return f"az://{ACCOUNT}/{self.bucket}"

    def be(self, name, *, pool=None, address="127.0.0.1"):
        """Answers as that machine's metadata service."""
        address = {"privateIpAddress": address, "publicIpAddress": "203.0.113.9"}
        tags = [{"name": "tradewind-pool", "value": pool}] if pool else []
        self.instance = {
            "compute": {
                "name": name,
                "location": self.region,
                "zone": "",
                "vmSize": "Standard_NC24ads_A100_v4",
                "tagsList": tags,
            },
            "network": {"interface": [{"ipv4": {"ipAddress": [address]}}]},
        }

    def announce(self, at, *, kind="Preempt", name=None, began=False):
        """An event of this machine, or of another one of its group."""
        self.events.append(
            {
                "EventId": secrets.token_hex(8),
                "EventStatus": "Started" if began else "Scheduled",
                "EventType": kind,
                "ResourceType": "VirtualMachine",
                "Resources": [name or self.instance["compute"]["name"]],
                "NotBefore": "" if began else formatdate(at, usegmt=True),
                "Description": "a test",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
        )

    # ------------------------------------------------------------ requests

    def answer(self, method, target, headers, body):
        url = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        if url.path.startswith("/metadata/"):
            if headers.get("metadata") != "true":
                return 400, b'{"error": "Bad request. Required metadata header not specified"}', {}
            return self._metadata(method, url.path.removeprefix("/metadata/"), query, body)
        audience = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if audience is None and "authorization" in headers:
            self.refused.append((method, target, "a token that is not known"))
            return 401, b"", {}
        if url.path.startswith("/secrets/"):
            return self._secret(url.path.removeprefix("/secrets/"), query, audience)
        return self._blob(method, target, headers, query, known=audience == STORAGE)

    def _metadata(self, method, path, query, body):
        if "api-version" not in query:
            return 400, b'{"error": "Bad request. api-version was not specified"}', {}
        if path == "identity/oauth2/token":
            token = secrets.token_hex(16)
            self.tokens[token] = query["resource"]
            return _json({"access_token": token, "expires_in": "86399", "token_type": "Bearer"})
        if path == "instance/compute/name" and query.get("format") == "text":
            return 200, self.instance["compute"]["name"].encode(), {}
        if path == "instance":
            return _json(self.instance)
        if path == "scheduledevents" and method == "POST":
            self.approved += [r["EventId"] for r in json.loads(body)["StartRequests"]]
            return 200, b"", {}
        if path == "scheduledevents":
            return _json({"DocumentIncarnation": len(self.events), "Events": self.events})
        return 404, b"", {}

    def _secret(self, name, query, audience):
        if audience != VAULT:
            self.refused.append(("GET", name, "not the vault's token"))
            return 401, b"", {}
        if name in self.denied:
            return 403, b'{"error": {"code": "Forbidden"}}', {}
        if "api-version" not in query or name not in self.secrets:
            return 404, b'{"error": {"code": "SecretNotFound"}}', {}
        return _json({"value": self.secrets[name], "id": f"{self.url}/secrets/{name}/1"})

    def _blob(self, method, target, headers, query, *, known):
        dated = {"date", "x-ms-date"} & headers.keys()  # one of them, as Azure has it
        if "x-ms-version" not in headers or ("authorization" in headers and not dated):
            self.refused.append((method, target, "without version or date"))
            return 400, b"<Error><Code>MissingRequiredHeader</Code></Error>", {}
        container, _, key = unquote(urlsplit(target).path).removeprefix("/").partition("/")
        if container != self.bucket:
            return 404, b"<Error><Code>ContainerNotFound</Code></Error>", {}
        asked = query.get("prefix", "") if query.get("comp") == "list" else key
        if asked in self.denied or not (known or any(asked.startswith(p) for p in self.public)):
            self.refused.append((method, target, "denied"))
            return 403, b"<Error><Code>AuthorizationPermissionMismatch</Code></Error>", {}
        if query.get("comp") == "list":
            return 200, self._listing(query), {"content-type": "application/xml"}
        return self.read(key, headers) or (404, b"<Error><Code>BlobNotFound</Code></Error>", {})

    def _listing(self, query):
        prefix, after = query.get("prefix", ""), query.get("marker", "")
        found = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        page, more = found[: self.page_size], found[self.page_size :]
        blobs = "".join(
            f"<Blob><Name>{escape(k)}</Name><Properties><Last-Modified>{formatdate(time.time(), usegmt=True)}</Last-Modified>"
            f"<Etag>{escape(etag(self.objects[k]))}</Etag><Content-Length>{len(self.objects[k])}</Content-Length>"
            "</Properties></Blob>"
            for k in page
        )
        marker = f"<NextMarker>{escape(page[-1])}</NextMarker>" if more else "<NextMarker/>"
        return f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{blobs}</Blobs>{marker}</EnumerationResults>'.encode()


def _json(value):
    return 200, json.dumps(value).encode(), {"content-type": "application/json"}
