"""The server below the clouds of the tests: one port, an answer as a value, and objects read as every store reads them."""

import functools
import hashlib
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Served:
    """`answer(method, target, headers, body)` gives status, content and headers. `url`: where it is.

    `slow_s`: how long everything takes. `skew_s`: how far its clock is ahead of this computer's. `asked`: every request,
    as method and target. `failing`: what the next requests get instead of an answer: a status, or one with content; None =
    hung up on.

    `rights`: of identities (`tests.clouds.rights`). The main port has a metadata server, too, whose machine may do
    everything but what is `denied`; `machine` opens another one.
    """

    def __init__(self):
        self.objects, self.changed, self.secrets = {}, {}, {}
        self.refused, self.asked, self.failing = [], [], []
        self.slow_s = self.skew_s = 0.0
        self.cut_at = None
        self.lock = threading.Lock()
        self.rights, self._servers = None, []
        self.url = self._open(self._as_it_answers_now)
        self.host = urlsplit(self.url).netloc

    def _as_it_answers_now(self, *asked):
        return self.answer(*asked)  # tests may give it another one

    def machine(self, identity):
        """What a machine with an identity has in its environment, so that it asks a metadata server of its own."""
        return self.environment_of(self._open(functools.partial(self.tell, identity)))

    @property
    def environment(self):
        """Of a machine whose rights nobody has declared."""
        return self.environment_of(self.url)

    def may(self, identity, action, resource):
        """Whether that identity may; everything where it has no name."""
        return identity is None or self.rights.allow(identity, action, resource)

    def _open(self, answer):
        """Another port; its URL."""
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                cloud.asked.append((self.command, self.path))
                if cloud.slow_s:
                    time.sleep(cloud.slow_s)
                if cloud.failing:
                    status, content, more = cloud.failing.pop(0), b"", {}
                    if isinstance(status, tuple):
                        status, content = status
                    if status is None:
                        self.close_connection = True
                        return
                else:
                    status, content, more = answer(self.command, self.path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                if "content-length" not in more:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
                    if "content-length" in more:
                        self.close_connection = True  # it has promised more than it gave

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the base class's names

            def date_time_string(self, timestamp=None):
                return formatdate(timestamp or time.time() + cloud.skew_s, usegmt=True)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a caller that hangs up is no news

        server = Server(("127.0.0.1", 0), Handler)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def put(self, key, content, *, at=None):
        content = content if isinstance(content, bytes) else content.encode()
        with self.lock:
            self.objects[key], self.changed[key] = content, time.time() if at is None else at

    def read(self, key, headers):
        """An object, with conditions and ranges as in RFC 9110; None where there is none. `cut_at`: an answer breaks off there."""
        with self.lock:
            if key not in self.objects:
                return None
            content, changed = self.objects[key], self.changed[key]
        tag = etag(content)
        more = {"last-modified": formatdate(changed, usegmt=True), "etag": tag}
        if headers.get("if-match", tag) != tag:
            return 412, b"", more
        if headers.get("if-none-match") == tag:
            return 304, b"", more
        status, whole = 200, len(content)
        if (wanted := headers.get("range", "")).startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            if int(first) >= whole:
                return 416, b"", more
            content = content[int(first) : int(last) + 1 if last else None]
            status, more["content-range"] = 206, f"bytes {first}-{int(first) + len(content) - 1}/{whole}"
        if self.cut_at is not None and len(content) > self.cut_at:
            more["content-length"] = str(len(content))
            content = content[: self.cut_at]
        return status, content, more


def etag(content):
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
