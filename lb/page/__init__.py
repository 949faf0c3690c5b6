"""The status page: one file of HTML without data, whose script asks the controller's interface with the token.

Nothing is loaded from elsewhere, and the browser is told so: only this very script and style run, and only the controller
is asked. So neither a model's name nor a reason can become code, and the page works where there is no network.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """What is served: the bytes, and the headers that hold them to what they are."""

    body: bytes
    headers: dict[str, str]


@cache
def page() -> Page:
    """The page, put together from its three sources."""
    style, script = (_HERE / "page.css").read_text(), (_HERE / "page.js").read_text()
    html = (_HERE / "page.html").read_text().replace("/* page.css */", style).replace("/* page.js */", script)
    policy = (
        f"default-src 'none'; script-src {_only(script)}; style-src {_only(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(
        html.encode(),
        {
            "content-security-policy": policy,
            "cache-control": "no-cache",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
        },
    )


def _only(text: str) -> str:
    """The source expression that allows that inline text and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
