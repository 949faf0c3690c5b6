"""Azure for one environment: instance metadata with tokens and scheduled events, Blob Storage, Key Vault and the Resource Manager.

Services know who asks, and for which of them, by the token, which only that machine's metadata service has given.
"""

import json
import re
import secrets
import time
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.clouds.azure_groups import Groups
from tests.clouds.serving import Served, etag

STORAGE, VAULT, MANAGEMENT = (
    "https://storage.azure.com",
    "https://vault.azure.net",
    "https://management.azure.com",
)
ACCOUNT = "twtest"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_SECRETS = "Microsoft.KeyVault/vaults/secrets"


class Azure(Served):
    """`instance`: what instance metadata tells. `events`: scheduled ones; `approved`: ids of those that were.
    `tokens`: by token, whose and what for. `identities`: client and principal by resource id.

    `denied`: keys and secrets that the identity may not read; `public`: prefixes that everybody may.
    """

    account = ACCOUNT

    def __init__(self, bucket="state", region="westeurope"):
        self.bucket, self.region = bucket, region
        self.instance, self.tokens, self.page_size = {}, {}, 5000
        self.events, self.approved = [], []
        self.denied, self.public = set(), set()
        self.groups, self.identities = Groups(), {}
        self.container_id = self.vault_id = ""
        super().__init__()
        self.store = self.url  # the vault's

    def environment_of(self, metadata):
        """What makes Azure's own libraries, and ours, come here. `metadata`: where that service is."""
        return {
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": metadata,
            "AZURE_MSI_ENDPOINT": f"{metadata}/metadata/identity/oauth2/token",
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ENDPOINT": self.url,
            "AZURE_STORAGE_SERVICE_ENDPOINT": self.url,
            "AZURE_RESOURCE_MANAGER_ENDPOINT": self.url,
        }

    def group(self, pool):
        """An empty scale set for that pool."""
        self.groups.sizes[pool.resource["resource_group"], pool.resource["scale_set"]] = 0

    @property
    def machines(self):
        return self.groups.machines

    @property
    def addresses(self):
        return self.groups.addresses

    @property
    def bucket_url(self):
        return f"az://{self.account}/{self.bucket}"

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
            return self.tell(None, method, target, headers, body)
        who, audience = self.tokens.get(
            headers.get("authorization", "").removeprefix("Bearer "), (None, None)
        )
        if audience is None and "authorization" in headers:
            self.refused.append((method, target, "a token that is not known"))
            return 401, b"", {}
        if url.path.startswith("/secrets/"):
            return self._secret(
                method, url.path.removeprefix("/secrets/"), query, body, who=who, audience=audience
            )
        if url.path.startswith("/subscriptions/"):
            return self._managed(method, url.path, query, body, who=who, audience=audience)
        return self._blob(method, target, headers, query, body, who=who, known=audience == STORAGE)

    def tell(self, identity, method, target, headers, body):
        """The metadata service of a machine with that identity alone, which is named by its resource."""
        url = urlsplit(target)
        path, query = url.path.removeprefix("/metadata/"), {k: v[0] for k, v in parse_qs(url.query).items()}
        if headers.get("metadata") != "true":
            return 400, b'{"error": "Bad request. Required metadata header not specified"}', {}
        if "api-version" not in query:
            return 400, b'{"error": "Bad request. api-version was not specified"}', {}
        if path == "identity/oauth2/token":
            return self._token(identity, query)
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

    def _token(self, identity, query):
        client, principal = self.identities.get(identity, ("a-client", None))
        own = {"client_id": client, "object_id": principal, "msi_res_id": identity, "mi_res_id": identity}
        if any(query[name] != value for name, value in own.items() if name in query):
            self.refused.append(("GET", "token", f"not this machine's identity: {query}"))
            return 400, b'{"error": "invalid_request", "error_description": "Identity not found"}', {}
        if (audience := query["resource"].rstrip("/")) not in (STORAGE, VAULT, MANAGEMENT):
            self.refused.append(("GET", "token", f"no such resource: {audience}"))
            return 400, b'{"error": "invalid_resource"}', {}
        token, ends = secrets.token_hex(16), str(int(time.time()) + 86399)
        self.tokens[token] = principal, audience
        return _json(
            {
                "access_token": token,
                "client_id": client,
                "expires_in": "86399",
                "expires_on": ends,
                "not_before": str(int(time.time())),
                "resource": query["resource"],
                "token_type": "Bearer",
            }
        )

    def _may(self, who, action, resource):
        if self.may(who, action, resource):
            return True
        self.refused.append((who, action, resource))
        return False

    def _managed(self, method, path, query, body, *, who, audience):
        action, scope, call = self.groups.find(method, path)
        if "api-version" not in query or call is None:
            self.refused.append((method, path, "not known"))
            return 400, b'{"error": {"code": "InvalidRequest", "message": "not known"}}', {}
        if audience != MANAGEMENT or not self._may(who, action, scope):
            return 403, b'{"error": {"code": "AuthorizationFailed", "message": "denied"}}', {}
        return call(json.loads(body or b"{}"))

    def _secret(self, method, name, query, body, *, who, audience):
        if audience != VAULT:
            self.refused.append(("GET", name, "not the vault's token"))
            return 401, b"", {}
        action = {"GET": "getSecret/action", "PUT": "setSecret/action"}[method]
        if name in self.denied or not self._may(
            who, f"{_SECRETS}/{action}", f"{self.vault_id}/secrets/{name}"
        ):
            return 403, b'{"error": {"code": "Forbidden"}}', {}
        if "api-version" not in query or name not in self.secrets:
            return 404, b'{"error": {"code": "SecretNotFound"}}', {}
        if method == "PUT":
            self.secrets[name] = json.loads(body)["value"]
        return _json({"value": self.secrets[name], "id": f"{self.url}/secrets/{name}/1"})

    def _blob(self, method, target, headers, query, body, *, who, known):
        dated = "x-ms-date" in headers or "date" in headers
        if headers.get("x-ms-version", "") < "2017-11-09" or ("authorization" in headers and not dated):
            self.refused.append((method, target, "without version or date"))
            return 400, b"<Error><Code>MissingRequiredHeader</Code></Error>", {}
        container, _, key = unquote(urlsplit(target).path).removeprefix("/").partition("/")
        if container != self.bucket:
            return 404, b"<Error><Code>ContainerNotFound</Code></Error>", {}
        if method == "POST" and query == {"restype": "container", "comp": "batch"}:
            return self._batch(headers, body)
        lists = query.get("comp") == "list"
        asked = query.get("prefix", "") if lists else key
        denied = 403, b"<Error><Code>AuthorizationPermissionMismatch</Code></Error>", {}
        if asked in self.denied or not (known or any(asked.startswith(p) for p in self.public)):
            self.refused.append((method, target, "denied"))
            return denied
        action = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}.get(method)
        if action is None or ("comp" in query) != lists or (lists and query.get("restype") != "container"):
            self.refused.append((method, target, "not known"))
            return 400, b"<Error><Code>UnsupportedQueryParameter</Code></Error>", {}
        full = self.container_id if lists else f"{self.container_id}/blobs/{key}"
        if not self._may(who, f"{_BLOBS}/{action}", full):
            return denied
        with self.lock:
            if method == "PUT":
                if headers.get("x-ms-blob-type") != "BlockBlob":
                    return 400, b"<Error><Code>InvalidHeaderValue</Code></Error>", {}
                if headers.get("if-none-match") == "*" and key in self.objects:
                    return 409, b"<Error><Code>BlobAlreadyExists</Code></Error>", {}
                self.objects[key], self.changed[key] = body, time.time()
                return 201, b"", {"etag": etag(body), "last-modified": formatdate(usegmt=True)}
            if method == "DELETE" and self.objects.pop(key, None) is not None:
                return 202, b"", {}
        if lists:
            return 200, self._listing(query), {"content-type": "application/xml"}
        found = None if method == "DELETE" else self.read(key, headers)
        return found or (
            404,
            b"<Error><Code>BlobNotFound</Code></Error>",
            {"x-ms-error-code": "BlobNotFound"},
        )

    def _batch(self, headers, body):
        """Several requests in one, each with its own token: https://learn.microsoft.com/rest/api/storageservices/blob-batch"""
        mark = headers["content-type"].partition("boundary=")[2].encode()
        told = []
        for part in body.split(b"--" + mark)[1:-1]:
            about, _, request = part.strip(b"\r\n").partition(b"\r\n\r\n")
            first, *lines = request.decode().split("\r\n")
            method, target, _ = first.split(" ", 2)
            of = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
            assert method == "DELETE", "a batch of blobs is for deletes and tiers"
            status, content, more = self.answer(
                method, target, of | {"x-ms-version": headers["x-ms-version"]}, b""
            )
            number = re.search(rb"(?i)content-id: *(\S+)", about)[1].decode()
            lines = [
                f"HTTP/1.1 {status} -",
                *(f"{k}: {v}" for k, v in more.items()),
                f"content-length: {len(content)}",
            ]
            head = f"Content-Type: application/http\r\nContent-ID: {number}\r\n\r\n" + "\r\n".join(lines)
            told.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
        joined = b"".join(b"--answers\r\n" + part for part in told) + b"--answers--\r\n"
        return 202, joined, {"content-type": "multipart/mixed; boundary=answers"}

    def _listing(self, query):
        prefix, after = query.get("prefix", ""), query.get("marker", "")
        found = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        page, more = found[: self.page_size], found[self.page_size :]
        blobs = "".join(
            f"<Blob><Name>{escape(k)}</Name><Properties><Last-Modified>{formatdate(time.time(), usegmt=True)}</Last-Modified>"
            f"<Etag>{escape(etag(self.objects[k]))}</Etag><Content-Length>{len(self.objects[k])}</Content-Length>"
            "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for k in page
        )
        marker = f"<NextMarker>{escape(page[-1])}</NextMarker>" if more else "<NextMarker/>"
        return f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{blobs}</Blobs>{marker}</EnumerationResults>'.encode()


def _json(value):
    return 200, json.dumps(value).encode(), {"content-type": "application/json"}
