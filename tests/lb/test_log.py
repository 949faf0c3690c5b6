"""Logs: one JSON line per event, and never a secret."""

import errno
import io
import json

import pytest
import structlog

from lb import log


@pytest.fixture(autouse=True)
def restore():
    yield
    structlog.reset_defaults()


def test_an_event_is_one_json_line_with_its_time(capsys):
    log.configure()
    structlog.get_logger().info("decision", reason='a "quoted"\nreason')
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["reason"]) == ("decision", "info", 'a "quoted"\nreason')
    assert found["timestamp"].endswith("Z")


def test_fields_that_are_named_like_secrets_are_blanked(capsys):
    log.configure()
    structlog.get_logger().info("x", token="hush", Authorization="Bearer hush", api_key="hush", replicas=2)
    assert "hush" not in capsys.readouterr().err


class FullDisk(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, _):
        self.flush()


def test_a_full_disk_costs_lines_and_not_the_process(monkeypatch):
    monkeypatch.setattr("sys.stderr", FullDisk())
    log.configure()
    structlog.get_logger().info("decision")
    structlog.get_logger().error("a turn failed", exc_info=ValueError("x"))
