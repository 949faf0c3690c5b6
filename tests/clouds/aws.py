"""AWS for one environment: instance metadata, a bucket, secrets, and groups whose machines have addresses of this computer.

Everything is on one port; the service is the one that a request was signed for. A request without a valid signature of
the role that the metadata service hands out is refused.
"""

import contextlib
import hashlib
import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.clouds.sigv4 import Unsigned, service_of

KEY = {"key_id": "ASIATESTING", "secret": "a secret of the role", "token": "a token of the role"}
ROLE = "tw-test-role"
_STAMP = "2026-01-01T00:00:00.000Z"


class Aws:
    """`objects` by key, `secrets` by name, `groups` by name: wanted size; `machines` by id: their addresses."""

    def __init__(self, bucket="state", region="eu-west-1"):
        self.bucket, self.region = bucket, region
        self.objects, self.changed, self.secrets = {}, {}, {}
        self.groups, self.machines, self.addresses = {}, {}, []
        self.refused = []
        self._lock = threading.Lock()
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                status, content, more = cloud.answer(self.command, self.path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the base class's names

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a caller that hangs up is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self):
        """What makes AWS's own libraries, and ours, come here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
            "AWS_METADATA_ENDPOINT": self.url,
            "AWS_ALLOW_HTTP": "true",
        }

    def put(self, key, content, *, at=None):
        content = content if isinstance(content, bytes) else content.encode()
        with self._lock:
            self.objects[key], self.changed[key] = content, time.time() if at is None else at

    # ------------------------------------------------------------ requests

    def answer(self, method, target, headers, body):
        path = urlsplit(target).path
        if path.startswith("/latest/"):
            return self._metadata(method, path, headers)
        try:
            service = service_of(method, target, headers, body, **KEY)
        except Unsigned as e:
            self.refused.append((method, target, str(e)))
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", {}
        if service == "s3":
            return self._s3(method, target, headers, body)
        if service == "secretsmanager":
            return self._secret(headers["x-amz-target"].rpartition(".")[2], json.loads(body))
        asked = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        with contextlib.suppress(AttributeError):
            return 200, getattr(self, f"_{asked['Action']}")(asked).encode(), {"content-type": "text/xml"}
        self.refused.append((method, target, asked.get("Action", "")))
        return 400, b"<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", {}

    def _metadata(self, method, path, headers):
        if method == "PUT" and path == "/latest/api/token":
            return 200, b"metadata-token", {"x-aws-ec2-metadata-token-ttl-seconds": "300"}
        if headers.get("x-aws-ec2-metadata-token") != "metadata-token":
            return 401, b"", {}
        rest = path.removeprefix("/latest/meta-data/iam/security-credentials/")
        if rest == "":
            return 200, ROLE.encode(), {}
        if rest == ROLE:
            ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))
            found = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": "2026-01-01T00:00:00Z",
                "AccessKeyId": KEY["key_id"],
                "SecretAccessKey": KEY["secret"],
                "Token": KEY["token"],
                "Expiration": ends,
            }
            return 200, json.dumps(found).encode(), {"content-type": "application/json"}
        return 404, b"", {}

    def _s3(self, method, target, headers, body):
        url = urlsplit(target)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        if bucket != self.bucket:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", {}
        with self._lock:
            if method == "PUT":
                if headers.get("if-none-match") == "*" and key in self.objects:
                    return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
                self.objects[key], self.changed[key] = body, time.time()
                return 200, b"", {"etag": _etag(body)}
            if method == "DELETE":
                self.objects.pop(key, None)
                return 204, b"", {}
            if not key:
                return 200, self._listing(parse_qs(url.query)), {"content-type": "application/xml"}
            if key not in self.objects:
                return 404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", {}
            found = self.objects[key]
            changed = formatdate(self.changed[key], usegmt=True)
        return 200, found, {"last-modified": changed, "etag": _etag(found)}

    def _listing(self, query):
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        found = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        contents = "".join(
            f"<Contents><Key>{escape(k)}</Key><LastModified>{_STAMP}</LastModified><ETag>{_etag(self.objects[k])}</ETag>"
            f"<Size>{len(self.objects[k])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for k in found
        )
        return (
            f"<ListBucketResult><Name>{self.bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        ).encode()

    def _secret(self, action, asked):
        name = asked["SecretId"]
        if name not in self.secrets:
            return _json(400, {"__type": "ResourceNotFoundException", "Message": f"no secret {name}"})
        if action == "PutSecretValue":
            self.secrets[name] = asked["SecretString"]
            return _json(200, {"Name": name, "VersionId": "1"})
        return _json(200, {"Name": name, "SecretString": self.secrets[name]})

    # ------------------------------------------------------------ groups and machines

    def _DescribeAutoScalingGroups(self, _asked):  # noqa: N802 - AWS's names
        groups = "".join(
            f"<member><AutoScalingGroupName>{name}</AutoScalingGroupName><DesiredCapacity>{size}</DesiredCapacity><Instances>"
            + "".join(
                f"<member><InstanceId>{i}</InstanceId><LifecycleState>InService</LifecycleState></member>"
                for i, (group, _) in self.machines.items()
                if group == name
            )
            + "</Instances></member>"
            for name, size in self.groups.items()
        )
        return _result("DescribeAutoScalingGroups", f"<AutoScalingGroups>{groups}</AutoScalingGroups>")

    def _SetDesiredCapacity(self, asked):  # noqa: N802
        name, size = asked["AutoScalingGroupName"], int(asked["DesiredCapacity"])
        with self._lock:
            self.groups[name] = size
            while sum(g == name for g, _ in self.machines.values()) < size and self.addresses:
                self.machines[f"i-{len(self.machines):017x}"] = (name, self.addresses.pop(0))
        return _result("SetDesiredCapacity", "")

    def _DescribeScalingActivities(self, _asked):  # noqa: N802
        return _result("DescribeScalingActivities", "<Activities/>")

    def _DescribeInstances(self, _asked):  # noqa: N802
        machines = "".join(
            f"<item><instanceId>{i}</instanceId><instanceState><code>16</code><name>running</name></instanceState>"
            f"<privateIpAddress>{address}</privateIpAddress><launchTime>{_STAMP}</launchTime></item>"
            for i, (_, address) in self.machines.items()
        )
        reservations = f"<item><instancesSet>{machines}</instancesSet></item>"
        return f"<DescribeInstancesResponse><reservationSet>{reservations}</reservationSet></DescribeInstancesResponse>"

    def _DescribeAvailabilityZones(self, _asked):  # noqa: N802
        return (
            "<DescribeAvailabilityZonesResponse><availabilityZoneInfo/></DescribeAvailabilityZonesResponse>"
        )

    def _DescribeSpotPriceHistory(self, _asked):  # noqa: N802
        return "<DescribeSpotPriceHistoryResponse><spotPriceHistorySet/></DescribeSpotPriceHistoryResponse>"


def _result(action, content):
    return f"<{action}Response><{action}Result>{content}</{action}Result></{action}Response>"


def _json(status, value):
    return status, json.dumps(value).encode(), {"content-type": "application/x-amz-json-1.1"}


def _etag(content):
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
