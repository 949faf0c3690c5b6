"""Runs the demo: `python -m bench.demo [--short] [--out FOLDER]`.

Everything happens in a private copy of the checkout with ports of its own, which is gone afterwards, also after Ctrl-C. The
exit code is 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.demo import chart, report
from bench.demo.record import Event, Record, Recorder
from bench.demo.story import HOUR, SHORT, Story
from bench.stage.load import Ask, Load, running
from bench.stage.outcomes import Outcome, summary
from bench.stage.watch import retries
from tests.e2e.checkout import ROOT, Checkout, private_checkout

STEP_S = 0.1
LOOK_EVERY_S = 0.5
out = Console(highlight=False, soft_wrap=True)


class Show:
    """One performance of a story on a stack that is up."""

    def __init__(self, place: Checkout, story: Story, speed: float) -> None:
        self.place, self.story = place, story
        self.record = Record(speed)
        self.load = Load(place.endpoint, place.key, Ask(model="demo", streams=0.2))
        self.promises_broken: list[str] = []
        self.retried = 0
        self._recorder = Recorder(place.home, self.record, lambda: self.load.rate, self.say)
        self._speaking = threading.Lock()

    # ------------------------------------------------------------ what acts may do

    def say(self, text: str, mark: str = "") -> None:
        """A line for whoever watches, and an event of the record."""
        with self._speaking:
            self.record.events.append(Event(self._recorder.now, text, mark))
            out.print(f"{_clock(self._recorder.now)}  {text}", markup=False)

    def crowd(self, count: int) -> None:
        """So many requests at once."""
        self.load.crowd(count)

    def broken(self, promise: str) -> None:
        """Something did not go as it was promised."""
        self.promises_broken.append(promise)
        self.say(f"BROKEN: {promise}")

    # ------------------------------------------------------------ its course

    def play(self) -> None:
        """From the first request to the last answer."""
        acts = list(self.story.acts)
        with (
            running(self.load),
            self._recorder,
            ThreadPoolExecutor(1, thread_name_prefix="act") as stage,
            Live(console=out, refresh_per_second=4, get_renderable=self._line, transient=True),
        ):
            done = []
            while (now := self._recorder.now) < self.story.seconds or not all(f.done() for f in done):
                self.load.rate = self.story.rate(now)
                while acts and acts[0].at <= now:
                    done.append(stage.submit(self._act, acts.pop(0).do))
                time.sleep(STEP_S)
            self.load.rate = 0
        self.retried = retries(self.place.home)
        self.promises_broken += report.promises(self)

    def _act(self, do: Callable[[Show], None]) -> None:
        try:
            do(self)
        except Exception as e:  # noqa: BLE001  the outermost frame of an act: the show goes on and says so
            self.broken(f"an act of the demo failed: {e}")

    def _line(self) -> Text:
        """What is now."""
        if not self.record.samples:
            return Text("...")
        s = self.record.samples[-1]
        counts = summary(self.load.records)
        return Text(
            f"{_clock(self._recorder.now)}  {s.load:3.0f} requests/s  ready {s.ready}/{s.target} ({s.spot} spot)  "
            f"{s.usd_hour:.2f} USD/h  {counts.requests} requests, {counts.failed} failed, {counts.broken} broken, "
            f"{self.load.active} under way",
            style="bold",
        )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def main() -> int:
    """Plays it, prints the table, leaves the chart; 1 when a promise was broken, 130 after Ctrl-C."""
    p = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--short", action="store_true", help="one minute instead of five")
    p.add_argument("--out", type=Path, default=ROOT / ".tradewind" / "demo", help="where the chart goes")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's stop cleans up too
    try:
        return _run(SHORT if a.short else HOUR, a.out)
    except KeyboardInterrupt:
        out.print("interrupted; everything that was started is gone")
        return 130


def _run(story: Story, folder: Path) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="tw") as temporary,
        private_checkout(Path(temporary) / "c", stack="demo") as place,
    ):
        settings = yaml.safe_load((place.root / "Pulumi.demo.yaml").read_text())["config"]["tradewind:local"]
        out.print("make up: planning, previewing, starting ...")
        began = time.monotonic()
        place.tw("up", check=0)
        out.print(f"up after {time.monotonic() - began:.0f} s, without a replica: nobody has asked yet")
        out.print(f"  look at it meanwhile: (cd {place.root} && ./tw status --stack demo --watch)")
        show = Show(place, story, speed=float(settings["traceSpeed"]))
        show.play()
        out.print("make down ...")
    out.print(report.table(show))
    path = folder / "demo.svg"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(chart.draw(show.record, [r for r in show.load.records if r.outcome is not Outcome.OK]))
    out.print(f"chart: {path}")
    for promise in show.promises_broken:
        out.print(f"broken: {promise}", markup=False)
    return 1 if show.promises_broken else 0


if __name__ == "__main__":
    sys.exit(main())
