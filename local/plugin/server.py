"""The plugin as a program: it serves the provider on a free loopback port for as long as the engine lives.

The engine starts the plugin, reads the port from its output and may die without a word: the plugin then cancels
what it is doing and ends. A Ctrl-C in the terminal reaches the plugin as `Cancel`, never as a signal of its own.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from local.plugin.provider import Provider

_WORKERS = 64
"""Creates that wait at the same time; the engine asks for fewer."""
_MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # the limit of Pulumi's own SDKs
_PARENT_POLL_S = 0.5
_STOP_GRACE_S = 8.0


def serve() -> None:
    """Serves on a free loopback port, prints it, and returns when the engine is gone or closes it by a signal."""
    engine = os.getppid()
    stop = threading.Event()
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # the engine closes a plugin by SIGINT, SIGKILL follows 5 s later
        signal.signal(number, lambda *_: stop.set())
    provider = Provider()
    limits = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=_WORKERS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == engine and not stop.wait(_PARENT_POLL_S):
        pass
    provider.cancelled.set()
    server.stop(_STOP_GRACE_S).wait()
