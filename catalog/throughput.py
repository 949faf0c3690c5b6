"""How fast accelerators are: the vendors' data sheets, and what engines were measured to do on them.

The first give an estimate for every shape, the second correct it where somebody has measured. Every row names its
source; nothing here is made up, and a user's own measurements take the place of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from catalog import cells
from spec.errors import InputError, Problem, SpecError

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

    `fp8_tflops` and `int8_tops` are None where it has no such units; `link_gb_s` is per direction, to the others of its machine.
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
    rows = cells.read_rows(_lines(path), path.name, COLUMNS, _throughput)
    return tuple(_each_once(rows, path.name))


@functools.cache
def load_datasheets(path: Path = DATASHEETS_CSV) -> Mapping[str, Datasheet]:
    """By canonical name of the accelerator. Raises SpecError."""
    return {
        sheet.accelerator: sheet
        for _, sheet in cells.read_rows(_lines(path), path.name, SHEET_COLUMNS, _sheet)
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as e:
        raise InputError(f"the table {path} can't be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise InputError(f"the table {path} is no CSV file: {e}") from None


def _each_once(rows: Iterable[tuple[int, Throughput]], file: str) -> Iterable[Throughput]:
    seen: dict[tuple[str, str, str, int], int] = {}
    problems = []
    for line, row in rows:
        if row.key in seen:
            why = f"row {seen[row.key]} is about the same model, quantization and shape"
            problems.append(Problem(file, "", why, line=line))
        seen.setdefault(row.key, line)
        yield row
    if problems:
        raise SpecError(problems)


def _throughput(row: dict[str, str]) -> Throughput:
    def optional(column: str) -> float | None:
        return cells.positive(column, row[column]) if row[column] else None

    concurrency = cells.count("concurrency", row["concurrency"])
    most = cells.count("max_concurrency", row["max_concurrency"]) if row["max_concurrency"] else None
    if most is not None and most < concurrency:
        raise cells.Wrong(
            "max_concurrency", row["max_concurrency"], f"must be at least concurrency, {concurrency}"
        )
    written = [b.value for b in Basis if b is not Basis.ESTIMATED]
    if row["basis"] not in written:
        raise cells.Wrong("basis", row["basis"], f"must be one of {', '.join(written)}")
    return Throughput(
        model=cells.text("model", row["model"]),
        quantization=cells.text("quantization", row["quantization"]),
        accelerator=cells.canonical("accelerator", row["accelerator"]),
        accelerator_count=cells.count("accelerator_count", row["accelerator_count"]),
        prefill_tokens_s=optional("prefill_tokens_s"),
        decode_tokens_s=cells.positive("decode_tokens_s", row["decode_tokens_s"]),
        concurrency=concurrency,
        prompt_tokens=cells.count("prompt_tokens", row["prompt_tokens"]),
        output_tokens=cells.count("output_tokens", row["output_tokens"]),
        max_concurrency=most,
        basis=Basis(row["basis"]),
        engine=row["engine"],
        as_of=cells.date("as_of", row["as_of"]),
        source=cells.text("source", row["source"]),
        note=row["note"],
    )


def _sheet(row: dict[str, str]) -> Datasheet:
    def optional(column: str) -> float | None:
        return cells.positive(column, row[column]) if row[column] else None

    return Datasheet(
        accelerator=cells.canonical("accelerator", row["accelerator"]),
        memory_gb_s=cells.positive("memory_gb_s", row["memory_gb_s"]),
        fp16_tflops=cells.positive("fp16_tflops", row["fp16_tflops"]),
        fp8_tflops=optional("fp8_tflops"),
        int8_tops=optional("int8_tops"),
        link_gb_s=cells.positive("link_gb_s", row["link_gb_s"]),
        as_of=cells.date("as_of", row["as_of"]),
        source=cells.text("source", row["source"]),
    )
