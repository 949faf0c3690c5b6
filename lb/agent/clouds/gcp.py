"""Google Cloud: the metadata server, the service account's token, Secret Manager, and notices of preemption.

https://cloud.google.com/compute/docs/metadata/overview
"""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from lb.agent import web
from lb.agent.clouds import metadata
from lb.agent.clouds.gcs import GcsObjects
from lb.agent.clouds.protocol import POOL_TAG, CloudError, Identity, Objects
from lb.agent.clouds.tokens import Token
from lb.agent.notice import NoticeSource, UnreadableNotice

_FLAVOR = {"metadata-flavor": "Google"}
_NOTICE_S = 30.0
"""From the notice of a preemption to the end. https://cloud.google.com/compute/docs/instances/preemptible#preemption-process"""
_MAINTENANCE_S = 3600.0
"""Of machines with GPUs. https://cloud.google.com/compute/docs/gpus/gpu-host-maintenance"""
_DENIED, _NOT_FOUND = 403, 404


class Cloud:
    """See `protocol.Cloud`. `store`: the project of bucket and secrets."""

    def __init__(self, store: str) -> None:
        self._project = store
        account = _metadata("instance/service-accounts/default/token")
        self._token = Token("the token of the machine's service account", account)

    def identity(self) -> Identity:
        """See protocol."""
        what = "the metadata server"
        asked = _metadata("instance/?recursive=true")
        found = metadata.fields(what, metadata.told(what, lambda: asked))
        zone = metadata.text(what, found, "zone").rsplit("/", 1)[-1]
        card = ("networkInterfaces", 0)
        return Identity(
            instance_id=metadata.text(what, found, "id"),
            region=zone.rpartition("-")[0],
            zone=zone,
            instance_type=metadata.text(what, found, "machineType").rsplit("/", 1)[-1],
            private_address=metadata.text(what, found, *card, "ip"),
            public_address=metadata.maybe(found, *card, "accessConfigs", 0, "externalIp"),
            pool_id=metadata.maybe(found, "attributes", POOL_TAG),
        )

    def objects(self, url: str, *, place: str | None = None, anonymous: bool = False) -> Objects:  # noqa: ARG002
        """See protocol. Google's buckets are found without their place."""
        parts = urlsplit(url)
        if parts.scheme != "gs" or not parts.netloc:
            raise CloudError(f"bucket: {url!r}, but a URL like gs://bucket is expected")
        return GcsObjects(parts.netloc, None if anonymous else self._token)

    def secret(self, called: str) -> bytes:
        """See protocol."""
        what = f"the secret {called}"
        base = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER")
        base = (base or "https://secretmanager.googleapis.com").rstrip("/")
        url = f"{base}/v1/projects/{self._project}/secrets/{called}/versions/latest:access"
        try:
            body = web.PATIENCE.within(
                lambda: web.ask(web.Request(url, {"authorization": self._token()}))
            ).body
        except web.Refused as e:
            raise CloudError(f"{what}: {_WHY.get(e.status, e)}") from e
        except web.Unreachable as e:
            raise CloudError(f"{what}: {e}") from e
        try:
            return base64.b64decode(
                metadata.text(what, metadata.fields(what, body), "payload", "data"), validate=True
            )
        except binascii.Error as e:
            raise CloudError(f"{what}: the answer is not base64") from e

    def notices(self, note: Callable[[str], None]) -> Sequence[NoticeSource]:  # noqa: ARG002
        """See protocol."""
        return (Preempted(), Maintenance())


_WHY = {
    _NOT_FOUND: "it is not there: `tradewind:secrets` has to have it, and `pulumi up` writes it",
    _DENIED: "denied: the machine's service account may read the secrets of its own service and pools only",
}


class _Value:
    """One value of the metadata server, told when it changes: the server holds the answer back until then."""

    poll_s = 1.0
    """After a failure, and between two waits."""
    waits_s = 60

    def __init__(self, path: str) -> None:
        self._path = path
        self._etag = ""

    def approve(self) -> None:
        """Nothing: Google does not wait."""

    def read(self) -> str:
        """The present value; after the first time, only once it is another one or the wait is over. Raises UnreadableNotice."""
        wait = (
            f"?wait_for_change=true&last_etag={self._etag}&timeout_sec={self.waits_s}" if self._etag else ""
        )
        try:
            answer = web.ask(_metadata(self._path + wait), timeout_s=self.waits_s + metadata.TIMEOUT_S)
        except (web.Refused, web.Unreachable) as e:
            self._etag = ""
            raise UnreadableNotice(f"the metadata server: {e}") from e
        self._etag = answer.headers.get("etag", "")
        return answer.body.decode(errors="replace").strip()


class Preempted(_Value):
    """`instance/preempted`: TRUE half a minute before the end."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        super().__init__("instance/preempted")
        self._now = now

    def preempt_at(self) -> float | None:
        """See NoticeSource."""
        return self._now() + _NOTICE_S if self.read() == "TRUE" else None


class Maintenance(_Value):
    """`instance/maintenance-event`: a machine with GPUs can't be moved, and is ended an hour after this appears."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        super().__init__("instance/maintenance-event")
        self._now = now

    def preempt_at(self) -> float | None:
        """See NoticeSource."""
        return self._now() + _MAINTENANCE_S if self.read() == "TERMINATE_ON_HOST_MAINTENANCE" else None


def _metadata(path: str) -> web.Request:
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    return web.Request(f"http://{host}/computeMetadata/v1/{path}", _FLAVOR)
