"""Proving to an ACME authority that a name is ours: a TXT record in the zone, through the interface of whoever owns the name.

Everything here blocks, and is called in a thread: issuing takes a minute, once in two months.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx

from spec.errors import OutsideError

TTL_S = 60
IN_FORCE_WITHIN_S = 120.0
_LOOK_EVERY_S = 2.0

GOOGLE = "https://dns.googleapis.com/dns/v1"
CLOUDFLARE = "https://api.cloudflare.com/client/v4"


class Records(Protocol):
    """TXT records of one zone."""

    def put(self, name: str, value: str) -> None:
        """Makes it the only value, and returns when the owner says that it is in force. Raises OutsideError."""
        ...

    def remove(self, name: str, value: str) -> None:
        """Takes that record away. Raises OutsideError."""
        ...


class Route53:
    """`client` gives boto3's."""

    def __init__(self, client: Callable[[], Any], *, zone: str) -> None:
        self._client = client
        self._zone = zone

    def put(self, name: str, value: str) -> None:
        """Waits until all of Route 53's servers have it."""
        change = self._change("UPSERT", name, value)
        _wait(lambda: self._ask("get_change", Id=change)["ChangeInfo"]["Status"] == "INSYNC", name)

    def remove(self, name: str, value: str) -> None:
        """Route 53 wants to be told the whole record."""
        self._change("DELETE", name, value)

    def _change(self, action: str, name: str, value: str) -> str:
        record = {
            "Name": name,
            "Type": "TXT",
            "TTL": TTL_S,
            "ResourceRecords": [{"Value": f'"{value}"'}],
        }
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        return self._ask("change_resource_record_sets", HostedZoneId=self._zone, ChangeBatch=batch)[
            "ChangeInfo"
        ]["Id"]

    def _ask(self, call: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client(), call)(**arguments)
        except (BotoCoreError, ClientError) as e:
            raise OutsideError(f"Route 53: {e}") from e


class CloudDns:
    """`token`: a bearer token that is valid now."""

    def __init__(
        self, token: Callable[[], str], *, project: str, zone: str, client: httpx.Client | None = None
    ) -> None:
        self._zone = f"{GOOGLE}/projects/{project}/managedZones/{zone}"
        self._token = token
        self._client = client or httpx.Client(timeout=10)

    def put(self, name: str, value: str) -> None:
        """In one change with the removal of what an earlier attempt left."""
        change = {"additions": [_record(name, value)], "deletions": self._there(name)}
        made = self._ask("POST", "/changes", json=change)
        _wait(lambda: self._ask("GET", f"/changes/{made['id']}")["status"] == "done", name)

    def remove(self, name: str, value: str) -> None:  # noqa: ARG002 - there is one value
        """What is there goes."""
        if there := self._there(name):
            self._ask("POST", "/changes", json={"deletions": there})

    def _there(self, name: str) -> list[dict[str, Any]]:
        found = self._ask("GET", "/rrsets", params={"name": f"{name}.", "type": "TXT"})
        return found.get("rrsets", [])

    def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        return _json("Cloud DNS", self._client, method, self._zone + path, self._token(), **given)


class Cloudflare:
    """`token`: of an API token that may edit the zone."""

    def __init__(self, token: Callable[[], str], *, zone: str, client: httpx.Client | None = None) -> None:
        self._records = f"{CLOUDFLARE}/zones/{zone}/dns_records"
        self._token = token
        self._client = client or httpx.Client(timeout=10)

    def put(self, name: str, value: str) -> None:
        """In force as soon as it is answered."""
        for record in self._there(name):
            self._ask("DELETE", f"/{record['id']}")
        self._ask("POST", "", json={"type": "TXT", "name": name, "content": f'"{value}"', "ttl": TTL_S})

    def remove(self, name: str, value: str) -> None:  # noqa: ARG002 - there is one value
        """What is there goes."""
        for record in self._there(name):
            self._ask("DELETE", f"/{record['id']}")

    def _there(self, name: str) -> list[dict[str, Any]]:
        return self._ask("GET", "", params={"type": "TXT", "name": name})["result"]

    def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        return _json("Cloudflare", self._client, method, self._records + path, self._token(), **given)


def _record(name: str, value: str) -> dict[str, Any]:
    return {"name": f"{name}.", "type": "TXT", "ttl": TTL_S, "rrdatas": [f'"{value}"']}


def _json(who: str, client: httpx.Client, method: str, url: str, token: str, **given: Any) -> dict[str, Any]:
    try:
        answer = client.request(method, url, headers={"authorization": f"Bearer {token}"}, **given)
        content = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError) as e:
        raise OutsideError(f"{who}: {type(e).__name__} {e}".rstrip()) from e
    if not answer.is_success:
        raise OutsideError(f"{who} answers {answer.status_code}: {answer.text[:300]}")
    return content


def _wait(done: Callable[[], bool], name: str) -> None:
    end = time.monotonic() + IN_FORCE_WITHIN_S
    while not done():
        if time.monotonic() > end:
            raise OutsideError(f"the record {name} was not in force within {IN_FORCE_WITHIN_S:g} s")
        time.sleep(_LOOK_EVERY_S)
