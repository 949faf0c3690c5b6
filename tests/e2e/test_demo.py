"""`make demo`, the short one: promises kept, a chart left, nothing else; and Ctrl-C in the middle."""

import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from local import proctable
from tests.e2e.checkout import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def play(out, *, until=None):
    """Plays it, with Ctrl-C when it has said `until`; its exit code, what it said, and its folder."""
    command = [sys.executable, "-m", "bench.demo", "--short", "--out", str(out)]
    said = ""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        for line in demo.stdout:
            said += line
            if until and until in line:
                demo.send_signal(signal.SIGINT)
    found = re.search(r"\(cd (\S+) &&", said)
    assert found, said
    return demo.returncode, said, found[1]


def assert_nothing_left(folder):
    assert not Path(folder).exists()
    alive = [pid for pid, p in proctable.table().items() if not p.dead]
    assert not [m for m in proctable.markers(alive).values() if m.home.startswith(folder)]


def test_the_short_demo_keeps_its_promises_and_leaves_a_chart(tmp_path):
    code, said, folder = play(tmp_path)
    assert code == 0, said
    assert "went back by itself" in said
    assert "broken" not in said.splitlines()[-1]
    words = [e.text for e in ET.parse(tmp_path / "demo.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert "every one answered" in words
    assert "controller killed" in words
    assert_nothing_left(folder)


def test_ctrl_c_ends_everything_that_was_started(tmp_path):
    code, said, folder = play(tmp_path, until="a machine in")
    assert code == 130, said
    assert "Traceback" not in said
    assert not (tmp_path / "demo.svg").exists()
    assert_nothing_left(folder)
