"""Access tokens of a machine's identity, as Google and Azure give them: kept until shortly before they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lb.agent import web
from lb.agent.clouds import metadata

_RENEW_BEFORE_S = 300.0


class Token:
    """One identity's token for one purpose. `request`: how it is asked for."""

    def __init__(
        self, what: str, request: web.Request, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._request = request
        self._clock = clock
        self._value, self._renew_at = "", -1.0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """The `Authorization` header. Raises CloudError."""
        with self._lock:
            if self._clock() >= self._renew_at:
                found = metadata.fields(self._what, metadata.told(self._what, lambda: self._request))
                lasts_s = float(metadata.text(self._what, found, "expires_in"))
                self._value = f"Bearer {metadata.text(self._what, found, 'access_token')}"
                # The services keep one token until shortly before its end, and then give it with little time left.
                self._renew_at = self._clock() + max(lasts_s - _RENEW_BEFORE_S, lasts_s / 2)
            return self._value

    def forget(self) -> None:
        """Asks for another one next time."""
        self._renew_at = -1.0
