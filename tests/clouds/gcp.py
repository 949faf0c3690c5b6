"""Google Cloud as one machine sees it: the metadata server, Cloud Storage and Secret Manager, all on one port."""

import base64
import json
import secrets
import threading
from urllib.parse import parse_qs, unquote, urlsplit

from tests.clouds.serving import Served, etag

PROJECT = "a-project"
NUMBER = "123456789012"


class Gcp(Served):
    """`instance`: what the metadata server tells; `values`: texts by path below `instance/`. `tokens`: those that are good.

    `denied`: keys that the service account may not read; `public`: prefixes that everybody may.
    """

    store = PROJECT

    def __init__(self, bucket="state", region="europe-west4"):
        self.bucket, self.region = bucket, region
        self.instance, self.tokens, self.page_size = {}, set(), 1000
        self.values = {"preempted": "FALSE", "maintenance-event": "NONE"}
        self.denied, self.public, self.expired = set(), set(), False
        self._changed = threading.Condition()
        super().__init__()

    @property
    def environment(self):
        """What makes Google's own libraries, and ours, come here."""
        return {
            "GCE_METADATA_HOST": self.host,
            "STORAGE_EMULATOR_HOST": self.url,
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
            if headers.get("metadata-flavor") != "Google":
                return 403, b"Missing Metadata-Flavor:Google header.", {}
            return self._metadata(url.path.removeprefix("/computeMetadata/v1/instance/"), parse_qs(url.query))
        if (method, url.path) == ("POST", "/token"):
            return self._token(parse_qs(body.decode()))
        shown = headers.get("authorization", "").removeprefix("Bearer ")
        if shown in self.tokens:
            known = True
        elif "authorization" in headers:
            self.refused.append((method, target, "a token that is not known"))
            return 401, b'{"error": {"code": 401}}', {}
        else:
            known = False
        if url.path.startswith("/v1/projects/"):
            return self._secret(url.path, known)
        if url.path == f"/storage/v1/b/{self.bucket}/o":
            return self._listing(parse_qs(url.query), known)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        if bucket != self.bucket:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", {}
        if key in self.denied or not (known or any(key.startswith(p) for p in self.public)):
            self.refused.append((method, target, "denied"))
            return (403 if known else 401), b"<Error><Code>AccessDenied</Code></Error>", {}
        if headers.get("x-goog-if-generation-match", generation := self._generation(key)) != generation:
            return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        return self.read(key, headers) or (404, b"<Error><Code>NoSuchKey</Code></Error>", {})

    def _token(self, asked):
        """To a service account that has signed who it is; with `expired`, as to a user whose login is too old."""
        if self.expired or asked.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            said = {"error": "invalid_grant", "error_description": "Reauthentication is needed."}
            return 400, json.dumps(said).encode(), {"content-type": "application/json"}
        token = f"ya29.{secrets.token_hex(8)}"
        self.tokens.add(token)
        found = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        return 200, json.dumps(found).encode(), {"content-type": "application/json"}

    def _metadata(self, path, query):
        flavored = {"metadata-flavor": "Google"}
        if path == "service-accounts/default/token":
            token = f"ya29.{secrets.token_hex(8)}"
            self.tokens.add(token)
            found = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
            return 200, json.dumps(found).encode(), flavored | {"content-type": "application/json"}
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

    def _generation(self, key):
        return str(int(etag(self.objects.get(key, b"")).strip('"')[:12], 16))

    def _secret(self, path, known):
        _, _, _, project, _, name, *rest = path.split("/")
        if not known or name in self.denied:
            return 403, b'{"error": {"code": 403, "status": "PERMISSION_DENIED"}}', {}
        if project != PROJECT or rest != ["versions", "latest:access"] or name not in self.secrets:
            return 404, b'{"error": {"code": 404, "status": "NOT_FOUND"}}', {}
        data = base64.b64encode(self.secrets[name].encode()).decode()
        return 200, json.dumps({"name": name, "payload": {"data": data}}).encode(), {}


def _tag(value):
    return etag(value.encode()).strip('"')[:16]
