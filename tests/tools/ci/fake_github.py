"""GitHub's REST interface as the workflows' scripts see it: comments, issues and pull requests of one repository, on loopback."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_a-token-that-is-only-here"
REPOSITORY = "acme/llm"
BOT = "github-actions[bot]"


class FakeGitHub:
    """`comments`, `issues`, `pulls`: what is there. `asked`: method and path of each request that changed something."""

    def __init__(self):
        self.comments, self.issues, self.pulls, self.asked = [], [], [], []
        self.refuses = None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def _answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                code, found = fake._answer(self.command, self.path, self.headers, body)
                raw = json.dumps(found).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = _answer  # noqa: N815  as the server calls them

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.environ = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": f"http://127.0.0.1:{self._server.server_port}",
        }

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, login, body):
        """A comment of somebody at pull request 7."""
        self.comments.append({"id": len(self.comments) + 1, "user": {"login": login}, "body": body, "on": 7})

    def _answer(self, method, path, headers, body):
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        if self.refuses:
            return self.refuses
        parts = urlsplit(path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        below = parts.path.removeprefix(f"/repos/{REPOSITORY}")
        if method != "GET":
            self.asked.append(f"{method} {below}")
        if found := re.fullmatch(r"/issues/(\d+)/comments", below):
            return self._list_or_add(
                method, self.comments, body, query, lambda c: c["on"] == int(found[1]), on=int(found[1])
            )
        if found := re.fullmatch(r"/issues/comments/(\d+)", below):
            return self._change(self.comments, "id", int(found[1]), body)
        if below in ("/issues", "/pulls"):
            entries = self.issues if below == "/issues" else self.pulls
            return self._list_or_add(
                method, entries, body, query, lambda e: e["state"] == query.get("state"), state="open"
            )
        if found := re.fullmatch(r"/(issues|pulls)/(\d+)", below):
            return self._change(
                self.issues if found[1] == "issues" else self.pulls, "number", int(found[2]), body
            )
        return 404, {"message": "Not Found"}

    def _list_or_add(self, method, entries, body, query, wanted, **more):
        if method == "GET":
            size, page = int(query["per_page"]), int(query["page"])
            return 200, [e for e in entries if wanted(e)][(page - 1) * size : page * size]
        number = len(entries) + 1
        made = {
            "id": number,
            "number": number,
            "user": {"login": BOT},
            "html_url": f"https://github.test/{number}",
        }
        entries.append({**made, **more, **body})
        return 201, entries[-1]

    def _change(self, entries, key, value, body):
        entry = next(e for e in entries if e[key] == value)
        entry.update(body)
        return 200, {"html_url": f"https://github.test/{value}", **entry}
