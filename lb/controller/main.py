"""`python -m lb controller`: puts the controller together, runs it until it is told to stop, and leaves replicas running."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

from lb import log as logs
from lb.api import make_app
from lb.bucket import open_bucket
from lb.clock import SystemClock
from lb.clouds.opened import open_clouds
from lb.config import ControllerConfig, read_config, read_token
from lb.controller.loop import Controller
from lb.lease import Lease, this_process
from lb.metrics import Metrics
from lb.observe.http import make_client
from lb.serving import bind, make_server
from lb.snapshots import Publisher

log = structlog.get_logger(__name__)


def main(config_path: Path) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit code. Raises TradewindError when it can't start."""
    logs.configure()
    config = read_config(config_path)
    asyncio.run(_run(config, read_token(config.token_file)))
    return 0


async def _run(config: ControllerConfig, token: str) -> None:
    bucket, clock, metrics = open_bucket(config.bucket), SystemClock(), Metrics()
    publisher = Publisher(bucket)
    client = make_client()
    clouds = open_clouds(config, client)
    controller = Controller(
        stack=config.stack,
        bucket=bucket,
        lease=Lease(bucket, clock, me=this_process()),
        clock=clock,
        drivers=clouds.drivers,
        machine_buckets=clouds.buckets,
        client=client,
        publisher=publisher,
        metrics=metrics,
        tick_s=config.tick_s,
    )
    server = make_server(make_app(controller, publisher, metrics, token=token))
    with bind(config.host, config.port) as listener:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, controller.stop)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        log.info("started", stack=config.stack, host=config.host, port=config.port)
        try:
            await controller.run()
        finally:
            publisher.close()
            server.should_exit = True
            await serving
            await client.aclose()
    log.info("stopped", stack=config.stack)
