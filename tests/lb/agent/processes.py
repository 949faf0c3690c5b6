"""Looking at processes from outside."""

import time
from pathlib import Path


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.01)
    return result


def pids(path):
    """The numbers in a file that the script writes, once their line is complete."""
    text = eventually(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text())
    return [int(word) for word in text.split()]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except FileNotFoundError:
        return True
