"""Hosts, balancers, secrets and names of each cloud live a whole life with the real engine: see docs/previews.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.standins import Program, types

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PROGRAMS = Path(__file__).parent / "programs"
HOST = {"aws": "aws:ec2/instance:Instance"}


@pytest.mark.parametrize("cloud", ["aws"])
def test_what_a_cloud_is_given_comes_up_shows_no_drift_takes_edits_and_goes_away_whole(tmp_path, cloud):
    program = Program(tmp_path, (PROGRAMS / f"{cloud}_hosts.py").read_text())
    first = {"TAG": "one", "TEMPLATE": "one", "POLICY": "latency"}
    program.up(**first)
    assert types(program.live)[HOST[cloud]] == 3
    program.refresh(**first)
    assert set(program.preview(**first)) == {"same"}

    assert set(program.up(**{**first, "TAG": "two"})) == {"same", "update"}, "a tag replaces nothing"
    program.up(TAG="two", TEMPLATE="one", POLICY="failover")
    assert types(program.live)[HOST[cloud]] == 3

    program.destroy(**first)
    assert program.live.objects() == []
