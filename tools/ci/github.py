"""GitHub's REST interface, as little of it as the workflows need. Standard library only: a runner has it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

TIMEOUT_S = 30
PAGE = 100


class Failed(Exception):
    """GitHub refused, or could not be reached; the message names what was asked and never the token."""


@dataclass(frozen=True)
class GitHub:
    """One repository. `api`: where the interface is."""

    repository: str
    token: str
    api: str = "https://api.github.com"

    @classmethod
    def of_runner(cls, environ: Mapping[str, str] = os.environ) -> GitHub:
        """As a workflow's step is told. Raises Failed for a variable that is missing."""
        try:
            repository, token = environ["GITHUB_REPOSITORY"], environ["GITHUB_TOKEN"]
        except KeyError as e:
            raise Failed(f"{e.args[0]} is not set: this runs in a step of a workflow") from None
        return cls(repository, token, environ.get("GITHUB_API_URL", cls.api))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request below `/repos/<repository>`. Raises Failed."""
        url = f"{self.api}/repos/{self.repository}{path}"
        request = urllib.request.Request(  # noqa: S310  the address is the runner's own
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as e:
            raise Failed(f"{method} {path}: {e.code} {_reason(e)}") from None
        except (OSError, ValueError) as e:
            raise Failed(f"{method} {path}: {e}") from None

    def every(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page."""
        number = 1
        while True:
            asked = urlencode({**query, "per_page": PAGE, "page": number})
            entries = self.ask("GET", f"{path}?{asked}")
            yield from entries
            if len(entries) < PAGE:
                return
            number += 1


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, TypeError):
        return error.reason
