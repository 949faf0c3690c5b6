"""What a machine of a local stack wrote last: quoted beside the reason why its replica failed."""

from __future__ import annotations

from pathlib import Path

from cli.log_files import last_lines
from cli.log_lines import Secrets, quoted
from lb.agent.guard import HEADING

LINES = 5


def last_words(home: Path, replica_id: str) -> str:
    """The last lines of the engine's log, or of its agent's, while they are there; else nothing."""
    machine = home / "machines" / replica_id.rpartition(":")[2]
    for path in (machine / "engine.log", machine / "log"):
        if raw := _of_last_start(last_lines(path, LINES)):
            secrets = Secrets.of(home)
            said = (quoted(line, secrets) for line in raw)
            return f"\n    {path}:" + "".join(f"\n    | {line}" for line in said)
    return ""


def _of_last_start(lines: list[bytes]) -> list[bytes]:
    """Without what an earlier bundle's engine wrote into the same log."""
    starts = [n for n, line in enumerate(lines) if line.startswith(HEADING.encode())]
    return lines[starts[-1] :] if starts else lines
