"""Cloudflare, as the bridged provider pulumi-cloudflare shows it: names of an environment, when it owns them."""

from __future__ import annotations

import hashlib
import secrets

from tools.standins.cloud import Cloud, Made, Naming
from tools.standins.wire import Values

_RECORD = "cloudflare:index/dnsRecord:DnsRecord"


def _outputs(made: Made, id_: str) -> Values:
    return {
        "createdOn": "2026-01-01T00:00:00Z",
        "modifiedOn": "2026-01-01T00:00:00Z",
        "recordId": id_,
        "name": made.get("name"),
    }


def _naming(_type: str) -> Naming | None:
    return None  # several records may have one name


def _zone(arguments: Values, _config: Values) -> Values:
    """A zone is some account's; which one is of no importance to a preview."""
    zone = str(arguments.get("zoneId"))
    account = hashlib.sha256(zone.encode()).hexdigest()[:32]
    return {"id": zone, "zoneId": zone, "name": "example.com", "account": {"id": account, "name": "example"}}


CLOUD = Cloud(
    package="cloudflare",
    identify=lambda _made: secrets.token_hex(16),
    outputs=_outputs,
    naming=_naming,
    fixed={"": frozenset({"zoneId", "accountId"})},
    answers={"cloudflare:index/getZone:getZone": _zone},
)
