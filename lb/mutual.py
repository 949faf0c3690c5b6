"""TLS in which both ends show a certificate of the environment's authority.

A context is renewed in place: connections that come after `show` show the new certificate, those that are open stay. So
neither the HTTP server nor the client of the controller is ever restarted for a certificate.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from spec.certificates import Leaf
from spec.errors import InputError


class Mutual:
    """The two contexts of one holder. `server` asks nobody for a certificate: the API has its token."""

    def __init__(self, leaf: Leaf) -> None:
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for context in (self.client, self.server):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.show(leaf)

    def show(self, leaf: Leaf) -> None:
        """Uses this leaf from now on, and believes its authorities too. Raises InputError when it is damaged."""
        try:
            for context in (self.client, self.server):
                load(context, leaf)
            self.believe(leaf.ca)
        except (ssl.SSLError, ValueError) as e:
            raise InputError(f"the certificate can't be used: {e}") from None

    def believe(self, ca: str) -> None:
        """Accepts replicas of these authorities as well; what is believed stays so while the process runs."""
        if ca:
            self.client.load_verify_locations(cadata=ca)


def load(context: ssl.SSLContext, leaf: Leaf) -> None:
    """Gives the context certificate and key, which OpenSSL only takes from a file: a private one, for a moment."""
    with tempfile.TemporaryDirectory(prefix="tradewind-") as folder:  # made 0700
        path = Path(folder) / "leaf.pem"
        path.touch(mode=0o600)
        path.write_text(leaf.cert + leaf.key, encoding="ascii")
        context.load_cert_chain(path)


def believing(ca: str) -> ssl.SSLContext:
    """A client's context that shows nothing and believes these authorities alone. Raises InputError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as e:
        raise InputError(f"the authority's certificate can't be used: {e}") from None
    return context
