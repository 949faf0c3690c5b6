"""AWS: instance metadata (version 2 only), the role's credentials, Secrets Manager, and notices of interruption.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata.html
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from lb.agent import web
from lb.agent.clouds import metadata, sigv4
from lb.agent.clouds.protocol import POOL_TAG, CloudError, Identity, Objects
from lb.agent.clouds.s3 import S3Objects
from lb.agent.notice import NoticeSource, UnreadableNotice

_TOKEN_S = 21600
_RENEW_BEFORE_S = 300.0
_NOT_FOUND = 404
_UNAUTHORIZED = 401


class Imds:
    """The metadata service, asked with a session token that is renewed in time, and when the service has forgotten it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
        self._base = base.rstrip("/") + "/latest/"
        self._clock = clock
        self._token, self._renew_at = "", -1.0
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes:
        """The answer at a path below `latest/`. Raises CloudError."""
        found = self.find(path)
        if found is None:
            raise CloudError(f"instance metadata: there is no {path}")
        return found

    def find(self, path: str) -> bytes | None:
        """The same; None where there is none."""
        try:
            return metadata.PATIENCE.within(lambda: self._ask(path))
        except (web.Refused, web.Unreachable) as e:
            if isinstance(e, web.Refused) and e.status == _NOT_FOUND:
                return None
            raise CloudError(f"instance metadata: {e}") from e

    def _ask(self, path: str) -> bytes:
        try:
            return self._ask_once(path)
        except web.Refused as e:
            if e.status != _UNAUTHORIZED:
                raise
        self._renew_at = -1.0  # the token is not known any more
        return self._ask_once(path)

    def _ask_once(self, path: str) -> bytes:
        shown = {"x-aws-ec2-metadata-token": self._session()}
        return web.ask(web.Request(self._base + path, shown), timeout_s=metadata.TIMEOUT_S).body

    def _session(self) -> str:
        with self._lock:
            if self._clock() >= self._renew_at:
                wanted = {"x-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
                request = web.Request(self._base + "api/token", wanted, "PUT")
                self._token = web.ask(request, timeout_s=metadata.TIMEOUT_S).body.decode()
                self._renew_at = self._clock() + _TOKEN_S - _RENEW_BEFORE_S
            return self._token


class Signer:
    """Signs as the instance's role. A clock that is wrong is put right by the moment that AWS answers with."""

    def __init__(self, imds: Imds, *, now: Callable[[], float] = time.time) -> None:
        self._imds = imds
        self._now = now
        self._offset_s = 0.0
        self._found: sigv4.Credentials | None = None
        self._lock = threading.Lock()

    def sign(self, request: web.Request, *, service: str, region: str) -> web.Request:
        """Raises CloudError when there are no credentials."""
        now = self._now() + self._offset_s
        return sigv4.signed(request, self._credentials(now), service=service, region=region, now=now)

    def heals(self, refusal: web.Refused) -> bool:
        """Whether the next signature may be accepted: the clock is put right, or the credentials are asked for anew."""
        body = refusal.body.decode(errors="replace")
        if "ExpiredToken" in body or "InvalidToken" in body or "InvalidClientTokenId" in body:
            self._found = None
            return True
        if "RequestTimeTooSkewed" not in body and "Signature" not in body:
            return False
        try:
            theirs = parsedate_to_datetime(refusal.headers["date"]).timestamp()
        except (LookupError, ValueError):
            return False
        before, self._offset_s = self._offset_s, theirs - self._now()
        return abs(self._offset_s - before) > _NOTICEABLE_S

    def _credentials(self, now: float) -> sigv4.Credentials:
        with self._lock:
            if self._found is None or now >= self._found.expires - _RENEW_BEFORE_S:
                self._found = self._ask()
            return self._found

    def _ask(self) -> sigv4.Credentials:
        where, what = "meta-data/iam/security-credentials/", "the instance's role"
        names = (self._imds.find(where) or b"").decode().split()
        if not names:
            raise CloudError(
                "the instance has no role, so it can't read its bucket: see its instance profile"
            )
        found = metadata.fields(what, self._imds.get(where + names[0]))
        key, secret, token, ends = (
            metadata.text(what, found, name)
            for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
        )
        return sigv4.Credentials(key, secret, token, datetime.fromisoformat(ends).timestamp())


_NOTICEABLE_S = 60.0
"""AWS accepts signatures whose time is wrong by less than five minutes (Secrets Manager) or fifteen (S3)."""


class Cloud:
    """See `protocol.Cloud`. `store`: the region of bucket and secrets."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._imds = Imds()
        self._signer = Signer(self._imds)

    def identity(self) -> Identity:
        """See protocol."""
        what = "the instance identity document"
        found = metadata.fields(what, self._imds.get("dynamic/instance-identity/document"))
        zone = self._imds.find("meta-data/placement/availability-zone-id")
        public = self._imds.find("meta-data/public-ipv4")
        pool = self._imds.find(f"meta-data/tags/instance/{POOL_TAG}")
        return Identity(
            instance_id=metadata.text(what, found, "instanceId"),
            region=metadata.text(what, found, "region"),
            zone=zone.decode() if zone else None,
            instance_type=metadata.text(what, found, "instanceType"),
            private_address=metadata.text(what, found, "privateIp"),
            public_address=public.decode() if public else None,
            pool_id=pool.decode() if pool else None,
        )

    def objects(self, url: str, *, place: str | None = None, anonymous: bool = False) -> Objects:
        """See protocol."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise CloudError(f"bucket: {url!r}, but a URL like s3://bucket is expected")
        return S3Objects(parts.netloc, None if anonymous else self._signer, region=place)

    def secret(self, called: str) -> bytes:
        """See protocol."""
        base = os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        request = web.Request(
            f"{(base or f'https://secretsmanager.{self._store}.amazonaws.com').rstrip('/')}/",
            {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"},
            "POST",
            json.dumps({"SecretId": called}).encode(),
        )

        def once() -> bytes:
            try:
                return web.ask(self._signer.sign(request, service="secretsmanager", region=self._store)).body
            except web.Refused as e:
                if not self._signer.heals(e):
                    raise
            return web.ask(self._signer.sign(request, service="secretsmanager", region=self._store)).body

        try:
            body = web.PATIENCE.within(once)
        except (web.Refused, web.Unreachable) as e:
            raise CloudError(f"the secret {called}: {_why(e)}") from e
        found = metadata.fields(f"the secret {called}", body)
        return metadata.text(f"the secret {called}", found, "SecretString").encode()

    def notices(self, note: Callable[[str], None]) -> Sequence[NoticeSource]:
        """See protocol. A recommendation to rebalance is a risk and no end: it is only noted."""
        return (InstanceAction(self._imds), _Rebalance(self._imds, note))


class InstanceAction:
    """`spot/instance-action`: appears two minutes before AWS ends a spot machine. AWS asks to look every 5 s."""

    poll_s = 5.0

    def __init__(self, imds: Imds) -> None:
        self._imds = imds

    def approve(self) -> None:
        """Nothing: AWS keeps to the moment that it has named."""

    def preempt_at(self) -> float | None:
        """See NoticeSource."""
        found = _noticed(self._imds, "meta-data/spot/instance-action")
        return None if found is None else _moment(found, "time")


@dataclass
class _Rebalance:
    imds: Imds
    note: Callable[[str], None]
    poll_s: float = 30.0
    _noted: bool = False

    def approve(self) -> None:
        """Nothing: there is no end."""

    def preempt_at(self) -> float | None:
        """Never a moment: AWS says only that this machine is likelier than others to be ended."""
        found = _noticed(self.imds, "meta-data/events/recommendations/rebalance")
        if found is not None and not self._noted:
            self._noted = True
            self.note("AWS recommends to rebalance: this machine is likelier than others to be interrupted")
        return None


def _noticed(imds: Imds, path: str) -> dict[str, object] | None:
    try:
        raw = imds.find(path)
        return None if raw is None else metadata.fields(path, raw)
    except CloudError as e:
        raise UnreadableNotice(str(e)) from e


def _moment(found: dict[str, object], name: str) -> float:
    try:
        return datetime.fromisoformat(str(found[name])).timestamp()
    except (LookupError, ValueError) as e:
        raise UnreadableNotice(f"spot/instance-action names no moment: {type(e).__name__}") from e


def _why(e: Exception) -> str:
    body = e.body if isinstance(e, web.Refused) else b""
    if b"ResourceNotFoundException" in body:
        return "it is not there: `tradewind:secrets` has to have it, and `pulumi up` writes it"
    if b"AccessDenied" in body:
        return "denied: the machine's role may read the secrets of its own service and pools only"
    return str(e)
