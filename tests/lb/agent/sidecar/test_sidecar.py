"""A real Envoy in front of an engine: who is let in, and what a renewal and another engine change."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lb.agent.clouds.protocol import CloudError
from lb.agent.config import SidecarConfig
from lb.agent.files import PrivateFolder
from lb.agent.sidecar.leaf import Leaf
from lb.agent.sidecar.process import Sidecar
from lb.certificates.authority import Wish
from lb.envoy import binary
from spec import certificates
from tests.clouds import systemd
from tests.lb.agent.processes import eventually
from tests.lb.certificates.authority import an_authority
from tests.ports import free_port

pytestmark = pytest.mark.e2e

POOL = "chat.aws.euw1-az1.L4x1.spot"
SECRET = f"tradewind/test/pool-{POOL}/leaf"


class Engine:
    """Says which engine it is; `/stream` sends a line whenever `more` is released, until it is `over`."""

    def __init__(self, name):
        self.more, self.over = threading.Semaphore(0), False
        self.seen = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                engine.seen.append((self.path, dict(self.headers)))
                if self.path != "/stream":
                    body = f"{name} {self.path}".encode()
                    self.send_response(200)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                while not engine.over:
                    engine.more.acquire()
                    self.wfile.write(b"5\r\nline\n\r\n")
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self, stack):
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tw-")))
        self.authority = an_authority()
        self.secret = certificates.NOT_ISSUED
        self.notes, self.envoy_notes = [], []
        self.port = free_port()
        self.engine, self.agent = (Engine(name) for name in ("engine", "agent"))
        for server in (self.engine, self.agent):
            stack.callback(server.close)
        folder = PrivateFolder(self.folder / "sidecar")
        folder.make()
        self.leaf = Leaf(SECRET, read=self.read, folder=folder, note=self.notes.append)
        self.sidecar = Sidecar(
            SidecarConfig(address="127.0.0.1", port=self.port, envoy=binary.find()),
            folder=folder,
            log=self.folder / "envoy.log",
            agent_port=self.agent.port,
            leaf=self.leaf,
            note=self.envoy_notes.append,
        )
        stack.callback(self.sidecar.stop)

    def read(self, called):
        assert called == SECRET
        if self.secret is None:
            raise CloudError("the store is away")
        return self.secret.encode()

    def issue(self, authority=None, *, believes=None):
        made = (authority or self.authority).issue(
            Wish((f"{POOL}.tradewind.internal",), server=True), time.time()
        )
        ca = "".join(a.pem for a in (believes or [authority or self.authority]))
        self.secret = certificates.Leaf(cert=made.cert, key=made.key, ca=ca).model_dump_json()
        return made.cert

    def start(self):
        self.issue()
        assert self.leaf.look()
        self.sidecar.point_at(self.engine.port)
        self.sidecar.watch()
        eventually(lambda: self.sidecar.active() is not None, 20)

    def context(self, name, *, authority=None, trusts=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=(trusts or self.authority).pem)
        if name is not None:
            made = (authority or self.authority).issue(Wish((name,), client=True), time.time())
            path = self.folder / "caller.pem"
            path.write_text(made.cert + made.key)
            context.load_cert_chain(path)
        return context

    def connection(self, context):
        found = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        found.sock = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), 10),
            server_hostname=f"{POOL}.tradewind.internal",
        )
        return found

    def get(self, path, context):
        connection = self.connection(context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def shown(self, context):
        connection = self.connection(context)
        try:
            return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
        finally:
            connection.close()


@pytest.fixture
def world():
    with contextlib.ExitStack() as stack:
        yield World(stack)


def test_it_starts_when_there_is_a_certificate_and_not_before(world):
    assert not world.leaf.look()
    assert "not issued yet" in world.notes[-1]
    world.sidecar.watch()
    assert not list(world.folder.glob("envoy.log"))
    world.start()
    assert world.notes[-1] == ""
    assert world.get("/v1/models", world.context(certificates.EDGE)) == (200, "engine /v1/models")


def test_the_edges_and_the_controller_are_let_in_and_one_path_leads_to_the_agent(world):
    world.start()
    for caller in (certificates.EDGE, certificates.CONTROLLER):
        context = world.context(caller)
        assert world.get("/anything?x=1", context) == (200, "engine /anything?x=1")
        assert world.get("/.tradewind/node", context) == (200, "agent /v1/node")
        assert world.get("/.tradewind/node?gpu=1", context) == (200, "agent /v1/node?gpu=1")
        assert world.get("/.tradewind/nodes", context)[1].startswith("engine")


def test_nobody_else_is(world):
    world.start()
    strange = an_authority(name="Somebody else")
    for context in (
        world.context(None),
        world.context(certificates.EDGE, authority=strange),
        world.context(f"{POOL}.tradewind.internal"),
        world.context("edge.tradewind.internal.example.com"),
    ):
        with pytest.raises((OSError, http.client.HTTPException)):
            world.get("/v1/models", context)
    assert world.engine.seen == []


def test_a_renewal_breaks_no_stream_and_is_shown_to_the_next_connection(world):
    world.start()
    context = world.context(certificates.EDGE)
    stream = world.connection(context)
    stream.request("GET", "/stream")
    world.engine.more.release()
    answer = stream.getresponse()
    assert answer.read(5) == b"line\n"
    for _ in range(3):
        renewed = world.issue()
        assert world.leaf.look()
        eventually(lambda renewed=renewed: world.shown(context).strip() in renewed)
    world.engine.over = True
    world.engine.more.release()
    assert answer.read() == b"line\n"
    stream.close()


def test_another_authority_takes_over_without_a_refused_connection(world):
    world.start()
    new = an_authority(name="The next one")
    world.issue(believes=[world.authority, new])
    world.leaf.look()
    old_caller, new_caller = (
        world.context(certificates.EDGE),
        world.context(certificates.EDGE, authority=new),
    )

    def works():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return world.get("/", new_caller)[0] == 200

    eventually(works)
    assert world.get("/", old_caller)[0] == 200


def test_a_store_that_is_away_leaves_the_certificate_that_there_is(world):
    world.start()
    for broken in (None, "", "[]", '{"cert": "x"}', certificates.NOT_ISSUED):
        world.secret = broken
        assert not world.leaf.look()
        assert world.notes[-1]
    assert world.get("/", world.context(certificates.EDGE))[0] == 200


def test_requests_under_way_are_counted(world):
    world.start()
    assert world.sidecar.active() == 0
    stream = world.connection(world.context(certificates.EDGE))
    stream.request("GET", "/stream")
    eventually(lambda: world.sidecar.active() == 1)
    world.engine.over = True
    world.engine.more.release()
    stream.getresponse().read()
    eventually(lambda: world.sidecar.active() == 0)
    stream.close()


def test_the_next_engine_may_listen_elsewhere_and_no_engine_is_a_503(world):
    world.start()
    context = world.context(certificates.EDGE)
    assert world.get("/", context)[1] == "engine /"
    world.sidecar.point_at(None)
    eventually(lambda: world.get("/", context)[0] == 503)
    world.sidecar.point_at(world.agent.port)
    eventually(lambda: world.get("/", context)[1] == "agent /")


def test_headers_of_callers_and_engines_arrive_as_they_were(world):
    world.start()
    connection = world.connection(world.context(certificates.EDGE))
    sent = {"x-forwarded-for": "198.51.100.7", "x-request-id": "abc", "x-client-id": "tester"}
    connection.request("GET", "/", headers=sent)
    answer = connection.getresponse()
    assert answer.headers["server"].startswith("BaseHTTP")
    assert not [name for name in answer.headers if name.startswith("x-envoy")]
    connection.close()
    seen = {k.lower(): v for k, v in world.engine.seen[-1][1].items()}
    assert {k: seen[k] for k in sent} == sent


def test_it_comes_back_when_somebody_kills_it(world):
    world.start()
    moment = [0.0]
    world.sidecar._clock = lambda: moment[0]
    guard = world.sidecar._process._guard.pid
    for pid in set(systemd.below(guard)) - {guard}:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: world.sidecar.watch() or world.envoy_notes)
    assert "exit code 137" in world.envoy_notes[-1]
    assert world.sidecar.active() is None
    moment[0] = 60.0
    world.sidecar.watch()
    eventually(lambda: world.sidecar.active() is not None, 20)
    assert world.get("/", world.context(certificates.EDGE))[0] == 200


def test_files_are_for_its_own_user_only(world):
    world.start()
    assert world.folder.joinpath("sidecar").stat().st_mode & 0o077 == 0
    for path in world.folder.joinpath("sidecar").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    bootstrap = json.loads(world.folder.joinpath("sidecar/bootstrap.json").read_text())
    assert "PRIVATE KEY" not in json.dumps(bootstrap)
