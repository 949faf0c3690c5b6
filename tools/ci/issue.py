"""Keeps one issue for what a nightly check finds: opened, updated, and closed when there is nothing any more.

`python3 -m tools.ci.issue TITLE FILE`. No file = nothing was found.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.ci.comment import WRITER
from tools.ci.github import Failed, GitHub


def keep_issue(github: GitHub, title: str, text: str | None) -> str:
    """`text`: None = there is nothing to say. Gives back what was done, in words."""
    there = next(
        (
            issue
            for issue in github.every("/issues", state="open", creator=WRITER)
            if issue["title"] == title and "pull_request" not in issue
        ),
        None,
    )
    if text is None:
        if there is None:
            return "nothing to say"
        github.ask("POST", f"/issues/{there['number']}/comments", {"body": "Nothing is left of it."})
        github.ask("PATCH", f"/issues/{there['number']}", {"state": "closed"})
        return f"closed #{there['number']}"
    if there is None:
        return f"opened #{github.ask('POST', '/issues', {'title': title, 'body': text})['number']}"
    if there["body"] == text:
        return f"#{there['number']} says it already"
    github.ask("PATCH", f"/issues/{there['number']}", {"body": text})
    return f"updated #{there['number']}"


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        title, file = arguments
        path = Path(file)
        text = path.read_text(encoding="utf-8") if path.exists() else None
        print(keep_issue(GitHub.of_runner(), title, text))
    except (Failed, OSError, ValueError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
