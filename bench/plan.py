"""How long planning takes: `python -m bench.plan`. The goal: `planner.plan` over the whole catalog in 100 ms."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from catalog.load import load
from cli.plan_json import as_dict
from planner.constraints import Constraints
from planner.planner import plan
from spec.names import Market
from spec.service import Accelerator, ModelSize, ResourceOption, ServiceSpec

GOAL_MS = 100
RUNS = 15
IMPORT = "import time; t = time.perf_counter(); import planner.planner; print(time.perf_counter() - t)"


def service(name: str, *shapes: str, model: ModelSize | None = None) -> ServiceSpec:
    accelerators = tuple(
        Accelerator(name=kind, count=int(count)) for kind, count in (s.split(":") for s in shapes)
    )
    option = ResourceOption(accelerators=accelerators, market=Market.SPOT)
    return ServiceSpec(
        name=name, file=f"{name}.yaml", options=(option,), run="serve", port=8000, model_size=model
    )


MIXTRAL = service(
    "mixtral", "L4:8", "A10g:8", "A100:4", "A100:8", "A100-80GB:2", "A100-80GB:4", "A100-80GB:8"
)
ANYTHING = service("anything", model=ModelSize(parameters_b=1, quantization="fp16"))
"""Weighs every row of the catalog, and nearly every one can hold it: the most work that one service makes."""


def median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def import_ms() -> float:
    times = [
        float(
            subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(3)
    ]
    return statistics.median(times) * 1000


def main() -> int:
    catalog = load()
    table = Table(title=f"planning, median of {RUNS} runs", title_justify="left")
    for column in ("what", "rows", "ms", "goal ms"):
        table.add_column(column, justify="left" if column == "what" else "right")
    table.add_row("import of the planner", "", f"{import_ms():.0f}", "")
    table.add_row("catalog load", str(len(catalog.offers)), f"{median_ms(load):.1f}", "")
    worst = 0.0
    for what, services in (
        ("plan: the Mixtral set", [MIXTRAL]),
        ("plan: the whole catalog", [ANYTHING]),
        (
            "plan: whole catalog + 9 services",
            [ANYTHING, *(MIXTRAL.model_copy(update={"name": f"s{n}"}) for n in range(9))],
        ),
    ):
        done = plan(services, catalog, Constraints(), env="bench")
        ms = median_ms(lambda s=services: plan(s, catalog, Constraints(), env="bench"))
        worst = max(worst, ms)
        rows = sum(len(s.rows) + len(s.left_out) for s in done.services)
        table.add_row(what, str(rows), f"{ms:.1f}", str(GOAL_MS))
        size = len(json.dumps(as_dict(done), indent=1)) / 1024
        table.add_row("  its JSON", "", f"({size:.0f} KiB)", "")
    Console(width=100).print(table)
    return 0 if worst <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
