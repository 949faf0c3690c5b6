"""An authority as the stack declares one: made here, because Pulumi's provider is not."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lb.certificates.authority import Authority


def authority_pems(*, at=None, years=10, name="Tradewind test"):
    """Certificate and key in PEM; the key as Pulumi's tls provider writes it."""
    key, at = ec.generate_private_key(ec.SECP256R1()), at or datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return cert.public_bytes(Encoding.PEM).decode(), private.decode()


def an_authority(**given):
    cert, key = authority_pems(**given)
    return Authority(cert=cert, key=key)
