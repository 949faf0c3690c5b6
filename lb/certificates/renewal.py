"""When a leaf is issued anew, and how a new authority takes over from an old one without a refused connection.

A pure function of the leaf, the authority and the time. A new authority is believed first: its certificate is added to
`ca` of every leaf, and only when all machines have had the time to read that does it issue. The old one leaves `ca` when the
leaf after that is issued.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from lb.certificates.authority import Authority, Wish, authorities, first_cert, names_of, to_pem
from spec.certificates import Leaf

RENEW_AT = 2 / 3
"""Of its life: a third is left for everything that may go wrong."""
LOOK_EVERY_S = 3600.0
"""So often every leaf is looked at."""
BELIEVED_AFTER_S = 3 * LOOK_EVERY_S
"""By then every leaf was looked at, and every machine, which reads its secrets every few minutes, has what was written."""


def renewed(leaf: Leaf | None, authority: Authority, wish: Wish, now: float) -> Leaf | None:
    """What the leaf is to be replaced by; None while it is good as it is. `now`: epoch seconds."""
    cert = None if leaf is None else first_cert(leaf)
    if leaf is None or cert is None:
        return authority.issue(wish, now)
    at = datetime.fromtimestamp(now, UTC)
    ended = at >= cert.not_valid_after_utc
    if authority.issued(cert):
        return authority.issue(wish, now) if is_due(cert, at) or names_of(cert) != set(wish.names) else None
    if ended:
        return authority.issue(wish, now)
    believed = [a for a in authorities(leaf.ca) if a.not_valid_after_utc > at]
    [own] = authorities(authority.pem)
    if own not in believed or leaf.trusted_at is None:
        others = [a for a in believed if a != own]
        return leaf.model_copy(update={"ca": to_pem([own, *others]), "trusted_at": now})
    if now < leaf.trusted_at + BELIEVED_AFTER_S:
        return None
    return authority.issue(wish, now).model_copy(update={"ca": leaf.ca})


def is_due(cert: x509.Certificate, at: datetime) -> bool:
    """Whether a third of its life or less is left."""
    life = cert.not_valid_after_utc - cert.not_valid_before_utc
    return at >= cert.not_valid_before_utc + life * RENEW_AT
