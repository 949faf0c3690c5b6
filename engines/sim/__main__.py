"""`python -m engines.sim`: loads for a while, then listens; what listens is ready, as with vLLM."""

from __future__ import annotations

import asyncio
import sys
import time

import uvicorn

from engines.sim.app import App
from engines.sim.engine import Engine
from engines.sim.faults import Faulty, start_of_a_fault
from engines.sim.settings import parse

_KEEP_ALIVE_S = 5
"""vLLM's own default: idle connections are closed after it, and callers have to live with that."""


def main() -> None:
    """Runs the engine until SIGTERM or Ctrl-C; exits with 3 when it can't have its port, before it loads."""
    settings = parse(sys.argv[1:])
    config = uvicorn.Config(
        Faulty(App(settings, Engine(settings)), settings),
        host=settings.host,
        port=settings.port,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout_s)),
    )
    start_of_a_fault(settings)
    bound = config.bind_socket()  # bound, not listening: connections are refused while it loads
    try:
        _say(
            f"loading {settings.model} for {settings.load_time_s:g} s; a simulated engine, no model behind it"
        )
        time.sleep(settings.load_time_s)
        _say(f"serving {settings.model} on http://{settings.host}:{settings.port}")
        asyncio.run(uvicorn.Server(config).serve(sockets=[bound]))
    except KeyboardInterrupt:
        sys.exit(130)


def _say(text: str) -> None:
    print(f"tradewind sim engine: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
