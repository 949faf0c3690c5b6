"""The demo's story, record, figures and chart, without a stack; tests/e2e/test_demo.py plays it."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from bench.demo import chart
from bench.demo.record import Event, Record, Sample
from bench.demo.story import HOUR, SHORT, Story
from bench.stage.outcomes import Outcome
from bench.stage.outcomes import Record as Request

CALM = Sample(0, load=10, target=2, ready=2, spot=2, running=2, held=0, usd_hour=0.4, on_demand_usd_hour=1.4)


def a_record(*changes, speed=12.0):
    """Samples a second apart, each with its changes."""
    samples = [replace(CALM, at=float(n), **c) for n, c in enumerate(changes)]
    return Record(speed, began=1000.0, samples=samples)


def test_the_load_follows_straight_lines_and_is_nothing_outside():
    story = Story(20, [(5, 0), (10, 10), (15, 10)], [])
    assert [story.rate(t) for t in (0, 5, 7.5, 12, 15, 99)] == [0, 0, 5, 10, 0, 0]


@pytest.mark.parametrize("story", [HOUR, SHORT])
def test_every_act_is_within_its_story_and_in_order(story):
    moments = [a.at for a in story.acts]
    assert moments == sorted(moments)
    assert moments[-1] < story.seconds
    assert story.rate(story.seconds) == 0


def test_money_is_counted_over_the_hours_of_the_trace():
    record = a_record({}, {"usd_hour": 3.6}, {"usd_hour": 0}, speed=3600)
    assert record.hours(lambda s: s.usd_hour) == pytest.approx(0.4 + 3.6)


def test_a_service_is_available_while_as_many_are_ready_as_are_wanted():
    record = a_record({}, {"ready": 1}, {"target": 0, "ready": 0}, {})
    assert record.available() == pytest.approx(1 / 2)


def test_how_many_were_ready_is_known_for_every_moment():
    record = a_record({"ready": 0}, {"ready": 2})
    assert [record.ready(1000 + t) for t in (-1, 0.5, 1.5)] == [0, 0, 2]


def test_the_chart_is_well_formed_and_shows_every_request_that_failed():
    record = a_record({}, {"ready": 1, "spot": 0}, {"target": 0, "ready": 0, "spot": 0}, {})
    record.events += [Event(1, "x", "a <b> & c"), Event(1.5, "x", "preempted"), Event(2, "x", "preempted")]
    bad = [Request(1001.0, 1001.0, None, 1002.0, False, 503, Outcome.FAILED, "status 503")]
    root = ET.fromstring(chart.draw(record, bad))
    words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <b> & c" in words
    assert "2 preempted" in words
    assert "1 not answered" in words
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 1


def test_labels_that_come_close_together_do_not_touch():
    record = a_record(*[{}] * 60)
    record.events += [Event(10 + n, "x", f"a long label {n}") for n in range(6)]
    root = ET.fromstring(chart.draw(record, []))
    labels = [e for e in root.iter("{http://www.w3.org/2000/svg}text") if "long label" in (e.text or "")]
    places = [(float(e.get("x")), e.get("y"), len(e.text) * 5) for e in labels]
    assert 1 < len(labels) <= 6
    for n, (x, y, width) in enumerate(places):
        assert all(x + width <= x2 for x2, y2, _ in places[n + 1 :] if y2 == y)


def test_a_chart_without_any_replica_is_drawn():
    empty = {
        "load": 0,
        "target": 0,
        "ready": 0,
        "spot": 0,
        "running": 0,
        "usd_hour": 0,
        "on_demand_usd_hour": 0,
    }
    assert chart.draw(a_record(empty, empty), []).startswith("<svg")
