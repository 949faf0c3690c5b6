"""How fast accelerators are: the vendors' data sheets, and what engines were measured to do on them.

The first give an estimate for every shape, the second correct it where somebody has measured. Every row names its
source; nothing here is made up, and a user's own measurements take the place of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from catalog import cells
from spec.errors import Problem, SpecError

COLUMNS = (
    "model",
    "quantization",
    "accelerator",
    "accelerator_count",
    "prefill_tokens_s",
    "decode_tokens_s",
    "concurrency",
    "prompt_tokens",
    "output_tokens",
    "max_concurrency",
    "basis",
    "engine",
    "as_of",
    "source",
    "note",
)
SHEET_COLUMNS = (
    "accelerator",
    "memory_gb_s",
    "fp16_tflops",
    "fp8_tflops",
    "int8_tops",
    "link_gb_s",
    "as_of",
    "source",
)

THROUGHPUT_CSV = Path(__file__).with_name("throughput.csv")
DATASHEETS_CSV = Path(__file__).with_name("datasheets.csv")


class Basis(StrEnum):
    """Where a figure comes from: `measured` by whoever wrote the row, `cited` as published, `derived` from published
    figures by the arithmetic of the row's note, or `estimated` from data sheets alone, which no row is.
    """

    MEASURED = "measured"
    CITED = "cited"
    DERIVED = "derived"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one replica of a model did on one shape.

    Attributes:
        model: a name that the service's model contains, or the name of its kind in `planner.models`.
        prefill_tokens_s: prompt tokens per second of one prompt alone; None = nobody says.
        decode_tokens_s: output tokens per second of all requests together, with `concurrency` requests of
            `prompt_tokens` and `output_tokens` in flight, their prefill included: what benchmarks call output throughput.
        max_concurrency: requests in flight above which they waited; None = nobody says.

    """

    model: str
    quantization: str
    accelerator: str
    accelerator_count: int
    prefill_tokens_s: float | None
    decode_tokens_s: float
    concurrency: int
    prompt_tokens: int
    output_tokens: int
    max_concurrency: int | None
    basis: Basis
    engine: str
    as_of: str
    source: str
    note: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a table has one row for."""
        return self.model.casefold(), self.quantization, self.accelerator, self.accelerator_count


@dataclass(frozen=True, slots=True)
class Datasheet:
    """What the vendor promises of one accelerator: GB/s (10^9 bytes) and dense TFLOPS, without sparsity.

    `fp8_tflops` and `int8_tops` are None where it has no such units, or nobody was found who tells; `link_gb_s` is per
    direction, to the others of its machine.
    """

    accelerator: str
    memory_gb_s: float
    fp16_tflops: float
    fp8_tflops: float | None
    int8_tops: float | None
    link_gb_s: float
    as_of: str
    source: str


@dataclass(frozen=True)
class Speeds:
    """Everything that is known of speed. `rows`: the user's first, so that they win."""

    rows: tuple[Throughput, ...]
    sheets: Mapping[str, Datasheet]


def load_speeds(*users: Path) -> Speeds:
    """Our tables, and before them those of the user. Raises InputError for a file that can't be read, and SpecError."""
    rows = [row for path in dict.fromkeys((*users, THROUGHPUT_CSV)) for row in read_throughput(path)]
    return Speeds(tuple(rows), load_datasheets())


def read_throughput(path: Path) -> tuple[Throughput, ...]:
    """The rows of one table. Raises InputError, and SpecError with all wrong rows."""
    seen: dict[tuple[str, str, str, int], int] = {}
    rows, problems = [], []
    for line, row in cells.read_table(path, COLUMNS, _throughput):
        if row.key in seen:
            why = f"row {seen[row.key]} is about the same model, quantization and shape"
            problems.append(Problem(path.name, "", why, line=line))
        seen.setdefault(row.key, line)
        rows.append(row)
    if problems:
        raise SpecError(problems)
    return tuple(rows)


@functools.cache
def load_datasheets(path: Path = DATASHEETS_CSV) -> Mapping[str, Datasheet]:
    """By canonical name of the accelerator. Raises SpecError."""
    return {sheet.accelerator: sheet for _, sheet in cells.read_table(path, SHEET_COLUMNS, _sheet)}


def _throughput(row: dict[str, str]) -> Throughput:
    concurrency = cells.count("concurrency", row)
    most = cells.count_or_none("max_concurrency", row)
    if most is not None and most < concurrency:
        why = f"must be at least concurrency, {concurrency}"
        raise cells.Wrong("max_concurrency", row["max_concurrency"], why)
    written = [b.value for b in Basis if b is not Basis.ESTIMATED]
    if row["basis"] not in written:
        raise cells.Wrong("basis", row["basis"], f"must be one of {', '.join(written)}")
    return Throughput(
        model=cells.text("model", row),
        quantization=cells.text("quantization", row),
        accelerator=cells.canonical("accelerator", row),
        accelerator_count=cells.count("accelerator_count", row),
        prefill_tokens_s=cells.positive_or_none("prefill_tokens_s", row),
        decode_tokens_s=cells.positive("decode_tokens_s", row),
        concurrency=concurrency,
        prompt_tokens=cells.count("prompt_tokens", row),
        output_tokens=cells.count("output_tokens", row),
        max_concurrency=most,
        basis=Basis(row["basis"]),
        engine=row["engine"],
        as_of=cells.date("as_of", row),
        source=cells.text("source", row),
        note=row["note"],
    )


def _sheet(row: dict[str, str]) -> Datasheet:
    return Datasheet(
        accelerator=cells.canonical("accelerator", row),
        memory_gb_s=cells.positive("memory_gb_s", row),
        fp16_tflops=cells.positive("fp16_tflops", row),
        fp8_tflops=cells.positive_or_none("fp8_tflops", row),
        int8_tops=cells.positive_or_none("int8_tops", row),
        link_gb_s=cells.positive("link_gb_s", row),
        as_of=cells.date("as_of", row),
        source=cells.text("source", row),
    )
