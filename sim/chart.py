"""A comparison as one picture: each zone's capacity, and below it what every policy had ready and paid. Plain SVG, no library.

A long trace has far more changes than the picture has pixels, so each column shows its worst moment: the least that was
ready, the most that was paid. A shortfall of a minute in a month stays visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from sim.metrics import Result
from sim.trace import Trace
from sim.world import Sample

WIDTH, LEFT, RIGHT = 1080, 120, 220
TOP, ROW, PANEL, GAP = 64, 12, 76, 30
COLUMNS = WIDTH - LEFT - RIGHT
MOST_ZONES = 24
IN_DAYS_FROM, MARKS = 2, 12
INK, SOFT, GRID, PAPER = "#1c2733", "#66727f", "#e4e8ec", "#ffffff"
TEAL, AMBER, RED = "#1f8a70", "#d98a1f", "#c2342c"
LEGEND = (("spot", TEAL), ("on demand", AMBER), ("less than the target", RED))


@dataclass(frozen=True, slots=True)
class _Column:
    """One pixel of time: the least ready, of it on demand; whether it was ever less than wanted; the most paid."""

    ready: int
    on_demand: int
    short: bool
    usd_hour: float


def draw(trace: Trace, target: int, runs: Sequence[tuple[Result, Sequence[Sample]]]) -> str:
    """The picture. `runs`: each policy's result and the course of its run."""
    zones = list(trace.zones)[:MOST_ZONES]
    parts = [
        _text(
            LEFT, 26, f"{trace.name}: {trace.days:.3g} days, {len(trace.zones)} zones, target {target}", "h"
        ),
        f'<text x="{LEFT}" y="48" class="s">spot capacity by zone (darker is more), then what was ready: '
        + ", ".join(f'<tspan style="fill:{c};font-weight:600">{what}</tspan>' for what, c in LEGEND)
        + "</text>",
    ]
    y = TOP
    most = max((max(s.capacity) for s in trace.zones.values()), default=1) or 1
    for zone in zones:
        parts += [_text(LEFT - 8, y + ROW - 3, zone, "s n"), *_strip(trace, zone, y, most)]
        y += ROW
    if len(trace.zones) > len(zones):
        y += ROW
        parts.append(_text(LEFT, y, f"and {len(trace.zones) - len(zones)} more zones"))
    y += GAP
    dearest = max((s.usd_hour for _, samples in runs for s in samples), default=1.0) or 1.0
    for result, samples in runs:
        parts += _panel(result, _columns(samples, trace.end_s), target, dearest, y)
        y += PANEL + GAP
    parts += _days(trace.days, y - GAP)
    return _page(parts, y + 16, trace.name)


def _columns(samples: Sequence[Sample], end_s: float) -> list[_Column]:
    """The worst of each column; a sample holds until the next."""
    found: list[_Column] = []
    n = 0
    for column in range(COLUMNS):
        until = (column + 1) * end_s / COLUMNS
        first = n
        while n + 1 < len(samples) and samples[n + 1].at < until:
            n += 1
        inside = samples[first : n + 1]
        worst = min(inside, key=lambda s: s.ready_spot + s.ready_on_demand)
        short = any(s.ready_spot + s.ready_on_demand < s.target for s in inside)
        ready = worst.ready_spot + worst.ready_on_demand
        found.append(_Column(ready, worst.ready_on_demand, short, max(s.usd_hour for s in inside)))
        if n + 1 < len(samples) and samples[n + 1].at <= until:
            n += 1
    return found


def _panel(result: Result, columns: Sequence[_Column], target: int, dearest: float, y: float) -> list[str]:
    most = max([target, *(c.ready for c in columns)]) or 1
    base = y + PANEL

    def height(ready: float) -> float:
        return PANEL * ready / most

    parts = [
        _text(LEFT, y - 6, result.name, "p"),
        *_rects(
            columns,
            lambda c: (base - height(c.ready - c.on_demand), height(c.ready - c.on_demand)),
            TEAL,
            0.55,
        ),
        *_rects(columns, lambda c: (base - height(c.ready), height(c.on_demand)), AMBER, 0.8),
        *_rects(columns, lambda c: (base - 3, 3 if c.short else 0), RED, 1.0),
        f'<path d="M{LEFT} {base - height(target):.1f}H{LEFT + COLUMNS}" stroke="{INK}" stroke-width="1"/>',
        f'<path d="M{LEFT} {base}H{LEFT + COLUMNS}" stroke="{GRID}"/>',
        _text(LEFT - 8, base - height(target) + 4, str(target), "s n"),
        _text(LEFT - 8, base + 4, "0", "s n"),
    ]
    points = " ".join(f"{LEFT + n},{base - PANEL * c.usd_hour / dearest:.1f}" for n, c in enumerate(columns))
    parts.append(
        f'<polyline points="{points}" fill="none" stroke="{SOFT}" stroke-width="1" stroke-dasharray="3 2"/>'
    )
    said = (
        f"available {result.availability:.3%}",
        f"nothing ready {result.zero_ready:.3%}",
        f"cost {result.cost_ratio:.1%} of on demand",
        f"{result.preemptions} preempted, {result.failed_launches} refused",
        "dashed: USD per hour",
    )
    return parts + [_text(LEFT + COLUMNS + 14, y + 12 + 15 * n, line) for n, line in enumerate(said)]


def _rects(
    columns: Sequence[_Column], shape: Callable[[_Column], tuple[float, float]], colour: str, opacity: float
) -> list[str]:
    """Columns of the same shape become one rectangle."""
    parts, start = [], 0
    shapes = [shape(c) for c in columns]
    for n in range(1, len(shapes) + 1):
        if n == len(shapes) or shapes[n] != shapes[start]:
            top, height = shapes[start]
            if height > 0:
                parts.append(
                    f'<rect x="{LEFT + start}" y="{top:.1f}" width="{n - start}" height="{height:.1f}" '
                    f'fill="{colour}" fill-opacity="{opacity}"/>'
                )
            start = n
    return parts


def _strip(trace: Trace, zone: str, y: float, most: int) -> list[str]:
    series = trace.zones[zone]
    least = []
    for column in range(COLUMNS):
        at = (column + 0.5) * trace.end_s / COLUMNS
        least.append(series.capacity_at(at))
    parts, start = [], 0
    for n in range(1, COLUMNS + 1):
        if n == COLUMNS or least[n] != least[start]:
            if least[start]:
                parts.append(
                    f'<rect x="{LEFT + start}" y="{y + 1}" width="{n - start}" height="{ROW - 2}" '
                    f'fill="{TEAL}" fill-opacity="{0.25 + 0.65 * least[start] / most:.2f}"/>'
                )
            start = n
    return parts


def _days(days: float, y: float) -> list[str]:
    unit, length = ("d", 1.0) if days >= IN_DAYS_FROM else ("h", 1 / 24)
    step = next((s for s in (1, 2, 5, 7, 14, 30, 60) if days / length / s <= MARKS), 90)
    marks = range(0, int(days / length) + 1, step)
    return [_text(LEFT + COLUMNS * n * length / days, y + 16, f"{n} {unit}", "s m") for n in marks]


def _text(x: float, y: float, text: str, kind: str = "s") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _page(parts: Sequence[str], height: float, title: str) -> str:
    style = (
        f"text{{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:{INK}}}"
        f".s{{fill:{SOFT};font-size:11px}}.h{{font-size:16px;font-weight:600}}.p{{font-size:13px;font-weight:600}}"
        ".n{text-anchor:end}.m{text-anchor:middle}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img"><title>{escape(title)}</title><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
