"""The demo as one picture: load, replicas and money over the hour, with what happened above them. Plain SVG, no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from bench.demo.record import Event, Record, Sample
from bench.stage.outcomes import Record as Request

WIDTH, LEFT, RIGHT = 1080, 64, 150
PANEL, GAP, TOP = 150, 46, 132
INK, SOFT, GRID, PAPER = "#1c2733", "#66727f", "#e4e8ec", "#ffffff"
BLUE, TEAL, AMBER, RED, GREY = "#2563a8", "#1f8a70", "#d98a1f", "#c2342c", "#9aa5b1"
_STRIKES = {"controller killed": RED, "bad update": RED, "preempted": AMBER}
_LANES = 3
_LABEL_PX = 6.2
"""Width of a letter of a label, roughly; labels that would touch go to another lane."""


def draw(record: Record, bad: Sequence[Request]) -> str:
    """The chart of a record. `bad`: the requests that failed or broke, which are shown where they were due."""
    picture = _Picture(record)
    picture.head()
    picture.events(record.events)
    picture.load(bad)
    picture.replicas()
    picture.money()
    return picture.text()


class _Picture:
    """Collects elements; x is the trace's time, each panel has its own y."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._samples = record.samples
        self._end = max(s.at for s in record.samples)
        self._parts: list[str] = []
        self._y = float(TOP)

    def text(self) -> str:
        """The whole file."""
        height = self._y - GAP + 34
        style = (
            f"text{{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:{INK}}}"
            f".s{{fill:{SOFT};font-size:11px;paint-order:stroke;stroke:{PAPER};stroke-width:3px}}.h{{font-size:17px;font-weight:600}}.p{{font-size:13px;font-weight:600}}"
            ".n{text-anchor:end}.m{text-anchor:middle}"
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img"><title>An hour of a service, {self._record.speed:g} times faster</title>'
            f'<style>{style}</style><rect width="100%" height="100%" fill="{PAPER}"/>'
            + "\n".join(self._parts)
            + "</svg>\n"
        )

    # ------------------------------------------------------------ its parts

    def head(self) -> None:
        """What this is."""
        minutes = self._end * self._record.speed / 60
        self._write(LEFT, 28, f"A service through {minutes:.0f} minutes of spot weather", "h")
        self._write(
            LEFT,
            46,
            f"the local cloud, its trace {self._record.speed:g} times faster; time in minutes of the trace",
            "s",
        )

    def events(self, events: Iterable[Event]) -> None:
        """Marked events: a line through all panels and a label in one of the lanes above; close ones of a kind are one."""
        bottom = TOP + 3 * PANEL + 2 * GAP
        free = [-math.inf] * _LANES
        for at, mark, count in _together(events):
            x, colour = self._x(at), _STRIKES.get(mark, SOFT)
            self._line([(x, TOP - 8), (x, bottom)], colour, 1, dash="2 3", opacity=0.7)
            label = mark if count == 1 else f"{count} {mark}"
            width = len(label) * _LABEL_PX + 8
            lane = next((n for n in range(_LANES) if free[n] <= x), None)
            if lane is not None:
                free[lane] = x + width
                y = TOP - 30 - 14 * lane
                self._line([(x, TOP - 8), (x, y - 8)], colour, 1, dash="2 3", opacity=0.7)
                self._write(x + 3, y, label, "s", colour)

    def load(self, bad: Sequence[Request]) -> None:
        """Requests per second, and each request that was not answered as it should be."""
        y, top = self._panel("requests per second", [s.load for s in self._samples])
        self._area([(s.at, 0.0, s.load) for s in self._samples], y, BLUE, 0.18)
        self._line([(self._x(s.at), y(s.load)) for s in self._samples], BLUE, 1.6)
        for r in bad:
            x = self._x(r.due - self._record.began)
            self._parts.append(f'<circle cx="{x:.1f}" cy="{y(0) - 5:.1f}" r="3" fill="{RED}"/>')
        said = f"{len(bad)} not answered" if bad else "every one answered"
        self._legend([(RED if bad else TEAL, said)], top)

    def replicas(self) -> None:
        """Ready ones, by market, under the number that is wanted."""
        y, top = self._panel("replicas", [max(s.target, s.ready) for s in self._samples], whole=True)
        self._area(_steps(self._samples, lambda s: (0, s.spot)), y, TEAL, 0.55)
        self._area(_steps(self._samples, lambda s: (s.spot, s.ready)), y, AMBER, 0.75)
        wanted = [(self._x(at), y(high)) for at, _, high in _steps(self._samples, lambda s: (0, s.target))]
        self._line(wanted, INK, 1.4)
        self._legend([(INK, "wanted"), (TEAL, "ready on spot"), (AMBER, "ready on demand")], top)

    def money(self) -> None:
        """What runs costs per hour, and what the same would cost on demand."""
        y, top = self._panel("USD per hour", [s.on_demand_usd_hour for s in self._samples], last=True)
        self._area(
            _steps(self._samples, lambda s: (s.usd_hour, max(s.usd_hour, s.on_demand_usd_hour))),
            y,
            GREY,
            0.25,
        )
        for colour, worth in ((GREY, _on_demand), (TEAL, _paid)):
            line = [(self._x(at), y(v)) for at, _, v in _steps(self._samples, lambda s, w=worth: (0, w(s)))]
            self._line(line, colour, 1.6)
        self._legend([(TEAL, "paid"), (GREY, "the same on demand")], top)

    # ------------------------------------------------------------ how it is drawn

    def _panel(
        self, title: str, values: Sequence[float], *, whole: bool = False, last: bool = False
    ) -> tuple[Callable[[float], float], float]:
        """A new panel with grid and axis; its y, and where it begins."""
        top, bottom = self._y, self._y + PANEL
        step, most = _scale(max(values) or 1.0, whole=whole)

        def y(value: float) -> float:
            return bottom - PANEL * value / most

        self._write(LEFT, top - 8, title, "p")
        for n in range(round(most / step) + 1):
            value = n * step
            self._line([(LEFT, y(value)), (WIDTH - RIGHT, y(value))], GRID, 1)
            self._write(LEFT - 8, y(value) + 4, f"{value:g}", "s n")
        for minute in range(0, int(self._end * self._record.speed / 60) + 1, 10):
            x = self._x(minute * 60 / self._record.speed)
            self._line([(x, bottom), (x, bottom + 4)], SOFT, 1)
            if last:
                self._write(x, bottom + 18, f"{minute} min", "s m")
        self._y = bottom + GAP
        return y, top

    def _legend(self, entries: Sequence[tuple[str, str]], top: float) -> None:
        for n, (colour, label) in enumerate(entries):
            y = top + 12 + 18 * n
            self._parts.append(
                f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 9}" width="10" height="10" rx="2" fill="{colour}"/>'
            )
            self._write(WIDTH - RIGHT + 30, y, label, "s")

    def _x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at, 0.0), self._end) / self._end

    def _write(self, x: float, y: float, text: str, kind: str, colour: str = "") -> None:
        fill = f' style="fill:{colour}"' if colour else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{fill}>{escape(text)}</text>')

    def _line(
        self,
        points: Sequence[tuple[float, float]],
        colour: str,
        width: float,
        *,
        dash: str = "",
        opacity: float = 1,
    ) -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-opacity="{opacity}"{dashed}/>'
        )

    def _area(
        self,
        bands: Sequence[tuple[float, float, float]],
        y: Callable[[float], float],
        colour: str,
        opacity: float,
    ) -> None:
        """Between a lower and an upper value at each moment."""
        above = [(self._x(at), y(high)) for at, _, high in bands]
        below = [(self._x(at), y(low)) for at, low, _ in reversed(bands)]
        self._parts.append(
            f'<polygon points="{_points([*above, *below])}" fill="{colour}" fill-opacity="{opacity}"/>'
        )


def _paid(sample: Sample) -> float:
    return sample.usd_hour


def _on_demand(sample: Sample) -> float:
    return sample.on_demand_usd_hour


def _together(events: Iterable[Event], within_s: float = 3.0) -> list[tuple[float, str, int]]:
    """Marked events by time; those of one mark that follow each other closely become one with their number."""
    found: list[tuple[float, str, int]] = []
    for e in events:
        same = [n for n, (at, mark, _) in enumerate(found) if mark == e.mark and e.at - at <= within_s]
        if not e.mark:
            continue
        if same:
            at, mark, count = found[same[-1]]
            found[same[-1]] = (at, mark, count + 1)
        else:
            found.append((e.at, e.mark, 1))
    return found


def _steps(
    samples: Sequence[Sample], values: Callable[[Sample], tuple[float, float]]
) -> list[tuple[float, float, float]]:
    """Bands that stay as they are until the next sample differs."""
    found: list[tuple[float, float, float]] = []
    for sample in samples:
        low, high = values(sample)
        if found and found[-1][1:] != (low, high):
            found.append((sample.at, *found[-1][1:]))
        found.append((sample.at, low, high))
    return found


def _scale(most: float, *, whole: bool) -> tuple[float, float]:
    """A round step of the axis, and where it ends."""
    rough = most / 4
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough)
    if whole:
        step = max(1.0, math.ceil(step))
    return step, step * math.ceil(most / step - 1e-9)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
