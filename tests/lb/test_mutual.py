"""Both ends show certificates, and are believed for their authority and their name only."""

import asyncio
import ssl
import time

import pytest

from lb.certificates.authority import Wish
from lb.mutual import Mutual, believing
from spec.certificates import CONTROLLER, Leaf, pool_name
from spec.errors import InputError
from tests.lb.certificates.authority import an_authority

OURS = an_authority()
POOL = pool_name("chat.aws.use1-az1.A100-80GBx2.on_demand")


def leaf(*names, authority=OURS, **usages):
    return authority.issue(Wish(names, **usages), time.time())


def machine(shown, believed=OURS.pem):
    """A machine's end: asks for a certificate of the environment."""
    mutual = Mutual(shown)
    mutual.server.verify_mode = ssl.CERT_REQUIRED
    mutual.server.load_verify_locations(cadata=believed)
    return mutual


async def asked(server, client, name):
    """The name that the server showed; raises when either refused."""
    told = asyncio.Queue()

    async def serve(reader, writer):
        told.put_nowait(writer.get_extra_info("peercert"))
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        try:
            assert await reader.read() == b"hello"
            return writer.get_extra_info("peercert")["subjectAltName"]
        finally:
            writer.close()


def test_controller_and_machine_believe_each_other_by_name():
    controller = Mutual(leaf(CONTROLLER, server=True, client=True))
    names = asyncio.run(asked(machine(leaf(POOL, server=True)).server, controller.client, POOL))
    assert names == (("DNS", POOL),)


def test_a_machine_of_another_pool_is_refused():
    controller = Mutual(leaf(CONTROLLER, client=True))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        asyncio.run(
            asked(machine(leaf(POOL, server=True)).server, controller.client, pool_name("chat.other"))
        )


def test_a_machine_of_another_authority_is_refused():
    controller = Mutual(leaf(CONTROLLER, client=True))
    other = machine(leaf(POOL, server=True, authority=an_authority()))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        asyncio.run(asked(other.server, controller.client, POOL))


def test_a_pools_certificate_is_no_clients():
    thief = Mutual(leaf(POOL, server=True))
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        asyncio.run(asked(machine(leaf(POOL, server=True)).server, thief.client, POOL))


def test_a_renewed_certificate_is_shown_by_a_server_that_runs():
    async def story():
        server = Mutual(leaf("old.tradewind.internal", server=True))
        client = believing(OURS.pem)
        assert await asked(server.server, client, "old.tradewind.internal")
        server.show(leaf("new.tradewind.internal", server=True))
        assert await asked(server.server, client, "new.tradewind.internal")

    asyncio.run(story())


def test_a_damaged_leaf_is_refused_and_the_old_one_stays():
    async def story():
        server = Mutual(leaf(POOL, server=True))
        with pytest.raises(InputError, match="can't be used"):
            server.show(Leaf(cert="damaged", key="damaged"))
        assert await asked(server.server, believing(OURS.pem), POOL)

    asyncio.run(story())
