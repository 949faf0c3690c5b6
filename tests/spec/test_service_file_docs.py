"""The reference of the service file is complete, and its example is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spec import written
from spec.dialects import MOVES

DOCS = (Path(__file__).parents[2] / "docs" / "service-file.md").read_text()
PARTS = (
    written.ServiceFile,
    written.Resources,
    written.ServiceSection,
    written.ReadinessProbe,
    written.ReplicaPolicy,
    written.ScheduleEntry,
    written.Behavior,
    written.Direction,
    written.RateRule,
    written.LoadBalancer,
    written.TlsFiles,
    written.FileMount,
    written.TradewindSection,
    written.BudgetSection,
)


@pytest.mark.parametrize("part", PARTS)
def test_every_field_is_in_the_reference(part):
    assert [name for name in part.model_fields if f"`{name}`" not in DOCS] == []


def test_every_older_field_is_in_the_reference():
    older = {old.rpartition(".")[2] for old, _ in MOVES}

    assert [name for name in sorted(older) if not re.search(rf"`(service\.)?{name}`", DOCS)] == []


def test_the_example_is_valid(read):
    example = re.search(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert example is not None
    spec = read(example[1])

    assert (spec.name, spec.engine, spec.not_acted_on) == ("chat", "vllm", ())
