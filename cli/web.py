"""The status page of a stack: where it is, and how a browser gets the token without anybody else seeing it.

The token stands behind `#`, which browsers send to no server, and which the page takes out of the address at once. A
browser is not started with that address, because every user of this computer can read the arguments of programs: it is
started with a file that only this user can read, which leads there.
"""

from __future__ import annotations

import json
import webbrowser
from urllib.parse import quote

from cli.context import Context
from local.files import write_atomic
from spec.errors import OutsideError


def address(context: Context) -> str:
    """The page's address with the token. Raises OutsideError where the stack has no token yet."""
    path = context.home / "secrets" / "controller-token"
    try:
        token = path.read_text().strip()
    except OSError as e:
        raise OutsideError(
            f"cannot read the controller's token: {path}: {e.strerror}; `make up STACK={context.stack}` makes it"
        ) from None
    return f"{context.config.local.controller_url}/#token={quote(token, safe='')}"


def open_page(context: Context) -> None:
    """Opens the page in the user's browser. Raises OutsideError where there is none."""
    url = address(context)
    path = context.home / "secrets" / "status-page.html"
    script = f"location.replace({json.dumps(url)})"
    write_atomic(
        path, f"<!doctype html><title>Tradewind</title><script>{script}</script>".encode(), mode=0o600
    )
    if not webbrowser.open(path.absolute().as_uri()):
        raise OutsideError(
            "no browser can be started from here; open the address that `tw status --web` prints"
        )
