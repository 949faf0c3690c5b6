"""A real Envoy on a private directory, fed by the agent's own writer, in front of small fake replicas.

Nothing here waits blindly: every wait polls until what it waits for is there, or fails at its deadline.
"""

import contextlib
import hashlib
import json
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from lb.edge.edge import Edge
from lb.edge.metrics import Metrics
from lb.envoy import binary, bootstrap, names
from spec.desired import Routing
from spec.snapshot import Endpoint, Key, Snapshot, SnapshotService
from tests.ports import free_port

DEADLINE_S = 15.0
WORKERS_S = 0.03
"""Envoy's workers take an update over a moment after its main thread has counted it; nothing tells when."""
KEY = "sk-test-1234567890"
AUTH = {"authorization": f"Bearer {KEY}"}
EDGE_ID = "edge-test"


def eventually(check, *, deadline_s=DEADLINE_S):
    """Polls until `check()` is true (or stops raising AssertionError), and returns its value."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            value = check()
            if value:
                return value
            failure = AssertionError(f"still {value!r} after {deadline_s} s")
        except (AssertionError, httpx.TransportError) as e:
            failure = e
        if time.monotonic() > end:
            raise failure
        time.sleep(0.01)


def key(text=KEY, key_id="tester"):
    return Key(id=key_id, sha256=hashlib.sha256(text.encode()).hexdigest())


class Replica:
    """A fake engine that remembers what it was asked. `status` is what it answers; `gate` opens its stream.

    `tls`: the context of a machine that shows a certificate and asks for one.
    """

    def __init__(self, name, tls=None):
        self.name = name
        self.status = 200
        self.requests = []
        self.gate = threading.Event()
        replica = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.body()
                seen = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
                replica.requests.append({**seen, "body": body})
                if self.path.startswith("/stream"):
                    self.stream()
                else:
                    self.answer({"replica": replica.name, **seen})

            do_POST = do_GET  # noqa: N815 - the base class's name

            def body(self):
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def answer(self, value):
                text = json.dumps(value).encode()
                self.send_response(replica.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def stream(self):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for part in (b"data: one\n\n", b"data: two\n\n"):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.flush()
                    replica.gate.wait(DEADLINE_S)
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a caller that hangs up is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def endpoint(self, **more):
        return Endpoint(replica_id=self.name, address="127.0.0.1", port=self.port, **more)

    def reset(self):
        self.status, self.requests = 200, []
        self.gate.clear()

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def service(name, *endpoints, retry_after_s=10, **routing):
    return SnapshotService(
        name=name, routing=Routing(**routing), endpoints=endpoints, retry_after_s=retry_after_s
    )


class RunningEnvoy:
    """Envoy's process and its directory; `client` calls it with the key, by TLS when there is something to `verify`."""

    def __init__(self, directory, *, verify=None):
        self.directory = directory
        self.port = free_port()
        self.access_log = directory / "access.log"
        self.log = directory / "envoy.log"
        path = directory / "bootstrap.json"
        path.write_text(
            bootstrap.render(
                edge_id=EDGE_ID,
                directory=directory,
                host="127.0.0.1",
                port=self.port,
                access_log=self.access_log,
                secure=verify is not None,
            )
        )
        command = bootstrap.argv(binary.find(), path, concurrency=2, drain_time_s=1)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = f"{'http' if verify is None else 'https'}://127.0.0.1:{self.port}"
        how = {"base_url": self.url, "timeout": DEADLINE_S, "trust_env": False, "verify": verify or True}
        self.client, self.anonymous = httpx.Client(headers=AUTH, **how), httpx.Client(**how)
        self.admin = httpx.Client(
            base_url="http://envoy",
            transport=httpx.HTTPTransport(uds=str(names.admin_socket(directory))),
            timeout=DEADLINE_S,
        )
        eventually(self._answers)

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.anonymous.get(names.READY_PATH).status_code in (200, 503)

    def stats(self, pattern):
        answer = self.admin.get("/stats", params={"filter": pattern, "format": "json"})
        return {s["name"]: s["value"] for s in answer.json()["stats"] if "name" in s}

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for client in (self.client, self.anonymous, self.admin):
            client.close()


class RunningEdge:
    """An Envoy and the files it follows. `serve` puts a snapshot into effect."""

    def __init__(self, directory, *, mutual=False, verify=None):
        self.files = Edge(edge_id=EDGE_ID, directory=directory, metrics=Metrics(), mutual=mutual)
        self.files.open()
        self.envoy = RunningEnvoy(directory, verify=verify)
        self.client, self.anonymous = self.envoy.client, self.envoy.anonymous
        self._seq = 0

    def serve(self, *services, keys=None, epoch=1):
        self._seq += 1
        snapshot = Snapshot(
            epoch=epoch,
            seq=self._seq,
            edge_id=EDGE_ID,
            services=services,
            keys=(key(),) if keys is None else keys,
        )
        folder = names.xds_dir(self.files.directory)
        before = {p.name: p.read_text() for p in folder.iterdir()}
        updates = self.envoy.stats(r"\.update_success$")
        self.files.take_over(snapshot, source="test")
        changed = [p.name for p in folder.iterdir() if before.get(p.name) != p.read_text()]
        stats = [_stat(name, services) for name in changed]
        eventually(lambda: all(self._grew(s, updates) for s in stats))
        time.sleep(WORKERS_S)

    def _grew(self, stat, before):
        return self.envoy.stats(r"\.update_success$").get(stat, 0) > before.get(stat, 0)

    def close(self):
        self.envoy.close()
        self.files.close()


def _stat(file, services):
    """The counter by which Envoy says that it took that file."""
    if file.startswith("eds-"):
        name = next(s.name for s in services if names.eds_file(s.name) == file)
        return f"cluster.{name.replace(':', '_')}.update_success"
    return {
        names.CDS_FILE: "cluster_manager.cds.update_success",
        names.RDS_FILE: "http.public.rds.public.update_success",
        names.KEYS_FILE: "extension_config_discovery.http_filter.api_keys.update_success",
        names.BODY_LIMIT_FILE: "extension_config_discovery.http_filter.body_limit.update_success",
    }[file]


@contextlib.contextmanager
def private_directory():
    """Short enough for a unix socket, whatever pytest calls its own."""
    with tempfile.TemporaryDirectory(prefix="tw-edge-") as path:
        yield Path(path).resolve()


@contextlib.contextmanager
def running_edge():
    with private_directory() as directory, contextlib.closing(RunningEdge(directory)) as edge:
        yield edge


@contextlib.contextmanager
def replicas(*names_):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Replica(name))) for name in names_]
