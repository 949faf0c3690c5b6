"""What a service file may name is what the rooms above know."""

from __future__ import annotations

from typing import get_args

from engines import presets
from planner.fit import quantization_of
from spec.written import Engine, Quantization


def test_every_engine_of_the_file_has_a_preset():
    assert set(get_args(Engine)) == set(presets.PRESETS)


def test_the_planner_can_compute_with_every_quantization():
    for name in get_args(Quantization):
        quantization_of(name)
