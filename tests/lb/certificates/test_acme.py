"""Certificates from a real ACME authority: proved by DNS, renewed in time, one account for ever."""

import asyncio
import contextlib
import time

import pytest
from cryptography import x509

from lb.certificates.acme import Acme
from lb.certificates.authority import authorities, first_cert, names_of
from spec.errors import OutsideError
from tests.clouds.pebble import NoPebble, Pebble
from tests.lb.certificates.authority import authority_pems

pytestmark = pytest.mark.e2e

NAME = "llm.example.com"
KEY = authority_pems()[1]


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        try:
            made = Pebble(stack, tmp_path_factory.mktemp("pebble"))
        except NoPebble as e:
            pytest.skip(str(e))
        patch.setenv("REQUESTS_CA_BUNDLE", str(made.bundle))
        yield made


class Recorded:
    """A zone that remembers what was asked of it."""

    def __init__(self, records):
        self._records = records
        self.there, self.ever = {}, []

    def put(self, name, value):
        self.there[name] = value
        self.ever.append(name)
        self._records.put(name, value)

    def remove(self, name, value):
        assert self.there.pop(name) == value
        self._records.remove(name, value)


def an_acme(pebble, records=None, directory=None):
    return Acme(
        directory=directory or pebble.directory,
        email="ops@example.com",
        key=KEY,
        records=records or pebble.records,
    )


def test_a_name_is_proved_and_gets_a_certificate_with_its_chain(pebble):
    zone = Recorded(pebble.records)
    leaf = asyncio.run(an_acme(pebble, zone).public(None, ("10.1.2.3", NAME), time.time()))
    assert names_of(first_cert(leaf)) == {NAME}
    assert zone.ever == [f"_acme-challenge.{NAME}"]
    assert zone.there == {}
    issuer = authorities(leaf.cert)[1]
    first_cert(leaf).verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(pebble.root.encode()))


def test_it_stays_until_a_third_of_its_life_is_left_or_names_change(pebble):
    acme = an_acme(pebble)
    leaf = acme.issue((NAME,))
    cert = first_cert(leaf)
    begins, ends = cert.not_valid_before_utc.timestamp(), cert.not_valid_after_utc.timestamp()
    assert asyncio.run(acme.public(leaf, (NAME,), begins + 0.6 * (ends - begins))) is None
    later = asyncio.run(acme.public(leaf, (NAME,), begins + 0.7 * (ends - begins)))
    assert first_cert(later).public_key() != cert.public_key()
    other = asyncio.run(acme.public(leaf, ("api.example.com", NAME), time.time()))
    assert names_of(first_cert(other)) == {NAME, "api.example.com"}


def test_the_account_of_an_environment_is_the_same_for_ever(pebble):
    first, second = an_acme(pebble)._account(), an_acme(pebble)._account()
    assert first.net.account.uri == second.net.account.uri


def test_a_name_that_is_not_ours_gets_nothing_and_the_authority_says_why(pebble):
    class Elsewhere(Recorded):
        def put(self, name, value):
            super().put(name, "not what was asked for")
            self.there[name] = value

    zone = Elsewhere(pebble.records)
    with pytest.raises(
        OutsideError, match=r"issued nothing for other\.example\.com: Correct value not found"
    ) as e:
        an_acme(pebble, zone).issue(("other.example.com",))
    assert zone.there == {}
    assert "\n" not in str(e.value)


def test_an_authority_that_does_not_answer_is_an_error_of_the_outside(pebble):
    with pytest.raises(OutsideError, match="issued nothing"):
        an_acme(pebble, directory="https://127.0.0.1:1/dir").issue((NAME,))


def test_edges_without_a_name_are_told_that_there_is_nothing_to_prove(pebble):
    with pytest.raises(OutsideError, match="by a name"):
        asyncio.run(an_acme(pebble).public(None, ("10.1.2.3",), time.time()))
