"""Tables of properties whose change needs a new object, written as text because there are many."""

from __future__ import annotations


def table(text: str) -> dict[str, frozenset[str]]:
    """Lines without indent name a type, indented ones its properties; `every type` stands for all."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in text.strip().splitlines():
        if line[0] == " ":
            current.update(line.split())
        else:
            current = found.setdefault("" if line == "every type" else line, set())
    return {type_: frozenset(names) for type_, names in found.items()}
