"""A real Envoy's counters and access log, as the agent reads them: exact, and at once."""

import asyncio
import contextlib
import socket
import threading

import httpx
import pytest

from lb.edge.access_log import AccessLog
from lb.edge.envoy_stats import EnvoyStats
from lb.edge.tally import Tally
from lb.envoy import names
from spec.snapshot import Endpoint
from tests.lb.envoy.harness import AUTH, eventually, replicas, running_edge, service
from tests.ports import free_port

pytestmark = pytest.mark.e2e


class Counting:
    """An edge and an agent's tally of it. `more()` is what has been counted since the call before."""

    def __init__(self, edge):
        self.edge = edge
        self.tally = Tally()
        self.log = AccessLog(edge.envoy.access_log)
        self._known = {}

    def serve(self, *services):
        self.edge.serve(*services)
        self.count()
        self.tally.take_lines([])
        self._known = self._all()

    def count(self):
        async def look():
            envoy = EnvoyStats(socket=names.admin_socket(self.edge.files.directory))
            sample = await envoy.sample(self.edge.files.snapshot)
            await envoy.close()
            return sample

        self.tally.follow(self.edge.files.snapshot)
        for lines in self.log.lines():
            self.tally.take_lines(lines)
        self.tally.take_sample(asyncio.run(look()))

    def _all(self):
        found = {}
        for s in self.tally.services({}):
            found[s.name] = {
                "arrived": s.arrived, "retried": s.retried, "broken": s.broken, **s.finished
            }  # fmt: skip
        for r in self.tally.replicas():
            found[r.replica_id] = {"ok": r.ok, "failed": r.failed}
        return found

    def more(self, name):
        self.count()
        before, now = self._known.get(name, {}), self._all().get(name, {})
        return {k: v - before.get(k, 0) for k, v in now.items() if v != before.get(k, 0)}

    def active(self, name):
        self.count()
        return next(s.active for s in self.tally.services({}) if s.name == name)


@pytest.fixture(scope="module")
def running():
    with running_edge() as edge:
        yield edge


@pytest.fixture
def counting(running):
    made = Counting(running)
    yield made
    made.log.close()


@pytest.fixture
def fakes():
    with replicas("a", "b") as found:
        yield found


@contextlib.contextmanager
def breaking_replica():
    """Begins each answer, and is gone in the middle of it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            caller.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield Endpoint(replica_id="breaks", address="127.0.0.1", port=listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_request_counts_when_it_arrives_not_when_its_stream_has_ended(counting, fakes):
    counting.serve(service("chat", fakes[0].endpoint()))
    with counting.edge.client.stream("POST", "/stream", json={"stream": True}) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        assert counting.more("chat") == {"arrived": 1}
        assert counting.active("chat") == 1
        fakes[0].gate.set()
        assert list(chunks)
    eventually(lambda: counting.more("chat") == {"arrived": 1, "2xx": 1})
    assert counting.active("chat") == 0


def test_requests_that_find_no_replica_count_too(counting):
    counting.serve(service("chat"))
    for _ in range(3):
        assert counting.edge.client.get("/x").status_code == 503
    eventually(lambda: counting.more("chat") == {"arrived": 3, "5xx": 3})


def test_of_several_services_the_one_that_the_model_chose_is_counted(counting, fakes):
    counting.serve(
        service("chat", fakes[0].endpoint(), models=("m",)), service("Wei.rd: näme", models=("code",))
    )
    post = lambda model: counting.edge.client.post("/v1/completions", json={"model": model})  # noqa: E731
    assert [post(m).status_code for m in ("m", "code", "code", "nobody's", "arrived.chat")] == [
        200,
        503,
        503,
        404,
        404,
    ]
    eventually(lambda: counting.more("chat") == {"arrived": 1, "2xx": 1})
    eventually(lambda: counting.more("Wei.rd: näme") == {"arrived": 2, "5xx": 2})


def test_callers_can_not_make_up_counters(counting, fakes):
    counting.serve(service("chat", fakes[0].endpoint(), models=("m",)), service("code", models=("c",)))
    before = counting.edge.envoy.stats(r"\.lua\.").keys()
    for n in range(20):
        counting.edge.client.post("/v1/completions", json={"model": f"made-up-{n}"})
        counting.edge.client.get(f"/made-up-{n}", headers={"x-made-up": str(n)})
    assert counting.edge.envoy.stats(r"\.lua\.").keys() == before


def test_callers_without_a_key_ask_no_service_anything(counting, fakes):
    counting.serve(service("chat", fakes[0].endpoint()))
    assert counting.edge.anonymous.get("/x").status_code == 401
    assert counting.edge.client.get("/x").status_code == 200
    eventually(lambda: counting.more("chat") == {"arrived": 1, "2xx": 1})


def test_a_request_that_was_tried_twice_is_retried_and_each_replica_has_its_part(counting, fakes):
    a, b = fakes
    b.status = 503
    dead = Endpoint(replica_id="dead", address="127.0.0.1", port=free_port())
    counting.serve(service("chat", a.endpoint(), b.endpoint(), dead))
    for _ in range(40):
        assert counting.edge.client.get("/x").status_code == 200
    eventually(lambda: counting.more("chat").get("2xx") == 40)
    found = counting.more("chat")
    assert found["arrived"] == 40
    assert 1 <= found["retried"] <= 40
    assert counting.more("a") == {"ok": 40}
    assert len(b.requests) >= 3
    assert counting.more("b") == counting.more("dead") == {}, "a full queue and a dead machine are no lies"


def test_an_answer_that_is_cut_short_is_broken(counting):
    with breaking_replica() as endpoint:
        counting.serve(service("chat", endpoint))
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                counting.edge.client.get("/x")
        eventually(lambda: counting.more("chat") == {"arrived": 2, "2xx": 2, "broken": 2})
        assert counting.more("breaks")["failed"] == 2


def test_a_stream_that_falls_silent_is_broken(counting, fakes):
    counting.serve(service("chat", fakes[0].endpoint(), stream_idle_timeout_s=0.3))
    with pytest.raises(httpx.RemoteProtocolError):
        counting.edge.client.get("/stream")
    eventually(lambda: counting.more("chat") == {"arrived": 1, "2xx": 1, "broken": 1})


def test_no_request_is_lost_or_counted_twice_while_the_log_is_rotated(counting, fakes):
    counting.serve(service("chat", fakes[0].endpoint()))
    counting.log = AccessLog(counting.edge.envoy.access_log, limit_bytes=2000)
    rotated = 0
    with httpx.Client(base_url=counting.edge.envoy.url, headers=AUTH, trust_env=False) as client:
        for _ in range(10):
            for _ in range(10):
                client.get("/x")
            counting.count()
            if counting.log.rotate():
                rotated += 1
                assert counting.edge.envoy.admin.post("/reopen_logs").status_code == 200
    eventually(lambda: counting.more("chat").get("2xx") == 100)
    assert rotated >= 2
    old = counting.edge.envoy.access_log.with_name("access.log.1")
    assert old.stat().st_size + counting.edge.envoy.access_log.stat().st_size < 100 * 300
