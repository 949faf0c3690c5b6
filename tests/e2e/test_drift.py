"""A change behind Pulumi's back is found with the real engine, among sizes that are the controller's to change."""

from pathlib import Path

import pytest

from cli.drift import Drift
from tests.e2e.test_size_ownership import GROUPS, OUTSIDE, PROGRAMS
from tests.standins import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NOW = {"TAG": "one", "TEMPLATE": "one"}
CHANGED = {
    "aws": ("maxSize", 7),
    "gcp": ("baseInstanceName", "other"),
    "azure": ("platformFaultDomainCount", 5),
}


def drift(program):
    collected = Drift()
    program._run("preview_refresh", NOW, on_event=collected)
    return [(d.type, d.gone, d.paths) for d in collected.found]


@pytest.mark.parametrize("cloud", GROUPS)
def test_a_size_is_no_drift_and_another_change_is(tmp_path, cloud):
    program, group = Program(tmp_path, (Path(PROGRAMS) / f"{cloud}_pools.py").read_text()), GROUPS[cloud]
    program.up(**NOW)
    pool = program.live.one(group.type)
    program.live.set(group.type, pool.id, group.size, OUTSIDE)
    assert drift(program) == []
    name, value = CHANGED[cloud]
    program.live.set(group.type, pool.id, name, value)
    assert drift(program) == [(group.type, False, (name,))]
