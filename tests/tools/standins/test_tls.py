"""Keys and certificates of the TLS stand-in are real: what one signs, the other verifies."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.tools.standins.plugin import Plugin
from tools.standins.wire import UNKNOWN, Secret

KEY = "tls:index/privateKey:PrivateKey"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
REQUEST = "tls:index/certRequest:CertRequest"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"


@pytest.fixture
def tls():
    return Plugin("tls")


def new_key(tls, **how):
    return tls.create(KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256", **how})[1]


def authority(tls):
    key = new_key(tls)["privateKeyPem"].value
    inputs = {
        "privateKeyPem": Secret(key),
        "subject": {"commonName": "Tradewind"},
        "isCaCertificate": True,
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 48,
    }
    return key, tls.create(SELF_SIGNED, inputs)[1]["certPem"]


@pytest.mark.parametrize("how", [{"algorithm": "RSA", "rsaBits": 2048}, {"algorithm": "ED25519"}, {}])
def test_a_key_can_be_loaded_and_is_secret(tls, how):
    outputs = new_key(tls, **how)
    assert isinstance(outputs["privateKeyPem"], Secret)
    key = load_pem_private_key(outputs["privateKeyPem"].value.encode(), None)
    assert load_pem_private_key(outputs["privateKeyPemPkcs8"].value.encode(), None)
    assert key.public_key()
    assert outputs["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY-----")


def test_a_key_is_secret_before_it_is_known(tls):
    outputs = tls.create(KEY, {"algorithm": "ED25519"}, preview=True)[1]
    assert outputs["privateKeyPem"] == Secret(UNKNOWN)
    assert outputs["publicKeyPem"] is UNKNOWN


def test_a_leaf_that_an_authority_signed_is_verified_by_it_and_keeps_its_names(tls):
    key, pem = authority(tls)
    leaf = new_key(tls)["privateKeyPem"].value
    wanted = {
        "privateKeyPem": leaf,
        "dnsNames": ["chat.tradewind.internal"],
        "subject": {"commonName": "chat"},
    }
    request = tls.create(REQUEST, wanted)[1]["certRequestPem"]
    inputs = {
        "certRequestPem": request,
        "caPrivateKeyPem": Secret(key),
        "caCertPem": pem,
        "validityPeriodHours": 24,
        "allowedUses": ["server_auth", "digital_signature"],
    }
    signed = x509.load_pem_x509_certificate(tls.create(SIGNED, inputs)[1]["certPem"].encode())
    root = x509.load_pem_x509_certificate(pem.encode())
    signed.verify_directly_issued_by(root)
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.tradewind.internal"]
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_every_change_but_the_hours_of_early_renewal_needs_a_new_one(tls):
    assert list(tls.diff(KEY, {"algorithm": "RSA"}, {"algorithm": "ED25519"}).replaces) == ["algorithm"]
    early = tls.diff(SELF_SIGNED, {"earlyRenewalHours": 1}, {"earlyRenewalHours": 2})
    assert list(early.replaces) == []
