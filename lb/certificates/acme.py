"""What callers see, issued by a public authority that speaks ACME (RFC 8555), proved by DNS.

The account's key follows from the key of the environment's own authority, so that there is one account for ever and
nothing more to keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import josepy
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lb.certificates.authority import first_cert, names_of
from lb.certificates.challenge import Records
from lb.certificates.renewal import is_due
from spec.certificates import Leaf
from spec.errors import OutsideError

ORDER_WITHIN = timedelta(minutes=3)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Acme:
    """Issues through `directory`. `key`: of the environment's own authority, in PEM; `email`: for the authority's warnings."""

    def __init__(self, *, directory: str, email: str, key: str, records: Records) -> None:
        self._directory = directory
        self._email = email
        self._key = _account_key(key)
        self._records = records

    async def public(self, leaf: Leaf | None, names: tuple[str, ...], now: float) -> Leaf | None:
        """What callers are to see from now on; None = it stays. Raises OutsideError.

        Addresses are left out: it is names that DNS can prove.
        """
        names = tuple(name for name in names if not _is_address(name))
        if not names:
            raise OutsideError("no edge is known to callers by a name, so there is nothing to prove")
        cert = None if leaf is None else first_cert(leaf)
        if (
            cert is not None
            and names_of(cert) == set(names)
            and not is_due(cert, datetime.fromtimestamp(now, UTC))
        ):
            return None
        return await asyncio.to_thread(self.issue, names)

    def issue(self, names: tuple[str, ...]) -> Leaf:
        """A certificate for the names, with the chain to the authority. Raises OutsideError."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            acme = self._account()
            order = acme.new_order(crypto_util.make_csr(private, set(names)))
            with contextlib.ExitStack() as stack:
                for authorization in order.authorizations:
                    stack.enter_context(self._proved(acme, authorization))
                # The library compares with the local time, without a zone.
                deadline = datetime.now() + ORDER_WITHIN  # noqa: DTZ005
                done = acme.poll_and_finalize(order, deadline)
        except (errors.Error, messages.Error, requests.RequestException) as e:
            raise OutsideError(f"{self._directory} issued nothing for {', '.join(names)}: {_said(e)}") from e
        return Leaf(cert=done.fullchain_pem, key=private.decode())

    def _account(self) -> client.ClientV2:
        net = client.ClientNetwork(self._key, alg=josepy.ES256, user_agent="tradewind")
        acme = client.ClientV2(client.ClientV2.get_directory(self._directory, net), net)
        asked = messages.NewRegistration.from_data(email=self._email or None, terms_of_service_agreed=True)
        try:
            acme.new_account(asked)
        except errors.ConflictError as e:  # it is there since the first certificate
            known = messages.RegistrationResource(uri=e.location, body=messages.Registration())
            net.account = acme.query_registration(known)
        return acme

    @contextlib.contextmanager
    def _proved(
        self, acme: client.ClientV2, authorization: messages.AuthorizationResource
    ) -> Generator[None]:
        body = authorization.body
        if body.status == messages.STATUS_VALID:  # proved a short while ago
            yield
            return
        found = [c for c in body.challenges if isinstance(c.chall, challenges.DNS01)]
        if not found:
            raise OutsideError(f"{self._directory} lets nobody prove {body.identifier.value} by DNS")
        response, value = found[0].response_and_validation(self._key)
        name = found[0].chall.validation_domain_name(body.identifier.value)
        self._records.put(name, value)
        try:
            acme.answer_challenge(found[0], response)
            yield
        finally:
            with contextlib.suppress(OutsideError):  # a left over record harms nobody
                self._records.remove(name, value)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _account_key(pem: str) -> josepy.JWKEC:
    secret = load_pem_private_key(pem.encode(), password=None)
    raw = secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    derived = HKDF(hashes.SHA256(), length=48, salt=None, info=b"tradewind acme account").derive(raw)
    number = int.from_bytes(derived) % (_P256_ORDER - 1) + 1
    return josepy.JWKEC(key=ec.derive_private_key(number, ec.SECP256R1()))


def _said(error: Any) -> str:
    if isinstance(error, errors.ValidationError):
        failed = [c.error for a in error.failed_authzrs for c in a.body.challenges if c.error is not None]
        return "; ".join(str(e.detail) for e in failed) or str(error)
    return " ".join((str(error) or type(error).__name__).split())
