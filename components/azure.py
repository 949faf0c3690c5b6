"""What the modules of Azure share: names and ids that are computed, and the account of a machine that nobody logs in to.

One resource group holds what an environment has once (storage, vault, identities, addresses, names); each region with
pools or hosts has one of its own, so that the controller's rights, and its looks, end at a region's group.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any

from components.cloud import Scope
from spec.clouds import AzureSubscription
from spec.errors import InputError
from spec.names import cloud_name

SHARED = "shared"
"""The place of what belongs to no region."""

ADMIN = "tradewind"

KEY_SENTENCE = "There is no private half of this key."
NOBODYS_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJD8alUP531WZTVqlDFgLdB5GM6ZaU7qdrkFUVZgrzb nobody"
"""The curve point that is the SHA-256 of the sentence: a valid public key, made without a private one."""

_NAMESPACE = uuid.UUID("38389e84-9ee4-5677-8287-25e92d3918e5")  # of tradewind.internal
_LONGEST_GLOBAL = 24
_DIGEST = 10


def subscription(scope: Scope) -> AzureSubscription:
    """Where everything of a scope is. Raises InputError when the stack names none."""
    if scope.config.azure is None:
        raise InputError(
            "tradewind:azure is missing. Add `subscriptionId` and `tenantId`, as `az account show` prints them."
        )
    return scope.config.azure


def resource_group(env: str, place: str) -> str:
    """The name of the group of a region, or of `SHARED`."""
    return cloud_name(env, place)


def storage_account(env: str, subscription_id: str) -> str:
    """3 to 24 small letters and digits, and nobody else's in the world: so the subscription is hashed in."""
    letters = re.sub(r"[^a-z0-9]", "", env.lower())
    digest = _digest(env, subscription_id)
    return f"tw{letters[: _LONGEST_GLOBAL - 2 - len(digest)]}{digest}"


def key_vault(env: str, subscription_id: str, incarnation: int = 1) -> str:
    """3 to 24 letters, digits and single hyphens, and nobody else's in the world. Azure keeps a deleted one's for 7 days."""
    letters = re.sub(r"[^a-z0-9]", "", env.lower())
    digest = _digest(env, subscription_id, *([] if incarnation == 1 else [str(incarnation)]))
    return f"tw-{letters[: _LONGEST_GLOBAL - 4 - len(digest)]}-{digest}"


def guid(*parts: str) -> str:
    """The name of a role or of a role's assignment, which must be a GUID: the same parts give the same one."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def role(subscription_id: str, role_guid: str) -> str:
    """The id of a role definition."""
    return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role_guid}"


def no_login(*, extensions: bool = False) -> dict[str, Any]:
    """The part of a machine's account that keeps everybody out, in the API's own names.

    Azure creates no Linux machine without a password or a key, so it gets the public half of a key that has no
    private half. `extensions`: whether the machine's agent may install any; one of them can add a key.
    """
    return {
        "adminUsername": ADMIN,
        "allowExtensionOperations": extensions,
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "provisionVMAgent": True,
            "ssh": {"publicKeys": [{"path": f"/home/{ADMIN}/.ssh/authorized_keys", "keyData": NOBODYS_KEY}]},
        },
    }


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:_DIGEST]
