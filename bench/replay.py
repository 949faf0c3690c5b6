"""How long a replay takes: `python -m bench.replay`. The goal: 45 days, 9 zones, ticks of 30 s, in 20 s of one core for each
policy. Processor time is measured: what else runs on the machine does not count.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from sim.compare import run
from sim.conditions import Conditions
from sim.generate import TraceKind, generate
from sim.policies import DEFAULT

DAYS, TARGET, ROOM = 45.0, 3, 4
GOAL_S = 20.0
KINDS = (TraceKind.AGED, TraceKind.CONSTANT, TraceKind.PRICES)
SEED = 1


def main() -> int:
    table = Table(title=f"{DAYS:g} days, 9 zones, target {TARGET}, ticks of 30 s", title_justify="left")
    table.add_column("policy", no_wrap=True)
    for kind in KINDS:
        table.add_column(f"{kind}, s", justify="right")
    table.add_column("goal, s", justify="right")
    traces = [generate(kind, seed=SEED, days=DAYS, room=ROOM) for kind in KINDS]
    slowest = 0.0
    for name in DEFAULT:
        seconds = []
        for trace in traces:
            began = time.process_time()
            run(name, trace, Conditions(), TARGET)
            seconds.append(time.process_time() - began)
        slowest = max(slowest, *seconds)
        table.add_row(name, *(f"{s:.2f}" for s in seconds), f"{GOAL_S:g}")
    Console(width=100).print(table)
    return 0 if slowest <= GOAL_S else 1


if __name__ == "__main__":
    sys.exit(main())
