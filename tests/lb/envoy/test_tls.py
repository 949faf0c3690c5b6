"""Certificates at a real edge: what callers see, whom replicas believe, whom the edge believes, and renewals."""

import contextlib
import socket
import ssl
import time
from types import SimpleNamespace

import pytest

from lb.certificates.authority import Wish
from lb.edge.certificates import Certificates
from lb.edge.config import EdgeConfig
from lb.mutual import Mutual, believing
from spec.certificates import EDGE, pool_name
from tests.lb.certificates.authority import an_authority
from tests.lb.envoy.harness import Replica, RunningEdge, eventually, private_directory, replicas, service

pytestmark = pytest.mark.e2e

OURS = an_authority()
POOL = pool_name("chat.aws.use1-az1.A100-80GBx2.on_demand")


def leaf(*names, authority=OURS, **usages):
    return authority.issue(Wish(names, **usages), time.time())


def machine(*names, authority=OURS):
    """The end of a replica's own Envoy: shows a certificate and asks for one of the environment's authority."""
    context = Mutual(leaf(*names, authority=authority, server=True)).server
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=OURS.pem)
    return context


@contextlib.contextmanager
def running():
    """An edge with TLS on both sides; `renew` writes another certificate, as the host does."""
    with private_directory() as directory:
        paths = {name: directory / f"{name}.secret" for name in ("leaf", "public")}
        config = EdgeConfig(
            edge_id="edge-test",
            controller_url="https://127.0.0.1:9444",
            token_file=directory / "token",
            bucket="file:///none",
            dir=directory,
            access_log=directory / "access.log",
            port=1,
            leaf_file=paths["leaf"],
            public_file=paths["public"],
        )
        paths["leaf"].write_text(leaf(EDGE, client=True).model_dump_json())
        paths["public"].write_text(leaf("127.0.0.1", server=True).model_dump_json())
        certificates = Certificates(config)

        def renew(name, new):
            paths[name].write_text(new.model_dump_json())
            certificates.refresh()

        with contextlib.closing(RunningEdge(directory, mutual=True, verify=believing(OURS.pem))) as edge:
            yield SimpleNamespace(edge=edge, renew=renew)


@pytest.fixture(scope="module")
def world():
    with running() as made:
        yield made


def shown(edge, alpn=("http/1.1",)):
    """What a new connection sees: the certificate's serial number, and the protocol that was agreed on."""
    context = believing(OURS.pem)
    context.set_alpn_protocols(alpn)
    with (
        socket.create_connection(("127.0.0.1", edge.envoy.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert()["serialNumber"], secured.selected_alpn_protocol()


def test_a_request_goes_by_tls_to_the_edge_and_on_to_the_replica(world):
    with contextlib.closing(Replica("one", machine(POOL))) as replica:
        world.edge.serve(service("chat", replica.endpoint(tls=True)))
        answer = world.edge.client.post("/v1/completions", json={"prompt": "hello"})
        assert (answer.status_code, answer.json()["replica"]) == (200, "one")


def test_callers_may_speak_http_2_and_1_1(world):
    assert shown(world.edge, ["h2", "http/1.1"])[1] == "h2"
    assert shown(world.edge, ["http/1.1"])[1] == "http/1.1"


def test_nobody_is_served_without_tls(world):
    with socket.create_connection(("127.0.0.1", world.edge.envoy.port), 5) as plain:
        plain.settimeout(5)
        plain.sendall(b"GET /edge/ready HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP/")


@pytest.mark.parametrize(
    ("names", "authority"),
    [
        ((pool_name("other.aws.use1-az1.L4x1.spot"),), OURS),
        ((pool_name("chatter.aws.use1-az1.L4x1.spot"),), OURS),
        ((POOL,), an_authority()),
    ],
    ids=["of another service", "of a service whose name begins alike", "of another authority"],
)
def test_a_machine_that_is_not_of_the_service_gets_no_request(world, names, authority):
    with contextlib.closing(Replica("false", machine(*names, authority=authority))) as replica:
        world.edge.serve(service("chat", replica.endpoint(tls=True)))
        assert world.edge.client.get("/v1/models/x").status_code == 503
        assert replica.requests == []


def test_a_replica_that_asks_for_no_certificate_is_served_plainly_beside_others(world):
    with (
        replicas("plain") as [plain],
        contextlib.closing(Replica("secured", machine(POOL))) as secured,
    ):
        world.edge.serve(service("chat", plain.endpoint(), secured.endpoint(tls=True)))
        found = {world.edge.client.get("/v1/x").json()["replica"] for _ in range(40)}
        assert found == {"plain", "secured"}


def test_a_renewed_certificate_is_seen_by_the_next_caller_while_streams_go_on(world):
    with contextlib.closing(Replica("one", machine(POOL))) as replica:
        world.edge.serve(service("chat", replica.endpoint(tls=True)))
        before, _ = shown(world.edge)
        with world.edge.client.stream("GET", "/stream") as answer:
            parts = answer.iter_raw()
            assert next(parts) == b"data: one\n\n"
            world.renew("public", leaf("127.0.0.1", server=True))
            eventually(lambda: shown(world.edge)[0] != before)
            replica.gate.set()
            assert b"data: two" in b"".join(parts)


def test_a_renewed_leaf_reaches_replicas_of_a_new_authority(world):
    new = an_authority(name="the second")
    secured = Mutual(leaf(POOL, authority=new, server=True)).server
    secured.verify_mode = ssl.CERT_REQUIRED
    secured.load_verify_locations(cadata=new.pem)
    with contextlib.closing(Replica("next", secured)) as replica:
        world.edge.serve(service("chat", replica.endpoint(tls=True)))
        assert world.edge.client.get("/v1/x").status_code == 503
        both = leaf(EDGE, authority=new, client=True)
        world.renew("leaf", both.model_copy(update={"ca": new.pem + OURS.pem}))
        eventually(lambda: world.edge.client.get("/v1/x").status_code == 200)
