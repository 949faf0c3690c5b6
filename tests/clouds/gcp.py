"""Google Cloud for one environment: metadata servers, Cloud Storage, Secret Manager and Compute Engine.

Services know who asks by the token, which only that machine's metadata server has given.
"""

import base64
import json
import secrets
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

from tests.clouds.gcp_groups import Groups
from tests.clouds.listings import s3_listing
from tests.clouds.serving import Served, etag

PROJECT = "a-project"
NUMBER = "123456789012"


class Gcp(Served):
    """`instance`: what the metadata server tells; `values`: texts by path below `instance/`. `tokens`: those that are good, and whose.

    `denied`: keys that the service account may not read; `public`: prefixes that everybody may.
    """

    store = PROJECT

    def __init__(self, bucket="state", region="europe-west4"):
        self.bucket, self.region = bucket, region
        self.instance, self.tokens, self.page_size = {}, {}, 1000
        self.groups, self.versions = Groups(PROJECT), {}
        self.values = {"preempted": "FALSE", "maintenance-event": "NONE"}
        self.denied, self.public, self.expired = set(), set(), False
        self._changed = threading.Condition()
        super().__init__()

    def group(self, pool):
        """An empty group for that pool."""
        self.groups.sizes[pool.zone, pool.resource["group"]] = 0

    @property
    def machines(self):
        return self.groups.machines

    @property
    def addresses(self):
        return self.groups.addresses

    def environment_of(self, metadata):
        """What makes Google's own libraries, and ours, come here. `metadata`: where that server is."""
        host = urlsplit(metadata).netloc
        return {
            "GCE_METADATA_HOST": host,
            "GCE_METADATA_IP": host,
            "GOOGLE_ALLOW_HTTP": "true",
            "GOOGLE_BASE_URL": self.url,
            "STORAGE_EMULATOR_HOST": self.url,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{self.url}/compute/v1/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": self.url,
        }

    @property
    def bucket_url(self):
        return f"gs://{self.bucket}"

    def be(self, instance_id, *, pool=None, address="127.0.0.1", zone="europe-west4-a", name="tw-chat-x1y2"):
        """Answers as that machine's metadata server."""
        self.instance = {
            "id": int(instance_id),
            "name": name,
            "zone": f"projects/{NUMBER}/zones/{zone}",
            "machineType": f"projects/{NUMBER}/machineTypes/g2-standard-8",
            "attributes": {"user-data": "#cloud-config", **({"tradewind-pool": pool} if pool else {})},
            "networkInterfaces": [{"ip": address, "accessConfigs": [{"externalIp": "203.0.113.8"}]}],
        }

    def set(self, name, value):
        """Changes a value, which ends the waits for it."""
        with self._changed:
            self.values[name] = value
            self._changed.notify_all()

    def announce(self, _at):
        """Google names no moment: it is half a minute from now."""
        self.set("preempted", "TRUE")

    def close(self):
        for name in list(self.values):
            self.set(name, self.values[name] + " ")  # nobody waits any longer
        super().close()

    # ------------------------------------------------------------ requests

    def answer(self, method, target, headers, body):
        url = urlsplit(target)
        if url.path.startswith("/computeMetadata/v1/"):
            return self.tell(None, method, target, headers, body)
        if (method, url.path) == ("POST", "/token"):
            return self._log_in(parse_qs(body.decode()))
        shown = headers.get("authorization", "").removeprefix("Bearer ")
        known = shown in self.tokens
        if "authorization" in headers and not known:
            self.refused.append((method, target, "a token that is not known"))
            return 401, b'{"error": {"code": 401}}', {}
        who = self.tokens.get(shown)
        if url.path.startswith("/v1/projects/"):
            return self._secret(who, known, method, url.path, body)
        if url.path.startswith("/compute/v1/"):
            action, call = self.groups.find(method, url.path.removeprefix("/compute/v1"))
            if not known or call is None or not self._may(who, action, f"projects/{PROJECT}"):
                return _refusal(403, "PERMISSION_DENIED")
            return call(parse_qs(url.query), json.loads(body or b"{}"))
        if url.path == f"/storage/v1/b/{self.bucket}/o":
            return self._listing(parse_qs(url.query), known)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        if bucket != self.bucket:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", {}
        if key in self.denied or not (known or any(key.startswith(p) for p in self.public)):
            self.refused.append((method, target, "denied"))
            return (403 if known else 401), b"<Error><Code>AccessDenied</Code></Error>", {}
        return self._object(method, key, headers, parse_qs(url.query), body, who=who)

    def _log_in(self, asked):
        """To a service account that has signed who it is; with `expired`, as to a user whose login is too old."""
        if self.expired or asked.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            said = {"error": "invalid_grant", "error_description": "Reauthentication is needed."}
            return 400, json.dumps(said).encode(), {"content-type": "application/json"}
        return 200, json.dumps(self._token(None)).encode(), {"content-type": "application/json"}

    def _token(self, account):
        token = f"ya29.{secrets.token_hex(8)}"
        self.tokens[token] = account
        return {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}

    def _generation(self, key):
        return str(int(etag(self.objects.get(key, b"")).strip('"')[:12], 16))

    def _may(self, who, action, resource):
        if self.may(who, action, resource):
            return True
        self.refused.append((who, action, resource))
        return False

    def _object(self, method, key, headers, query, body, *, who):
        """The XML interface, whose listings are those of S3."""
        denied = 403, b"<Error><Code>AccessDenied</Code></Error>", {}
        bucket = f"projects/_/buckets/{self.bucket}"
        full = f"{bucket}/objects/{key}" if key else bucket
        with self.lock:
            there = key in self.objects
            wanted = {
                "GET": ["get" if key else "list"],
                "HEAD": ["get"],
                "PUT": [
                    "create",
                    *(["delete"] if there and "x-goog-if-generation-match" not in headers else []),
                ],
                "DELETE": ["delete"],
            }.get(method)
            if wanted is None:
                self.refused.append((method, key, "not known"))
                return 400, b"<Error><Code>InvalidArgument</Code></Error>", {}
            if not all(self._may(who, f"storage.objects.{verb}", full) for verb in wanted):
                return denied
            if method == "PUT":
                if there and headers.get("x-goog-if-generation-match") == "0":
                    return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
                self.objects[key], self.changed[key] = body, time.time()
                return 200, b"", {"etag": etag(body), "x-goog-generation": str(time.time_ns())}
            if method == "DELETE":
                if self.objects.pop(key, None) is None:
                    return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
                return 204, b"", {}
            if not key:
                return 200, s3_listing(self, query), {"content-type": "application/xml"}
        if headers.get("x-goog-if-generation-match", generation := self._generation(key)) != generation:
            return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        missing = 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        # Who may not list is not told what there is not.
        return self.read(key, headers) or (
            missing if self.may(who, "storage.objects.list", bucket) else denied
        )

    def tell(self, account, _method, target, headers, _body):
        """The metadata server of a machine with that service account."""
        flavored = {"metadata-flavor": "Google", "content-type": "application/text"}
        if headers.get("metadata-flavor") != "Google":
            return 403, b"Missing Metadata-Flavor:Google header.", {}
        url = urlsplit(target)
        path, query = (
            url.path.removeprefix("/computeMetadata/v1/").removeprefix("instance/"),
            parse_qs(url.query),
        )
        if url.path in ("", "/"):
            return 200, b"computeMetadata/\n", flavored
        if path == "project/project-id":
            return 200, PROJECT.encode(), flavored
        if path == "service-accounts/default/" and query.get("recursive") == ["true"]:
            found = {"aliases": ["default"], "email": account or "default", "scopes": [_SCOPE]}
            return 200, json.dumps(found).encode(), flavored | {"content-type": "application/json"}
        if path in ("service-accounts/default/token", f"service-accounts/{account}/token"):
            return (
                200,
                json.dumps(self._token(account)).encode(),
                flavored | {"content-type": "application/json"},
            )
        if path == "" and query.get("recursive") == ["true"]:
            return 200, json.dumps(self.instance).encode(), flavored | {"content-type": "application/json"}
        if path in self.values:
            return self._value(path, query, flavored)
        return 404, b"", flavored

    def _value(self, path, query, more):
        with self._changed:
            if query.get("wait_for_change") == ["true"]:
                known = query.get("last_etag", ["0"])[0]
                seconds = float(query.get("timeout_sec", ["60"])[0])
                self._changed.wait_for(lambda: _tag(self.values[path]) != known, seconds)
            value = self.values[path]
        return 200, value.encode(), more | {"etag": _tag(value)}

    def _listing(self, query, known):
        prefix, after = query.get("prefix", [""])[0], query.get("pageToken", [""])[0]
        if not (known or any(prefix.startswith(p) for p in self.public)):
            return 401, b"{}", {}
        found = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        page, more = found[: self.page_size], found[self.page_size :]
        items = [
            {"name": k, "size": str(len(self.objects[k])), "generation": self._generation(k)} for k in page
        ]
        content = ({"items": items} if items else {}) | ({"nextPageToken": page[-1]} if more else {})
        return 200, json.dumps(content).encode(), {"content-type": "application/json"}

    def _secret(self, who, known, method, path, body):
        _, _, _, project, _, named, *rest = path.split("/")
        name, _, verb = named.partition(":")
        do = {"GET versions/latest:access": "access", "POST addVersion": "add"}.get(
            f"{method} {verb or '/'.join(rest)}"
        )
        if method == "POST" and rest and rest[-1].endswith(":destroy"):
            do = "destroy"
        if (
            not known
            or do is None
            or name in self.denied
            or not self._may(who, f"secretmanager.versions.{do}", f"projects/{NUMBER}/secrets/{name}")
        ):
            return _refusal(403, "PERMISSION_DENIED")
        if project != PROJECT or name not in self.secrets:
            return _refusal(404, "NOT_FOUND")
        full = f"projects/{NUMBER}/secrets/{name}/versions"
        with self.lock:
            if do == "add":
                self.secrets[name] = base64.b64decode(json.loads(body)["payload"]["data"]).decode()
                self.versions[name] = self.versions.get(name, 1) + 1
                return (
                    200,
                    json.dumps({"name": f"{full}/{self.versions[name]}", "state": "ENABLED"}).encode(),
                    {},
                )
            if do == "destroy":
                number = rest[-1].partition(":")[0]
                return 200, json.dumps({"name": f"{full}/{number}", "state": "DESTROYED"}).encode(), {}
            data = base64.b64encode(self.secrets[name].encode()).decode()
        return 200, json.dumps({"name": f"{full}/1", "payload": {"data": data}}).encode(), {}


_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def _refusal(status, why):
    return status, json.dumps({"error": {"code": status, "status": why, "message": why}}).encode(), {}


def _tag(value):
    return etag(value.encode()).strip('"')[:16]
