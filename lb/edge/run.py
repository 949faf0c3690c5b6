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
from lb.edge import hold_http, http
from lb.edge.access_log import AccessLog
from lb.edge.admin import Admin
from lb.edge.certificates import Certificates
from lb.edge.config import EdgeConfig, read_config
from lb.edge.edge import Edge
from lb.edge.envoy_stats import EnvoyStats
from lb.edge.follow import Follower
from lb.edge.hold import Holds
from lb.edge.metrics import Metrics
from lb.edge.report import Reporter, Sender
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
    certificates = Certificates(config)  # before Envoy's other files, which name them
    mutual = certificates.mutual
    edge = Edge(edge_id=config.edge_id, directory=config.dir, metrics=metrics, mutual=mutual is not None)
    token = functools.partial(read_token, config.token_file)
    socket = names.admin_socket(config.dir)
    bucket = InBucket(open_bucket(config.bucket, region=config.bucket_region), edge_id=config.edge_id)
    controller = Controller(url=config.controller_url, edge_id=config.edge_id, token=token, mutual=mutual)
    admin = Admin(socket=socket, metrics=metrics)
    stats = EnvoyStats(socket=socket)
    sender = Sender(url=config.controller_url, edge_id=config.edge_id, token=token, mutual=mutual)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(controller.close)
        stack.push_async_callback(admin.close)
        stack.push_async_callback(stats.close)
        stack.push_async_callback(sender.close)
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
        access_log = stack.enter_context(contextlib.closing(AccessLog(config.access_log)))
        urgent = asyncio.Event()
        holds = Holds(taken_over=stats.taken_over, active=stats.active, began=urgent.set)
        reporter = Reporter(
            edge=edge,
            log=access_log,
            envoy=stats,
            sender=sender,
            metrics=metrics,
            held=holds.held,
            urgent=urgent,
        )
        holds.follow(edge.snapshot)
        await stack.enter_async_context(hold_http.serve(names.agent_socket(config.dir), holds))
        follower = Follower(
            edge=edge,
            controller=controller,
            bucket=bucket,
            admin=admin,
            metrics=metrics,
            taken_over=holds.follow,
        )
        work = (follower.run(), reporter.run(), certificates.run())
        tasks = [asyncio.create_task(each) for each in work]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
