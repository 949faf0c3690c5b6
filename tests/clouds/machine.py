"""A replica's machine behind its one open port: an Envoy with mutual TLS, an agent that says what is assigned, an engine."""

import contextlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lb.envoy import binary
from lb.envoy.names import type_url
from spec.certificates import CONTROLLER, EDGE
from tests.ports import free_port

PORT = 9443


class Machine:
    """`status`: what the agent tells."""

    def __init__(self, address, leaf, folder, status):
        self._stack = contextlib.ExitStack()
        engine, agent = free_port(), self._stack.enter_context(_agent(status))
        path = folder / "sidecar.json"
        path.write_text(json.dumps(_bootstrap(address, leaf, engine=engine, agent=agent)))
        with (folder / "machine.log").open("ab") as log:
            for command in (
                [sys.executable, "-m", "engines.sim", "--model", "tiny", "--port", str(engine)],
                [str(binary.find()), "-c", str(path), "--disable-hot-restart", "--log-level", "warning"],
            ):
                self._stack.enter_context(_process(command, log))

    def close(self):
        self._stack.close()


@contextlib.contextmanager
def _process(command, log):
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _agent(status):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps(status()).encode()
            self.send_response(200 if self.path == "/v1/node" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _bootstrap(address, leaf, *, engine, agent):
    def cluster(name, port):
        at = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        ends = [{"lb_endpoints": [{"endpoint": {"address": at}}]}]
        return {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": ends},
        }

    names = [{"san_type": "DNS", "matcher": {"exact": name}} for name in (CONTROLLER, EDGE)]
    tls = {
        "@type": type_url("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": leaf.cert},
                    "private_key": {"inline_string": leaf.key},
                }
            ],
            "validation_context": {
                "trusted_ca": {"inline_string": leaf.ca},
                "match_typed_subject_alt_names": names,
            },
        },
    }
    routes = [
        {"match": {"path": "/.tradewind/node"}, "route": {"cluster": "agent", "prefix_rewrite": "/v1/node"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "engine", "timeout": "0s"}},
    ]
    manager = {
        "@type": type_url("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "machine",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": type_url("extensions.filters.http.router.v3.Router")},
            }
        ],
    }
    listener = {
        "name": "machine",
        "address": {"socket_address": {"address": address, "port_value": PORT}},
        "filter_chains": [
            {
                "filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                ],
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
            }
        ],
    }
    clusters = [cluster("engine", engine), cluster("agent", agent)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}
