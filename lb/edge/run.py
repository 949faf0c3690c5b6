"""Puts the agent together and runs it until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from pathlib import Path

from lb import log
from lb.bucket import open_bucket
from lb.config import read_token
from lb.edge import http
from lb.edge.admin import Admin
from lb.edge.config import EdgeConfig, read_config
from lb.edge.edge import Edge
from lb.edge.follow import Follower
from lb.edge.metrics import Metrics
from lb.edge.sources import Controller, InBucket
from lb.envoy import names


def main(config_path: Path) -> int:
    """Runs the agent; 0 after SIGTERM or SIGINT.

    Raises InputError for a bad config, OutsideError when the port is taken or another agent has the directory.
    """
    log.configure()
    asyncio.run(_run(read_config(config_path)))
    return 0


async def _run(config: EdgeConfig) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    edge = Edge(edge_id=config.edge_id, directory=config.dir, metrics=metrics)
    token = functools.partial(read_token, config.token_file)
    socket = names.admin_socket(config.dir)
    bucket = InBucket(open_bucket(config.bucket), edge_id=config.edge_id)
    controller = Controller(url=config.controller_url, edge_id=config.edge_id, token=token)
    admin = Admin(socket=socket, metrics=metrics)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(controller.close)
        stack.push_async_callback(admin.close)
        edge.open()
        stack.callback(edge.close)
        stack.enter_context(
            http.serve(
                host=config.host,
                port=config.port,
                edge=edge,
                metrics=metrics,
                token=token,
                admin_socket=socket,
            )
        )
        follower = Follower(edge=edge, controller=controller, bucket=bucket, admin=admin, metrics=metrics)
        following = asyncio.create_task(follower.run())
        await stop.wait()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
