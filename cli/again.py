"""Where a journal lies, its replay with a bar, and what came of it in words: the part of `tw sim replay` that loads what decides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.moments import date_and_clock
from cli.state import State
from cli.tick import command_in_words, value_in_words
from lb.again import Difference, Part, Replay, replay
from lb.bucket import Bucket, open_bucket
from lb.decide import Command
from lb.journal import ENTRY_NAME, FOLDER, SEGMENT, Place, places
from lb.replay import Reader, code_version
from spec.errors import InputError

out = Console(highlight=False, soft_wrap=True)

MEMORY_LINES = 12
"""Of one tick, at most: after another command all that follows from it is remembered otherwise too."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Entries of a journal.

    Attributes:
        where: as the user knows it.
        root: what the paths of its entries begin with.
        only: the one entry that is meant; None = all.

    """

    where: str
    root: str
    bucket: Bucket
    found: list[Place]
    only: Place | None = None


async def recorded_in(state: State) -> Recording:
    """The journal of a stack. Raises BucketError, and InputError where nothing was decided yet."""
    found = await places(state.bucket)
    if not found:
        stack = state.context.stack
        raise InputError(
            f"stack {stack} has no journal yet: its controller has decided nothing. "
            f"`./tw logs --controller --stack {stack}` shows what it does."
        )
    return Recording(f"{state.where}/{FOLDER}", state.where, state.bucket, found)


def recorded(path: Path) -> Recording:
    """What lies there: a state folder, a journal, one term of it, or one entry. Raises InputError for anything else."""
    there = path.resolve()
    try:
        if there.is_dir():
            return _folder(path, there)
        there.stat()
    except OSError as e:
        raise InputError(f"{path}: can't be read: {e.strerror}") from None
    term = there.parent
    entries = _entries(term) if ENTRY_NAME.fullmatch(f"{term.name}/{there.name}") else []
    only = next((p for p in entries if Path(p.path).name == there.name), None)
    if only is None:
        raise _no_journal(path)
    needed = [p for p in entries if only.seq - SEGMENT <= p.seq <= only.seq]
    return _lies_in(term.parent, path, needed, only)


def _folder(path: Path, there: Path) -> Recording:
    if ENTRY_NAME.fullmatch(f"{there.name}/1.json") and (found := _entries(there)):
        return _lies_in(there.parent, path, found)
    journal = there / FOLDER if (there / FOLDER).is_dir() else there
    terms = (f for f in os.scandir(journal) if ENTRY_NAME.fullmatch(f"{f.name}/1.json") and f.is_dir())
    found = sorted(entry for term in terms for entry in _entries(Path(term.path)))
    if not found:
        raise _no_journal(path)
    return _lies_in(journal, path, found)


def _lies_in(journal: Path, named: Path, found: list[Place], only: Place | None = None) -> Recording:
    return Recording(str(named), str(journal), open_bucket(journal.as_uri()), found, only)


def _entries(term: Path) -> list[Place]:
    """The entries of one term, oldest first; what else lies there is none. Raises OSError."""
    found = []
    for file in os.scandir(term):
        name = f"{term.name}/{file.name}"
        if (m := ENTRY_NAME.fullmatch(name)) and file.is_file():
            found.append(Place(int(m[1]), int(m[2]), name, file.stat().st_size))
    return sorted(found)


def _no_journal(path: Path) -> InputError:
    return InputError(
        f"{path}: is no journal: there are no entries EPOCH/NUMBER.json.gz. Name a stack's state folder, as "
        f".tradewind/dev/state, the folder `{FOLDER}` in it, a copy of that, or the stack itself with --stack."
    )


async def run_in(state: State, show: int) -> tuple[Recording, Replay]:
    """Replays the journal of a stack. Raises what `recorded_in` does."""
    recording = await recorded_in(state)
    return recording, await run(recording, show)


async def run(recording: Recording, show: int) -> Replay:
    """Replays it, with a bar on a terminal. Raises BucketError."""
    reader = Reader(recording.bucket, recording.found)
    console = Console(stderr=True)
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(recording.found))
        return await replay(reader, only=recording.only, shown=show, done=lambda: bar.advance(task))


def check(recording: Recording, result: Replay) -> None:
    """Raises InputError where nothing could be decided again: that is neither the same nor different."""
    if not result.replayed:
        why = "\n".join(f"  {line}" for line in _left_out(recording, result))
        raise InputError(f"{recording.where}: nothing in it can be decided again:\n{why}")


def _left_out(recording: Recording, result: Replay) -> Iterator[str]:
    for reason, left in result.left_out.items():
        more = f" and {left.number - 1} more" if left.number > 1 else ""
        yield f"{recording.root}/{left.first.path}{more}: {reason}"


# ------------------------------------------------------------ for programs


def as_object(recording: Recording, result: Replay) -> dict[str, Any]:
    """What `--json` says."""
    assert result.times is not None, "something was replayed"
    return {
        "journal": recording.where,
        "same": not result.different,
        "replayed": result.replayed,
        "terms": len(result.terms),
        "from": result.times[0],
        "to": result.times[1],
        "code": code_version(),
        "recorded_by": dict(result.codes),
        "different": result.different,
        "differ": dict(result.differ),
        "same_commands_but": dict(result.otherwise),
        "left_out": [
            {"reason": reason, "first": f"{recording.root}/{left.first.path}", "number": left.number}
            for reason, left in result.left_out.items()
        ],
        "differences": [_difference(d) for d in result.first],
    }


def _difference(found: Difference) -> dict[str, Any]:
    entry, now = found.tick.entry, found.decision
    memory = changes("", entry.memory, now.memory) if now is not None else ()
    return {
        "tick": found.tick.place.tick,
        "at": entry.at,
        "code": entry.code,
        "differ": list(found.parts),
        "failure": found.failure or None,
        "recorded": _said(entry.commands, entry.because, entry.targets, entry.reasons),
        "replayed": None if now is None else _said(now.commands, now.because, now.targets, now.reasons),
        "memory": [
            {"of": path, "recorded": to_jsonable_python(old), "replayed": to_jsonable_python(new)}
            for path, old, new in memory
        ],
    }


def _said(
    commands: Iterable[Command], because: Iterable[str], targets: dict[str, int], reasons: Iterable[str]
) -> dict[str, Any]:
    return {
        "commands": to_jsonable_python(list(commands)),
        "because": list(because),
        "targets": targets,
        "reasons": list(reasons),
    }


# ------------------------------------------------------------ for people


def tell(recording: Recording, result: Replay) -> None:
    """Whether it came out the same, the first differences, and what could not be tried."""
    assert result.times is not None, "something was replayed"
    first, last = (date_and_clock(at) for at in result.times)
    out.print(
        f"{recording.where}: {_ticks(result.replayed)} of {_terms(len(result.terms))}, {first} to {last}",
        markup=False,
    )
    for line in _left_out(recording, result):
        out.print(f"  [yellow]left out[/] {escape(line)}")
    others = sum(n for code, n in result.codes.items() if code != code_version())
    if others:
        out.print(
            f"  {_ticks(others)} recorded by other code than this ({code_version()}): there only commands count",
            markup=False,
        )
    if result.otherwise:
        out.print(f"  with the same commands {_parts(result.otherwise)} differ", markup=False)
    for difference in result.first:
        _show(difference)
    if not result.different:
        whole = "" if others else ", memory and reasons"
        out.print(f"[green]decided again by this code: the same commands{whole}[/]")
        return
    if more := result.different - len(result.first):
        out.print(f"[dim]and {_ticks(more)} more; --show N shows N of them[/]")
    out.print(
        f"[red]different in {result.different:,} of {_ticks(result.replayed)}[/]: {_parts(result.differ)}"
        + ("" if others else ". The code is the recorder's, so this is a defect; please report it")
    )


def _ticks(number: int) -> str:
    return "1 tick" if number == 1 else f"{number:,} ticks"


def _terms(number: int) -> str:
    return "1 term" if number == 1 else f"{number} terms"


def _parts(counted: dict[Part, int]) -> str:
    return ", ".join(f"{part.value} in {_ticks(counted[part])}" for part in Part if counted.get(part))


def _show(found: Difference) -> None:
    entry, now = found.tick.entry, found.decision
    out.print(f"\n[bold]{date_and_clock(entry.at)}[/]  [dim]tick {found.tick.place.tick}[/]")
    if now is None:
        out.print(f"  [red]this code fails[/]: {escape(found.failure)}")
        return
    for sign, colour, mine, other in (("-", "red", entry, now), ("+", "green", now, entry)):
        because = (*mine.because, *[""] * (len(mine.commands) - len(mine.because)))
        for command, why in zip(mine.commands, because, strict=True):
            if command not in other.commands:
                out.print(f"  [{colour}]{sign}[/] {escape(command_in_words(command))}")
                if why:
                    out.print(f"      [dim]because[/] {escape(why.removeprefix(f'{command.pool_id}: '))}")
    if Part.COMMANDS in found.parts and set(entry.commands) == set(now.commands):
        out.print("  the same commands in another order")
    for service, then in entry.targets.items():
        if then != now.targets.get(service):
            out.print(f"  {escape(service)}: {then} replicas should be, now {now.targets.get(service)}")
    for sign, colour, mine, other in (("-", "red", entry, now), ("+", "green", now, entry)):
        for reason in mine.reasons:
            if reason not in other.reasons and reason not in mine.because:
                out.print(f"  [{colour}]{sign}[/] [dim]said[/] {escape(reason)}")
    remembered = list(changes("", entry.memory, now.memory))
    for path, old, new in remembered[:MEMORY_LINES]:
        out.print(f"  [dim]remembered[/] {escape(path)}: {escape(_from_to(old, new))}")
    if len(remembered) > MEMORY_LINES:
        out.print(f"  [dim]and {len(remembered) - MEMORY_LINES} more[/]")


def _from_to(old: Any, new: Any) -> str:
    texts = value_in_words(old), value_in_words(new)
    if texts[0] == texts[1]:
        texts = repr(old), repr(new)
    return " -> ".join(text or "nothing" for text in texts)


def changes(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """What differs in two values, field by field: where, and both."""
    if old == new:
        return
    if is_dataclass(old) and type(old) is type(new):
        for f in fields(old):
            yield from changes(f"{path}.{f.name}".lstrip("."), getattr(old, f.name), getattr(new, f.name))
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changes(f"{path}[{key}]", old.get(key), new.get(key))
    else:
        yield path, old, new
