"""Synthetic traces: each kind follows the law that it claims, and the seed decides everything."""

import io
import itertools

import pytest

from sim.generate import (
    ON_DEMAND_USD,
    REPORT_SEEDS,
    SCALE_H,
    SHAPE,
    TUNING_SEEDS,
    ZONES,
    TraceKind,
    generate,
    on_demand_limits,
)
from sim.trace import read, region_of, write

DAYS = 45


def spells(trace, *, up):
    """Hours that zones stayed up (or down), and whether the end was seen; not the first, whose begin was not."""
    for series in trace.zones.values():
        states = list(zip(series.times, (c > 0 for c in series.capacity), strict=True))
        runs = [(next(group)[0], state) for state, group in itertools.groupby(states, key=lambda s: s[1])]
        for n, (begin, state) in enumerate(runs[1:], 2):
            if state == up:
                end = runs[n][0] if n < len(runs) else trace.end_s
                yield (end - begin) / 3600, n < len(runs)


def hazard(traces, low, high, *, up=True):
    """Per hour, between two ages in hours."""
    ends = exposed = 0.0
    for trace in traces:
        for hours, seen in spells(trace, up=up):
            exposed += max(0.0, min(hours, high) - low)
            ends += seen and low <= hours < high
    return ends / exposed


def up_share(trace, zone):
    series = trace.zones[zone]
    held = zip(series.times, [*series.times[1:], trace.end_s], series.capacity, strict=True)
    return sum(end - begin for begin, end, capacity in held if capacity) / trace.end_s


@pytest.fixture(scope="module")
def aged():
    return [generate(TraceKind.AGED, seed=s, days=DAYS, room=4) for s in TUNING_SEEDS]


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.4, 0.6), (1, 2), (4, 8), (20, 28)])
def test_hazards_fall_with_age_as_in_the_public_traces(aged, up, low, high):
    law = SHAPE / ((low + high) / 2 + SCALE_H)
    assert hazard(aged, low, high, up=up) == pytest.approx(law, rel=0.25)


@pytest.mark.parametrize("in_region", [1, 8])
def test_the_law_holds_however_many_zones_a_region_has(in_region):
    zones = tuple(f"region-{n // in_region}-az{n}" for n in range(16))
    traces = [generate(TraceKind.AGED, seed=s, days=DAYS, room=4, zones=zones) for s in TUNING_SEEDS[:6]]
    for low, high in ((0.4, 0.6), (1, 2), (4, 8)):
        assert hazard(traces, low, high) == pytest.approx(SHAPE / ((low + high) / 2 + SCALE_H), rel=0.25)


def test_constant_hazards_know_no_age():
    traces = [generate(TraceKind.CONSTANT, seed=s, days=DAYS, room=4) for s in TUNING_SEEDS]
    young, old = hazard(traces, 0.1, 2), hazard(traces, 8, 20)
    assert young == pytest.approx(1 / 6, rel=0.1)
    assert old == pytest.approx(young, rel=0.15)


def test_zones_of_a_region_fall_together_more_often_than_zones_of_others(aged):
    together = {True: 0, False: 0}
    pairs = {True: 0, False: 0}
    for trace in aged:
        falls = {
            z: [
                t
                for t, c, before in zip(s.times[1:], s.capacity[1:], s.capacity, strict=False)
                if before and not c
            ]
            for z, s in trace.zones.items()
        }
        for one, other in itertools.permutations(ZONES, 2):
            same = region_of(one) == region_of(other)
            pairs[same] += len(falls[one])
            together[same] += sum(any(abs(t - u) < 600 for u in falls[other]) for t in falls[one])
    assert together[True] / pairs[True] > 3 * together[False] / pairs[False]


def test_by_day_there_is_less_than_by_night():
    by_hour = [0] * 24
    for seed in TUNING_SEEDS:
        trace = generate(TraceKind.DIURNAL, seed=seed, days=DAYS, room=4)
        for zone in (z for z in ZONES if region_of(z) == "us-east-1"):
            for hour in range(24 * DAYS):
                by_hour[hour % 24] += trace.zones[zone].capacity_at(hour * 3600.0) > 0
    assert min(by_hour) < 0.35 * max(by_hour)
    assert by_hour.index(min(by_hour)) in range(15, 24)  # UTC: the afternoon of the east coast


def test_in_a_collapse_all_zones_of_a_region_are_gone_for_hours():
    trace = generate(TraceKind.COLLAPSE, seed=1, days=DAYS, room=4)
    for region in {region_of(z) for z in ZONES}:
        zones = [trace.zones[z] for z in ZONES if region_of(z) == region]
        gone = [all(s.capacity_at(m * 600.0) == 0 for s in zones) for m in range(144 * DAYS)]
        longest = max(len(list(g)) for state, g in itertools.groupby(gone) if state)
        assert longest >= 12


def test_one_machine_per_zone_is_never_two():
    trace = generate(TraceKind.SINGLE, seed=1, days=DAYS, room=4)
    assert {c for s in trace.zones.values() for c in s.capacity} == {0, 1}


def test_with_partial_losses_a_zone_that_stays_up_has_now_more_and_now_fewer():
    trace = generate(TraceKind.PARTIAL, seed=1, days=DAYS, room=4)
    changes = [
        (before, after)
        for s in trace.zones.values()
        for before, after in itertools.pairwise(s.capacity)
        if before and after and before != after
    ]
    assert {before > after for before, after in changes} == {True, False}
    assert {c for s in trace.zones.values() for c in s.capacity} == {0, 1, 2, 3, 4}


def test_an_up_zone_has_between_half_its_room_and_all_of_it():
    trace = generate(TraceKind.CONSTANT, seed=1, days=DAYS, room=9)
    assert {c for s in trace.zones.values() for c in s.capacity} == {0, 5, 6, 7, 8, 9}


def test_prices_move_apart_and_stay_below_on_demand():
    trace = generate(TraceKind.PRICES, seed=1, days=DAYS, room=4)
    spots = [set(s.spot) for s in trace.zones.values()]
    assert all(len(s) > 100 for s in spots)
    assert all(0.2 * ON_DEMAND_USD - 1e-9 <= p <= 0.9 * ON_DEMAND_USD for s in spots for p in s)


def test_zones_differ_as_widely_as_the_law_makes_them(aged):
    shares = [up_share(trace, zone) for trace in aged for zone in ZONES]
    assert min(shares) < 0.1
    assert max(shares) > 0.9
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("kind", TraceKind)
def test_the_seed_decides_everything_and_the_file_can_be_read_again(kind, tmp_path):
    def text(seed):
        out = io.StringIO()
        write(generate(kind, seed=seed, days=3, room=4), out)
        return out.getvalue()

    assert text(5) == text(5)
    assert text(5) != text(6)
    (tmp_path / "t.csv").write_text(text(5))
    assert read(tmp_path / "t.csv").notes == ()


@pytest.mark.parametrize(
    "zones", [("us-east-1a",), tuple(f"r{n // 5}-a{n}-{'abcde'[n % 5]}" for n in range(500))]
)
def test_one_zone_and_500_can_be_made(zones):
    trace = generate(TraceKind.AGED, seed=1, days=2, room=4, zones=zones)
    assert tuple(trace.zones) == zones


def test_on_demand_is_gone_by_region_and_mostly_to_be_had():
    trace = on_demand_limits(seed=1, days=10 * DAYS)
    shares = {z: up_share(trace, z) for z in ZONES}
    assert all(0.5 < share < 0.8 for share in shares.values())
    assert shares["us-east-1a"] == shares["us-east-1c"] != shares["us-west-2a"]


def test_no_seed_is_both_for_tuning_and_for_the_report():
    assert not set(TUNING_SEEDS) & set(REPORT_SEEDS)
