"""The agent as a process, beside a real Envoy: killed, restarted, alone, and told the wrong things."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lb.envoy import names
from spec.report import EdgeReport
from spec.snapshot import Snapshot
from tests.lb.envoy.harness import (
    DEADLINE_S,
    RunningEnvoy,
    eventually,
    free_port,
    key,
    private_directory,
    replicas,
    service,
)

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
TOKEN = "controller-token"


class FakeController:
    """Answers the long poll; `say` puts a snapshot there, whatever its version."""

    def __init__(self):
        self.changed = threading.Condition()
        self.snapshot = None
        self.refused = 0
        self.reports = []
        self.takes_reports = True
        self.snapshot_type = Snapshot
        controller = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.headers["authorization"] != f"Bearer {TOKEN}":
                    controller.refused += 1
                    self.reply(401, b"")
                    return
                after = self.path.partition("after=")[2]
                with controller.changed:
                    controller.changed.wait_for(lambda: controller.version() not in (None, after), 1)
                    fresh = controller.version() not in (None, after)
                    body = controller.snapshot.model_dump_json().encode() if fresh else b""
                self.reply(200 if fresh else 204, body)

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["authorization"] != f"Bearer {TOKEN}":
                    controller.refused += 1
                    self.reply(401, b"")
                    return
                if not controller.takes_reports:
                    self.reply(404, b"Not Found")
                    return
                controller.reports.append(EdgeReport.model_validate_json(raw))
                self.reply(204, b"")

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def version(self):
        return f"{self.snapshot.epoch}.{self.snapshot.seq}" if self.snapshot else None

    def say(self, epoch, seq, *services):
        with self.changed:
            self.snapshot = self.snapshot_type(
                epoch=epoch, seq=seq, edge_id="edge-test", services=services, keys=(key(),)
            )
            self.changed.notify_all()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Place:
    """A directory with an agent's config; agents are started in it and ended with it."""

    def __init__(self, directory):
        self.directory = directory / "edge"
        self.state = directory / "state"
        self.port = free_port()
        self.config = directory / "agent.json"
        self.log = directory / "agent.log"
        (directory / "token").write_text(TOKEN + "\n")
        self._token = str(directory / "token")
        self._agents = []

    def start(self, controller_url="http://127.0.0.1:1"):
        config = {
            "edge_id": "edge-test",
            "controller_url": controller_url,
            "token_file": self._token,
            "bucket": f"file://{self.state}",
            "dir": str(self.directory),
            "access_log": str(self.directory / "access.log"),
            "host": "127.0.0.1",
            "port": self.port,
        }
        self.config.write_text(json.dumps(config))
        command = [sys.executable, "-m", "lb", "edge", "--config", str(self.config)]
        with self.log.open("ab") as log:
            agent = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self._agents.append(agent)
        eventually(lambda: self.health() is not None)
        return agent

    def health(self):
        alive = self._agents[-1].poll() is None
        assert alive, self.log.read_text()
        return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).json()

    def metrics(self):
        shown = {"authorization": f"Bearer {TOKEN}"}
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", headers=shown, trust_env=False).text

    def serves(self, epoch, seq):
        return self.health()["snapshot"] == {"epoch": epoch, "seq": seq}

    def close(self):
        for agent in self._agents:
            agent.kill()
            agent.wait()


def end(agent, with_signal):
    agent.send_signal(with_signal)
    return agent.wait(DEADLINE_S)


@pytest.fixture
def place():
    with private_directory() as directory, contextlib.closing(Place(directory)) as made:
        yield made


@pytest.fixture
def controller():
    with contextlib.closing(FakeController()) as made:
        yield made


@pytest.fixture
def fakes():
    with replicas("a", "b") as made:
        yield made


def test_a_replicas_life_reaches_callers_and_survives_every_death_of_the_agent(place, controller, fakes):
    a, b = fakes
    agent = place.start(controller.url)
    with contextlib.closing(RunningEnvoy(place.directory)) as envoy:
        answered_by = lambda: envoy.client.get("/x").json().get("replica")  # noqa: E731

        assert envoy.client.get(names.READY_PATH).status_code == 503
        controller.say(2, 1, service("chat", a.endpoint()))
        eventually(lambda: answered_by() == "a")
        eventually(lambda: envoy.anonymous.get(names.READY_PATH).status_code == 200)
        eventually(lambda: "tradewind_edge_envoy_up 1.0" in place.metrics())
        assert "envoy_cluster_upstream_rq_total" in place.metrics()

        end(agent, signal.SIGKILL)
        assert answered_by() == "a"

        agent = place.start()  # nobody answers it
        assert place.serves(2, 1)
        assert answered_by() == "a"
        assert end(agent, signal.SIGTERM) == 0

        agent = place.start(controller.url)
        controller.say(1, 50, service("chat", b.endpoint()))
        eventually(lambda: 'refused_total{reason="lower_epoch"}' in place.metrics())
        assert place.serves(2, 1)
        assert answered_by() == "a"

        controller.say(3, 1, service("chat", b.endpoint()))
        eventually(lambda: answered_by() == "b")
        assert envoy.stats(r"update_(rejected|failure)$")
        assert set(envoy.stats(r"update_(rejected|failure)$").values()) == {0}
        assert end(agent, signal.SIGTERM) == 0
    assert "Traceback" not in place.log.read_text()


def test_without_a_controller_the_bucket_is_served_and_followed(place):
    path = place.state / "edges" / "edge-test" / "snapshot.json"
    path.parent.mkdir(parents=True)
    path.write_text(Snapshot(epoch=4, seq=2, edge_id="edge-test").model_dump_json())
    agent = place.start()
    eventually(lambda: place.serves(4, 2))
    path.write_text(Snapshot(epoch=4, seq=3, edge_id="edge-test").model_dump_json())
    eventually(lambda: place.serves(4, 3))
    assert end(agent, signal.SIGTERM) == 0


def test_a_second_agent_says_why_it_will_not_start(place):
    agent = place.start()
    command = [sys.executable, "-m", "lb", "edge", "--config", str(place.config)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 3
    assert "another edge agent already serves" in second.stderr
    assert "Traceback" not in second.stderr
    assert agent.poll() is None


def test_a_file_that_envoy_refuses_is_noticed_and_repaired_by_the_next_snapshot(place, controller, fakes):
    place.start(controller.url)
    controller.say(1, 1, service("chat", fakes[0].endpoint()))
    with contextlib.closing(RunningEnvoy(place.directory)) as envoy:
        eventually(lambda: envoy.client.get("/x").status_code == 200)
        rds = names.xds_dir(place.directory) / names.RDS_FILE
        temporary = rds.with_name("by-hand")
        temporary.write_text(rds.read_text().replace('"timeout"', '"timeuot"'))
        temporary.rename(rds)
        eventually(lambda: "tradewind_edge_envoy_rejected_total 1.0" in place.metrics())
        assert envoy.client.get("/x").status_code == 200
        controller.say(1, 2, service("chat", fakes[1].endpoint()))
        eventually(lambda: envoy.client.get("/x").json()["replica"] == "b")
        assert "timeuot" not in rds.read_text()
