"""Azure: the instance metadata service, tokens of the machine's identity, Key Vault, and scheduled events.

https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from lb.agent import web
from lb.agent.clouds import metadata
from lb.agent.clouds.blob import BlobObjects
from lb.agent.clouds.protocol import POOL_TAG, CloudError, Identity, Objects
from lb.agent.clouds.tokens import Token
from lb.agent.notice import NoticeSource, UnreadableNotice

_INSTANCE, _EVENTS, _OAUTH = "2021-12-13", "2020-07-01", "2018-02-01"
_SHOWN = {"metadata": "true"}
_ENDS = frozenset({"Preempt", "Terminate", "Reboot", "Redeploy"})
"""Events that take the engine away. A `Freeze` lasts seconds, and requests that wait for it are answered after it."""
_DENIED, _NOT_FOUND = 403, 404


class Cloud:
    """See `protocol.Cloud`. `store`: the vault's URL."""

    def __init__(self, store: str) -> None:
        self._vault_url = store.rstrip("/")
        self._vault = _token("https://vault.azure.net")
        self._storage = _token("https://storage.azure.com/")

    def identity(self) -> Identity:
        """See protocol."""
        what = "instance metadata"
        asked = _metadata("instance", _INSTANCE)
        found = metadata.fields(what, metadata.told(what, lambda: asked))
        address = ("network", "interface", 0, "ipv4", "ipAddress", 0)
        return Identity(
            instance_id=metadata.text(what, found, "compute", "name"),
            region=metadata.text(what, found, "compute", "location"),
            zone=None,
            instance_type=metadata.text(what, found, "compute", "vmSize"),
            private_address=metadata.text(what, found, *address, "privateIpAddress"),
            public_address=metadata.maybe(found, *address, "publicIpAddress"),
            pool_id=_tag(found, POOL_TAG),
        )

    def objects(self, url: str, *, place: str | None = None, anonymous: bool = False) -> Objects:  # noqa: ARG002
        """See protocol. Azure's accounts are found without their place."""
        parts = urlsplit(url)
        container = parts.path.strip("/")
        if parts.scheme != "az" or not parts.netloc or not container or "/" in container:
            raise CloudError(f"bucket: {url!r}, but a URL like az://account/container is expected")
        return BlobObjects(parts.netloc, container, None if anonymous else self._storage)

    def secret(self, called: str) -> bytes:
        """See protocol."""
        what, url = f"the secret {called}", f"{self._vault_url}/secrets/{called}?api-version=7.4"
        try:
            body = web.PATIENCE.within(
                lambda: web.ask(web.Request(url, {"authorization": self._vault()}))
            ).body
        except web.Refused as e:
            raise CloudError(f"{what}: {_WHY.get(e.status, e)}") from e
        except web.Unreachable as e:
            raise CloudError(f"{what}: {e}") from e
        return metadata.text(what, metadata.fields(what, body), "value").encode()

    def notices(self, note: Callable[[str], None]) -> Sequence[NoticeSource]:
        """See protocol."""
        return (ScheduledEvents(note),)


_WHY = {
    _NOT_FOUND: "it is not there: `tradewind:secrets` has to have it, and `pulumi up` writes it",
    _DENIED: "denied: the machine's identity may read the secrets of its own service and pools only",
}


@dataclass
class ScheduledEvents:
    """What Azure is about to do to this machine. Azure asks to look every second.

    It waits for its time, or until every machine has approved the event: `approve` does so when nothing is left to lose.
    """

    note: Callable[[str], None]
    now: Callable[[], float] = time.time
    poll_s: float = 1.0
    _own: str = ""
    _noted: set[str] = field(default_factory=set)
    _ends: set[str] = field(default_factory=set)
    _approved: set[str] = field(default_factory=set)

    def preempt_at(self) -> float | None:
        """See NoticeSource."""
        try:
            found = metadata.fields(
                "scheduled events",
                web.ask(_metadata("scheduledevents", _EVENTS), timeout_s=_FIRST_LOOK_S).body,
            )
            if not self._own:
                self._own = metadata.told("the machine's name", _own_name).decode().strip()
        except (web.Refused, web.Unreachable, CloudError) as e:
            raise UnreadableNotice(f"scheduled events: {e}") from e
        mine = [e for e in _events(found) if self._own in e.get("Resources", ())]
        self._ends = {str(e.get("EventId")) for e in mine if e.get("EventType") in _ENDS}
        for event in mine:
            self._remark(event)
        moments = [self._moment(event) for event in mine if event.get("EventType") in _ENDS]
        return min(moments, default=None)

    def approve(self) -> None:
        """Lets Azure go on at once with what ends this machine. Raises UnreadableNotice."""
        wanted = sorted(self._ends - self._approved)
        if not wanted:
            return
        body = json.dumps({"StartRequests": [{"EventId": i} for i in wanted]}).encode()
        asked = _metadata("scheduledevents", _EVENTS)
        headers = {**asked.headers, "content-type": "application/json"}
        try:
            web.ask(web.Request(asked.url, headers, "POST", body), timeout_s=metadata.TIMEOUT_S)
        except (web.Refused, web.Unreachable) as e:
            raise UnreadableNotice(f"scheduled events can't be approved: {e}") from e
        self._approved.update(wanted)
        self.note(f"approved: {', '.join(wanted)}")

    def _remark(self, event: dict[str, Any]) -> None:
        known = str(event.get("EventId"))
        if known not in self._noted:
            self._noted.add(known)
            self.note(f"{event.get('EventType')} by {event.get('EventSource')}: {event.get('Description')}")

    def _moment(self, event: dict[str, Any]) -> float:
        """An event that has begun has no moment any more: it is now."""
        text = event.get("NotBefore")
        if not text:
            return self.now()
        try:
            return parsedate_to_datetime(text).timestamp()
        except (TypeError, ValueError) as e:
            raise UnreadableNotice(f"a scheduled event names no moment: {type(e).__name__}") from e


_FIRST_LOOK_S = 120.0
"""The first look of a machine switches the events on, which may take Azure two minutes."""


def _own_name() -> web.Request:
    return _metadata("instance/compute/name", _INSTANCE, "&format=text")


def _events(found: dict[str, Any]) -> list[dict[str, Any]]:
    events = found.get("Events")
    if not isinstance(events, list):
        raise UnreadableNotice("scheduled events: the answer has no Events")
    return [e for e in events if isinstance(e, dict)]


def _token(resource: str) -> Token:
    asked = _metadata("identity/oauth2/token", _OAUTH, "&" + urlencode({"resource": resource}))
    return Token(f"the token of the machine's identity for {resource}", asked)


def _metadata(path: str, version: str, more: str = "") -> web.Request:
    base = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or "http://169.254.169.254"
    return web.Request(f"{base.rstrip('/')}/metadata/{path}?api-version={version}{more}", _SHOWN)


def _tag(found: dict[str, Any], name: str) -> str | None:
    tags = found.get("compute", {}).get("tagsList") or ()
    return next((t.get("value") for t in tags if isinstance(t, dict) and t.get("name") == name), None)
