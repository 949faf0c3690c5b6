"""What the process table says of a process that is half gone."""

import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from local import proctable

LEADERLESS = textwrap.dedent("""
    import ctypes, socket, threading, time
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=time.sleep, args=(600,)).start()
    ctypes.CDLL(None).pthread_exit(None)
""")


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's threads")
def test_a_process_whose_last_thread_still_holds_its_port_is_not_dead():
    with subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE) as process:
        try:
            port = int(process.stdout.readline())
            deadline = time.monotonic() + 20
            while (found := proctable.read(process.pid)).state != "Z":
                assert time.monotonic() < deadline, found
                time.sleep(0.01)
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            assert not found.dead
        finally:
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not (found := proctable.read(process.pid)).dead:
            assert time.monotonic() < deadline, found
            time.sleep(0.001)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
