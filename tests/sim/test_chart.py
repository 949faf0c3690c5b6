"""The picture of a comparison."""

import xml.etree.ElementTree as ET

from sim import chart
from sim.compare import run
from sim.conditions import Conditions
from sim.generate import TraceKind, generate
from tests.sim.clouds import QUICK, a_trace


def drawn(trace, target, *names, conditions=None):
    runs = []
    for name in names:
        samples = []
        runs.append(
            (run(name, trace, conditions or Conditions(cold_start=QUICK), target, samples=samples), samples)
        )
    return chart.draw(trace, target, runs), runs


def test_the_picture_is_svg_and_names_every_policy_and_zone():
    text, _ = drawn(generate(TraceKind.AGED, seed=1, days=5, room=4), 3, "spothedge", "even-spread")
    said = [e.text for e in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert {"spothedge", "even-spread", "us-east-1a", "0 d", "5 d"} <= set(said)
    for what, colour in chart.LEGEND:
        assert f'<tspan style="fill:{colour};font-weight:600">{what}</tspan>' in text


def test_a_shortfall_of_one_tick_in_a_month_is_in_the_picture():
    month = 30 * 86_400
    trace = a_trace(month, a=[(0, 1), (month / 2, 0), (month / 2 + 30, 1)])
    _, runs = drawn(trace, 1, "even-spread")
    columns = chart._columns(runs[0][1], month)
    assert [c.short for c in columns].count(True) == 2
    assert columns[0].short
    assert columns[chart.COLUMNS // 2].short
    assert columns[chart.COLUMNS // 2].ready == 0


def test_hundreds_of_zones_are_not_all_drawn():
    text, _ = drawn(a_trace(**{f"z{n}": 1 for n in range(500)}), 1, "even-spread")
    assert "and 476 more zones" in text
    assert len(text) < 100_000


def test_names_from_a_file_cannot_break_the_picture():
    trace = a_trace(a=1)
    object.__setattr__(trace, "name", "<script>&")
    ET.fromstring(drawn(trace, 1, "on-demand")[0])
