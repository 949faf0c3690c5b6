"""Ctrl-C and a service manager's stop, at any moment: exit code 130 and no traceback."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pulumi import automation as auto

from cli import pulumi
from cli.backend import Backend
from cli.context import Context
from spec.errors import OutsideError

ROOT = Path(__file__).resolve().parents[2]

LOADS_FOR_EVER = "import sys, time; sys.stdout.write('loading\\n'); sys.stdout.flush(); time.sleep(60)"
PULUMI = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
print("begun", flush=True)
time.sleep(60)
"""


@pytest.fixture
def cli(tmp_path):
    program = tmp_path / "pulumi"
    program.write_text(f"#!{sys.executable}\n{PULUMI}")
    program.chmod(0o755)
    made = pulumi.Cli(Context("dev", root=tmp_path), version="3.100.0", backend=Backend(tmp_path, {}))
    made.command = str(program)
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_modules_are_loaded_ends_with_130_and_one_word(tmp_path, number):
    (tmp_path / "typer.py").write_text(LOADS_FOR_EVER)
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "--help"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, "interrupted\n")


def test_an_interrupt_ends_the_running_command_in_good_order(cli, tmp_path):
    def interrupt(_line):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    said = []
    with pytest.raises(KeyboardInterrupt), cli.interruptible(said.append):
        cli.run(["up"], str(tmp_path), {}, on_output=interrupt)
    assert len(said) == 1


def test_an_interrupt_between_two_commands_ends_the_next_one_at_once(cli, tmp_path):
    def two_commands():
        with cli.interruptible(lambda _text: None):
            os.kill(os.getpid(), signal.SIGTERM)
            cli.run(["up"], str(tmp_path), {})

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        two_commands()
    assert time.monotonic() - began < pulumi.INTERRUPT_LIMIT_S / 2


def test_a_pulumi_that_somebody_killed_is_said_in_one_line(cli, tmp_path):
    def kill(_line):
        cli.process.kill()

    with pytest.raises(OutsideError, match="ended by SIGKILL; run the same command again"):
        cli.run(["up"], str(tmp_path), {}, on_output=kill)


def test_without_an_interrupt_a_failure_is_pulumis_own(cli, tmp_path):
    cli.command = "false"
    with pytest.raises(auto.CommandError), cli.interruptible(lambda _text: None):
        cli.run(["up"], str(tmp_path), {})
