"""The server below the clouds of the tests: one port, an answer as a value, and objects read as every store reads them."""

import hashlib
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """`answer(method, target, headers, body)` gives status, content and headers. `url`: where it is.

    `slow_s`: how long everything takes. `skew_s`: how far its clock is ahead of this computer's. `asked`: every request,
    as method and target. `failing`: what the next requests get instead of an answer: a status, or one with content; None =
    hung up on.
    """

    def __init__(self):
        self.objects, self.changed, self.secrets = {}, {}, {}
        self.refused, self.asked, self.failing = [], [], []
        self.slow_s = self.skew_s = 0.0
        self.cut_at = None
        self.lock = threading.Lock()
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
                    status, content, more = cloud.answer(self.command, self.path, headers, body)
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

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the base class's names

            def date_time_string(self, timestamp=None):
                return formatdate(timestamp or time.time() + cloud.skew_s, usegmt=True)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a caller that hangs up is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

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
