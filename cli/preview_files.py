"""What a preview leaves for programs and for a pull request: `.tradewind/preview/<stack>/{resources,cost}.json, comment.md`.

Money stands first in the comment, because that is what a reviewer is asked; then what the policies say; resources last
and folded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.events import Change, Report
from cli.forecast import lines
from cli.money import Money
from local.files import write_atomic
from policies.config import policy_config
from spec.stack import StackConfig

COMMENT_LIMIT = 64_000
"""GitHub refuses comments of more than 65,536 characters."""
OFFLINE = (
    "Previewed without credentials: stand-ins took the place of the clouds' plugins, and everything counts as new. "
    "What that can't know is in `docs/previews.md`."
)
SHOWN_AT_MOST = 400
"""Resources in the comment."""


def marker(stack: str) -> str:
    """The first line of a comment, by which the next preview finds it to replace it."""
    return f"<!-- tradewind preview {stack} -->"


def write(
    folder: Path,
    stack: str,
    report: Report,
    money: Money,
    config: StackConfig,
    *,
    notes: Sequence[str] = (),
    offline: bool,
) -> None:
    """Writes the three files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    judged = policies(report, config)
    files = {
        "resources.json": json.dumps(resources(report), indent=1),
        "cost.json": json.dumps({**money.as_json(), "policies": judged}, indent=1),
        "comment.md": comment(stack, report, money, judged, notes=notes, offline=offline),
    }
    for name, text in files.items():
        write_atomic(folder / name, f"{text}\n".encode())


def resources(report: Report) -> list[dict[str, str]]:
    """Every resource of the stack, also those that do not change, in the order of their names."""
    found = [{"urn": s.urn, "type": s.type, "op": s.op} for s in report.steps]
    return sorted(found, key=lambda r: r["urn"])


def policies(report: Report, config: StackConfig) -> list[dict[str, Any]]:
    """Every policy of the pack: one entry for each message, or one that says that it passed."""
    said: dict[str, list[str]] = {}
    for violation in report.violations:
        said.setdefault(violation.policy, []).append(violation.message)
    levels = {name: settings["enforcementLevel"] for name, settings in policy_config(config).items()}
    return [
        {"name": name, "level": level, "passed": name not in said, "message": message}
        for name, level in sorted(levels.items())
        for message in said.get(name, [""])
    ]


def comment(
    stack: str,
    report: Report,
    money: Money,
    judged: Sequence[Mapping[str, Any]],
    *,
    notes: Sequence[str] = (),
    offline: bool,
) -> str:
    """Markdown of at most `COMMENT_LIMIT` characters."""
    head = [
        marker(stack),
        f"### Preview of `{stack}`: {_summary(report)}",
        "",
        *_table(money.header(), money.rows()),
        "",
        *(f"- forecast: {line}" for line in lines(money.outlooks)),
        *([""] if money.outlooks else []),
        *_policy_lines(judged),
        *(f"- note: {note}" for note in notes),
        "",
    ]
    if offline:
        head += [
            OFFLINE,
            "",
        ]
    changes = list(_changed_lines(report.changes))
    shown = changes[:SHOWN_AT_MOST]
    while True:
        left = len(changes) - len(shown)
        tail = [f"... and {left} more"] if left else []
        folded = ["<details><summary>Resources</summary>", "", "```diff", *shown, *tail, "```", "</details>"]
        text = "\n".join([*head, *(folded if changes else [])])
        if len(text) <= COMMENT_LIMIT or not shown:
            return text[:COMMENT_LIMIT]
        shown = shown[: len(shown) * 3 // 4]


def _summary(report: Report) -> str:
    counts = Counter(c.op.value for c in report.changes)
    return ", ".join(f"{n} to {op.replace('-', ' ')}" for op, n in sorted(counts.items())) or "no change"


def _changed_lines(changes: Iterable[Change]) -> Iterable[str]:
    signs = {"±": "!", "~": "!"}
    for change in changes:
        yield f"{signs.get(change.symbol, change.symbol)} {change.name}  {change.type}"
        yield from (f"    {line}" for line in change.diff)


def _policy_lines(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    failed = [p for p in judged if not p["passed"]]
    passed = len({p["name"] for p in judged} - {p["name"] for p in failed})
    lines = [f"**Policies**: {passed} passed" + (f", {len(failed)} messages" if failed else "")]
    for p in failed:
        word = "refused" if p["level"] == "mandatory" else "note"
        lines.append(f"- **{word}** `{p['name']}`: {p['message']}")
    return lines


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{'|'.join('---' if i == 0 else '---:' for i in range(len(header)))}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
