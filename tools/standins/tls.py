"""The TLS provider: it has no cloud, and its keys and certificates are real, because machines use them."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import secrets
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.standins.cloud import Cloud, Made, Naming
from tools.standins.wire import Values

KEY = "tls:index/privateKey:PrivateKey"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
REQUEST = "tls:index/certRequest:CertRequest"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"

_CURVES = {"P224": ec.SECP224R1, "P256": ec.SECP256R1, "P384": ec.SECP384R1, "P521": ec.SECP521R1}
_EXTENDED = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
_USAGES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
_SUBJECT = {
    "commonName": NameOID.COMMON_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "country": NameOID.COUNTRY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
}


def outputs(made: Made, _id: str) -> Values:
    """PEM texts and times of a resource."""
    if made.type == KEY:
        return _key(made)
    if made.type == REQUEST:
        key = _loaded(made.get("privateKeyPem"))
        builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(made))
        names = _names(made)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        request = builder.sign(key, _digest(key))
        return {"certRequestPem": _pem(request), "keyAlgorithm": _algorithm(key)}
    if made.type == SELF_SIGNED:
        key = _loaded(made.get("privateKeyPem"))
        subject = _subject(made)
        return _certificate(made, (subject, subject), key.public_key(), _names(made), key)
    request = x509.load_pem_x509_csr(made.get("certRequestPem").encode())
    authority = x509.load_pem_x509_certificate(made.get("caCertPem").encode())
    key = _loaded(made.get("caPrivateKeyPem"))
    try:
        names = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    found = _certificate(made, (request.subject, authority.subject), request.public_key(), names, key)
    return {**found, "caKeyAlgorithm": _algorithm(key)}


def _key(made: Made) -> Values:
    match made.get("algorithm"):
        case "RSA":
            key: Any = rsa.generate_private_key(65537, made.get("rsaBits") or 2048)
        case "ECDSA":
            key = ec.generate_private_key(_CURVES[made.get("ecdsaCurve") or "P224"]())
        case _:
            key = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat, serialization.NoEncryption()
    older = form.PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else form.TraditionalOpenSSL
    pem, openssh = serialization.Encoding.PEM, serialization.PublicFormat.OpenSSH
    public = key.public_key()
    wire = public.public_bytes(serialization.Encoding.OpenSSH, openssh)
    return {
        "privateKeyPem": key.private_bytes(pem, older, plain).decode(),
        "privateKeyPemPkcs8": key.private_bytes(pem, form.PKCS8, plain).decode(),
        "privateKeyOpenssh": key.private_bytes(pem, form.OpenSSH, plain).decode(),
        "publicKeyPem": public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        "publicKeyOpenssh": wire.decode() + "\n",
        "publicKeyFingerprintSha256": f"SHA256:{hashlib.sha256(wire).hexdigest()}",
        "publicKeyFingerprintMd5": hashlib.md5(wire, usedforsecurity=False).hexdigest(),
    }


def _certificate(
    made: Made, who: tuple[x509.Name, x509.Name], public: Any, names: list[x509.GeneralName], key: Any
) -> Values:
    """`who`: subject and issuer. `key`: the issuer's."""
    start = dt.datetime.now(dt.UTC).replace(microsecond=0)
    end = start + dt.timedelta(hours=made.get("validityPeriodHours"))
    authority = bool(made.get("isCaCertificate"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(who[0])
        .issuer_name(who[1])
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(ca=authority, path_length=made.get("maxPathLength") if authority else None),
            critical=True,
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    uses = made.get("allowedUses") or []
    extended = [_EXTENDED[use] for use in uses if use in _EXTENDED]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    wanted = {_USAGES[use] for use in uses if use in _USAGES}
    if wanted:
        flags = {name: name in wanted for name in _USAGES.values()}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    if authority or made.get("setSubjectKeyId"):
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if made.get("setAuthorityKeyId") or made.type == SIGNED:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return {
        "certPem": _pem(builder.sign(key, _digest(key))),
        "validityStartTime": start.isoformat().replace("+00:00", "Z"),
        "validityEndTime": end.isoformat().replace("+00:00", "Z"),
        "readyForRenewal": False,
        "keyAlgorithm": _algorithm(key),
    }


def _subject(made: Made) -> x509.Name:
    subject = made.get("subject") or {}
    return x509.Name(
        [x509.NameAttribute(oid, subject[name]) for name, oid in _SUBJECT.items() if subject.get(name)]
    )


def _names(made: Made) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in made.get("dnsNames") or []),
        *(x509.IPAddress(ipaddress.ip_address(text)) for text in made.get("ipAddresses") or []),
        *(x509.UniformResourceIdentifier(text) for text in made.get("uris") or []),
    ]


def _loaded(pem: str) -> Any:
    return serialization.load_pem_private_key(pem.encode(), None)


def _digest(key: Any) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _algorithm(key: Any) -> str:
    kinds = {rsa.RSAPrivateKey: "RSA", ec.EllipticCurvePrivateKey: "ECDSA"}
    return next((name for kind, name in kinds.items() if isinstance(key, kind)), "ED25519")


def _pem(thing: Any) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def _none(_type: str) -> Naming | None:
    return None


_ALL = {
    "algorithm",
    "rsaBits",
    "ecdsaCurve",
    "privateKeyPem",
    "certRequestPem",
    "caPrivateKeyPem",
    "caCertPem",
    "subject",
    "dnsNames",
    "ipAddresses",
    "uris",
    "isCaCertificate",
    "setSubjectKeyId",
    "setAuthorityKeyId",
    "maxPathLength",
    "validityPeriodHours",
    "allowedUses",
}  # fmt: skip  everything but the hours of early renewal

CLOUD = Cloud(
    package="tls",
    identify=lambda _made: secrets.token_hex(20),
    outputs=outputs,
    naming=_none,
    fixed={"": frozenset(_ALL)},
    secret={KEY: frozenset({"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"})},
    local=frozenset({KEY, SELF_SIGNED, REQUEST, SIGNED}),
)
