"""AWS for one environment: instance metadata, a bucket, secrets, and groups whose machines have addresses of this computer.

Everything is on one port; the service is the one that a request was signed for. A request without a valid signature of
the role that the metadata service hands out is refused.
"""

import contextlib
import json
import re
import secrets
import time
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from tests.clouds.listings import STAMP, s3_listing
from tests.clouds.serving import Served, etag
from tests.clouds.sigv4 import Skewed, Unsigned, key_of, service_of

KEY = {"key_id": "ASIATESTING", "secret": "a secret of the role", "token": "a token of the role"}
ROLE, ACCOUNT = "tw-test-role", "123456789012"
_ON_OBJECTS = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}


class Aws(Served):
    """`objects` by key, `secrets` by name, `groups` by name: wanted size; `machines` by id: their addresses.

    `metadata`: by the machine's metadata service, by path below `latest/`; None = there is none. `denied`: keys that the role
    may not read. `keys`: by id, the role that each is of. `signed_for`: regions that requests were signed for.
    """

    def __init__(self, bucket="state", region="eu-west-1"):
        self.bucket, self.region = bucket, region
        self.groups, self.machines, self.addresses = {}, {}, []
        self.metadata, self.denied, self.public = {}, set(), set()
        self.sessions, self.signed_for, self.page_size = set(), set(), 1000
        self.keys = {KEY["key_id"]: (None, KEY)}
        super().__init__()

    def be(self, instance_id, *, pool=None, address="127.0.0.1", zone="euw1-az1", instance_type="g6.xlarge"):
        """Answers as that machine's metadata service."""
        document = {
            "instanceId": instance_id,
            "region": self.region,
            "availabilityZone": f"{self.region}a",
            "instanceType": instance_type,
            "privateIp": address,
            "accountId": "123456789012",
        }
        self.metadata |= {
            "dynamic/instance-identity/document": json.dumps(document),
            "meta-data/placement/availability-zone-id": zone,
            "meta-data/public-ipv4": "203.0.113.7",
            "meta-data/tags/instance/tradewind-pool": pool,
        }

    def announce(self, at):
        """The machine will be interrupted at that moment."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        self.metadata["meta-data/spot/instance-action"] = json.dumps({"action": "terminate", "time": when})

    def group(self, pool):
        """An empty group for that pool."""
        self.groups[pool.resource["group"]] = 0

    @property
    def store(self):
        return self.region

    @property
    def bucket_url(self):
        return f"s3://{self.bucket}"

    def environment_of(self, metadata):
        """What makes AWS's own libraries, and ours, come here. `metadata`: where that service is."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
            "AWS_METADATA_ENDPOINT": metadata,
            "AWS_ALLOW_HTTP": "true",
        }

    # ------------------------------------------------------------ requests

    def answer(self, method, target, headers, body):
        path = urlsplit(target).path
        if path.startswith("/latest/"):
            return self.tell(None, method, target, headers, body)
        if method == "GET" and "authorization" not in headers and self._is_public(path):
            return self._s3(None, method, target, headers, body)
        try:
            role, key = self.keys.get(key_of(headers), (None, KEY))
            service = service_of(method, target, headers, body, now=time.time() + self.skew_s, **key)
        except Skewed as e:
            self.refused.append((method, target, str(e)))
            return 403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", {}
        except Unsigned as e:
            self.refused.append((method, target, str(e)))
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", {}
        self.signed_for.add(headers["authorization"].split("/")[2])
        if service == "s3":
            return self._s3(role, method, target, headers, body)
        if service == "secretsmanager":
            return self._secret(role, headers["x-amz-target"].rpartition(".")[2], json.loads(body))
        asked = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        if not self._may(role, f"{service}:{asked['Action']}", self._group_arn(asked)):
            return 403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", {}
        with contextlib.suppress(AttributeError):
            return 200, getattr(self, f"_{asked['Action']}")(asked).encode(), {"content-type": "text/xml"}
        self.refused.append((method, target, asked.get("Action", "")))
        return 400, b"<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", {}

    def _may(self, role, action, resource):
        if self.may(role, action, resource):
            return True
        self.refused.append((role, action, resource))
        return False

    def _group_arn(self, asked):
        if (name := asked.get("AutoScalingGroupName")) is None:
            return "*"
        return (
            f"arn:aws:autoscaling:{self.region}:{ACCOUNT}:autoScalingGroup:1234:autoScalingGroupName/{name}"
        )

    def tell(self, role, method, target, headers, _body):
        """The metadata service of a machine with that role."""
        path = urlsplit(target).path
        if method == "PUT" and path == "/latest/api/token":
            if not 1 <= int(headers.get("x-aws-ec2-metadata-token-ttl-seconds", "0")) <= 21600:
                return 400, b"", {}
            session = f"metadata-token-{secrets.token_hex(8)}"
            self.sessions.add(session)
            return 200, session.encode(), {"x-aws-ec2-metadata-token-ttl-seconds": "300"}
        if headers.get("x-aws-ec2-metadata-token") not in self.sessions:
            return 401, b"", {}
        found = self.metadata.get(path.removeprefix("/latest/"))
        if found is not None:
            return 200, found.encode(), {}
        rest = path.removeprefix("/latest/meta-data/iam/security-credentials/")
        if rest == "":
            return 200, (role or ROLE).encode(), {}
        if rest == (role or ROLE):
            key = self._key(role)
            ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))
            found = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": "2026-01-01T00:00:00Z",
                "AccessKeyId": key["key_id"],
                "SecretAccessKey": key["secret"],
                "Token": key["token"],
                "Expiration": ends,
            }
            return 200, json.dumps(found).encode(), {"content-type": "application/json"}
        return 404, b"", {}

    def _key(self, role):
        if role is None:
            return KEY
        with self.lock:
            for of, key in self.keys.values():
                if of == role:
                    return key
            made = {"key_id": f"ASIA{secrets.token_hex(8).upper()}", "secret": secrets.token_hex(20)}
            made["token"] = secrets.token_hex(40)
            self.keys[made["key_id"]] = role, made
            return made

    def _s3(self, role, method, target, headers, body):
        url = urlsplit(target)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        if bucket != self.bucket:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", {}
        bucket_arn, denied = (
            f"arn:aws:s3:::{self.bucket}",
            (403, b"<Error><Code>AccessDenied</Code></Error>", {}),
        )
        if method == "POST" and url.query == "delete":
            return self._delete(role, re.findall(r"<Key>([^<]*)</Key>", body.decode()))
        action = _ON_OBJECTS[method] if key else "s3:ListBucket"
        if not self._may(role, action, f"{bucket_arn}/{key}" if key else bucket_arn):
            return denied
        with self.lock:
            if method == "PUT":
                if headers.get("if-none-match") == "*" and key in self.objects:
                    return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
                self.objects[key], self.changed[key] = body, time.time()
                return 200, b"", {"etag": etag(body)}
            if method == "DELETE":
                self.objects.pop(key, None)
                return 204, b"", {}
            if not key:
                return 200, s3_listing(self, parse_qs(url.query)), {"content-type": "application/xml"}
        if key in self.denied:
            return denied
        missing = 404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", {}
        # Who may not list is not told what there is not.
        return self.read(key, headers) or (missing if self.may(role, "s3:ListBucket", bucket_arn) else denied)

    def _delete(self, role, keys):
        """Several objects at once, each by its own right."""
        told = []
        for key in map(unescape, keys):
            if self._may(role, "s3:DeleteObject", f"arn:aws:s3:::{self.bucket}/{key}"):
                with self.lock:
                    self.objects.pop(key, None)
                told.append(f"<Deleted><Key>{escape(key)}</Key></Deleted>")
            else:
                why = "<Code>AccessDenied</Code><Message>Access Denied</Message>"
                told.append(f"<Error><Key>{escape(key)}</Key>{why}</Error>")
        return (
            200,
            f"<DeleteResult>{''.join(told)}</DeleteResult>".encode(),
            {"content-type": "application/xml"},
        )

    def _is_public(self, path):
        return any(path.startswith(f"/{self.bucket}/{prefix}") for prefix in self.public)

    def _secret(self, role, action, asked):
        name = asked["SecretId"]
        arn = f"arn:aws:secretsmanager:{self.region}:{ACCOUNT}:secret:{name}-AbCdEf"
        if name in self.denied or not self._may(role, f"secretsmanager:{action}", arn):
            return _json(400, {"__type": "AccessDeniedException", "Message": "not authorized"})
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
        with self.lock:
            self.groups[name] = size
            while sum(g == name for g, _ in self.machines.values()) < size and self.addresses:
                self.machines[f"i-{len(self.machines):017x}"] = (name, self.addresses.pop(0))
        return _result("SetDesiredCapacity", "")

    def _DescribeScalingActivities(self, _asked):  # noqa: N802
        return _result("DescribeScalingActivities", "<Activities/>")

    def _DescribeInstances(self, _asked):  # noqa: N802
        machines = "".join(
            f"<item><instanceId>{i}</instanceId><instanceState><code>16</code><name>running</name></instanceState>"
            f"<privateIpAddress>{address}</privateIpAddress><launchTime>{STAMP}</launchTime></item>"
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
