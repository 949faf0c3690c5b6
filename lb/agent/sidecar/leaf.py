"""The certificate of this machine's pool, followed in the secret store: the controller renews it long before it ends.

Envoy's files are replaced whole, so a renewal restarts nothing and breaks no connection.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from lb.agent.clouds.protocol import CloudError
from lb.agent.files import PrivateFolder
from lb.agent.sidecar import render

_UNTIL_ISSUED_S = 5.0
_LOOK_EVERY_S = 120.0


class NotIssued(Exception):
    """There is no certificate yet; the message says for whom."""


class Leaf:
    """Follows one secret. `read`: its value; `note`: hears what goes wrong, "" when all is well again."""

    def __init__(
        self, called: str, *, read: Callable[[str], bytes], folder: PrivateFolder, note: Callable[[str], None]
    ) -> None:
        self._called = called
        self._read = read
        self._folder = folder
        self._note = note
        self.issued = threading.Event()
        """Whether Envoy's files are there."""

    def start(self) -> None:
        """Begins to follow; it ends with the program."""
        threading.Thread(target=self._run, name="leaf", daemon=True).start()

    def look(self) -> bool:
        """Reads it once; whether there is one."""
        try:
            self._write(self._read(self._called))
        except (CloudError, NotIssued, OSError) as e:
            self._note(f"certificate: {e}")
            return False
        self._note("")
        self.issued.set()
        return True

    def _write(self, raw: bytes) -> None:
        try:
            found = json.loads(raw)
            cert, key, ca = (found.get(name) for name in ("cert", "key", "ca"))
        except (ValueError, AttributeError):
            raise NotIssued(f"{self._called} holds something else") from None  # which must not be shown
        if not (
            isinstance(cert, str) and isinstance(key, str) and isinstance(ca, str) and cert and key and ca
        ):
            raise NotIssued(f"{self._called} is not issued yet; the controller does it")
        self._folder.write(render.AUTHORITIES_FILE, render.authorities(ca))
        self._folder.write(render.LEAF_FILE, render.leaf(cert=cert, key=key))

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S if self.look() else _UNTIL_ISSUED_S)
