"""Bars of progress for what takes seconds: on a terminal only, on stderr, and gone when it is done."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager


@contextmanager
def bars(names: Sequence[str], end: float) -> Generator[Callable[[str, float], None]]:
    """One for each name. Gives what tells how far a name is, from 0 to `end`."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as drawn:
        tasks = {name: drawn.add_task(name, total=end) for name in names}
        yield lambda name, at: drawn.update(tasks[name], completed=at)
