"""The environment's certificate authority: issues leafs, and says of a leaf what is left of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spec.certificates import Leaf
from spec.errors import InputError

LIFE = timedelta(days=30)
SKEW = timedelta(hours=1)
"""Before now: a machine whose clock is late must not refuse a new certificate."""


@dataclass(frozen=True)
class Wish:
    """What a leaf is for: the names or addresses of its holder, and what it shows itself as."""

    names: tuple[str, ...]
    server: bool = False
    client: bool = False


class Authority:
    """Issues with its key. Raises InputError when key and certificate are unusable or of two authorities."""

    def __init__(self, *, cert: str, key: str) -> None:
        try:
            self._cert = x509.load_pem_x509_certificate(cert.encode())
            loaded = load_pem_private_key(key.encode(), password=None)
        except ValueError as e:
            raise InputError(f"the authority's certificate or key is not PEM of one: {e}") from None
        if (
            not isinstance(loaded, ec.EllipticCurvePrivateKey)
            or loaded.public_key() != self._cert.public_key()
        ):
            raise InputError("the authority's key is not that of its certificate; the stack declares both")
        self._key = loaded

    @property
    def pem(self) -> str:
        """Its certificate."""
        return _pem(self._cert)

    def issue(self, wish: Wish, now: float) -> Leaf:
        """A new key, and a certificate for it that is valid from an hour before `now` for `LIFE`."""
        key, at = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(now, UTC)
        end = min(at + LIFE, self._cert.not_valid_after_utc)
        usages = [
            oid
            for asked, oid in (
                (wish.server, ExtendedKeyUsageOID.SERVER_AUTH),
                (wish.client, ExtendedKeyUsageOID.CLIENT_AUTH),
            )
            if asked
        ]
        identifier = self._cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        cert = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tradewind")]))
            .issuer_name(self._cert.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - SKEW)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([_name(n) for n in wish.names]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS_ONLY, critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Leaf(cert=_pem(cert), key=private, ca=self.pem)

    def issued(self, cert: x509.Certificate) -> bool:
        """Whether the certificate is one of its own."""
        try:
            cert.verify_directly_issued_by(self._cert)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def first_cert(leaf: Leaf) -> x509.Certificate | None:
    """The holder's own certificate; None when the leaf is damaged, or its key is another's."""
    try:
        cert = x509.load_pem_x509_certificates(leaf.cert.encode())[0]
        key = load_pem_private_key(leaf.key.encode(), password=None)
        return cert if key.public_key() == cert.public_key() else None
    except (ValueError, TypeError, IndexError):
        return None


def authorities(pem: str) -> list[x509.Certificate]:
    """Those of a text in PEM; none when it is damaged or empty."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def names_of(cert: x509.Certificate) -> frozenset[str]:
    """The names and addresses that it is for."""
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    )


def to_pem(certs: list[x509.Certificate]) -> str:
    """The certificates as one text."""
    return "".join(map(_pem, certs))


_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(Encoding.PEM).decode()
