"""The environment's own certificates: what they are called, and which secret holds each.

The stack declares the authority and the secrets. The controller issues every leaf into them, the first ones too: a leaf
that the stack had issued would expire in its state and trouble every later preview. So a secret begins as
`NOT_ISSUED`, and whoever reads that waits.
"""

from __future__ import annotations

from pydantic import ValidationError

from spec.base import Seconds, Wire

DOMAIN = "tradewind.internal"
CONTROLLER = f"controller.{DOMAIN}"
EDGE = f"edge.{DOMAIN}"

NOT_ISSUED = "{}"
"""The first value of a secret that the controller writes."""

# Owner and name of a secret: arguments of `spec.names.secret_name`.
CONTROLLER_OWNER = "controller"
EDGE_OWNER = "edge"
AUTHORITY_KEY = "ca-key"
"""Of the controller: the authority's private key, in PEM. Nothing else can issue."""
AUTHORITY = "ca"
"""Of the controller: the authority's certificate, in PEM."""
LEAF = "leaf"
"""Of the controller, an edge or a pool: a `Leaf`."""
PUBLIC = "public"
"""Of the edges: the `Leaf` that callers see, unless the user brings one."""
TOKEN = "token"  # noqa: S105 - the name of a secret
"""Of the controller and of the edges: what edges show to the controller, the same value twice."""


class Leaf(Wire):
    """What a machine shows, and whom it trusts; all in PEM, and written whole so that key and certificate fit."""

    cert: str
    """The certificate, then those between it and the authority, if any."""
    key: str
    ca: str = ""
    """Authorities whose certificates are believed: more than one while a new one takes over."""
    trusted_at: Seconds | None = None
    """Epoch seconds at which the newest authority was added to `ca`, before it issues anything."""


def pool_name(pool_id: str) -> str:
    """What the machines of a pool are called in their certificate; it begins with their service's name."""
    return f"{pool_id}.{DOMAIN}"


def pool_owner(pool_id: str) -> str:
    """Whose secret a pool's leaf is."""
    return f"pool-{pool_id}"


def parse_leaf(raw: str | bytes) -> Leaf | None:
    """A secret's value; None while it is not issued, or is something else."""
    try:
        return Leaf.model_validate_json(raw)
    except ValidationError:
        return None
