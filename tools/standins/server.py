"""A stand-in as a program: serves one provider on a free loopback port for as long as the engine lives."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from tools.standins.clouds import cloud
from tools.standins.provider import Provider

_WORKERS = 16
_MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # the limit of Pulumi's own SDKs
_PARENT_POLL_S = 0.5
_STOP_GRACE_S = 4.0


def serve(package: str) -> None:
    """Serves until the engine is gone or closes the plugin by a signal. `package`: as in type tokens."""
    engine = os.getppid()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    limits = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=_WORKERS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(cloud(package)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == engine and not stop.wait(_PARENT_POLL_S):
        pass
    server.stop(_STOP_GRACE_S).wait()
    # The engine waits for one plugin after the other, and an interpreter takes 0.2 s to put itself away.
    os._exit(0)
