"""Puts a preview's comment at a pull request, over the one that the preview before has left.

`python3 -m tools.ci.comment FILE PULL`. The file's first line is a hidden mark, by which the comment is found again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.ci.github import Failed, GitHub

WRITER = "github-actions[bot]"
"""Whom a workflow's token writes as: a comment of somebody else is never written over, whatever it begins with."""


def put_comment(github: GitHub, pull: int, text: str) -> str:
    """Writes the comment. Gives back its address."""
    mark = text.partition("\n")[0]
    if not mark.startswith("<!--"):
        raise Failed("the comment does not begin with a mark like `<!-- ... -->`")
    for comment in github.every(f"/issues/{pull}/comments"):
        if comment["user"]["login"] == WRITER and comment["body"].startswith(mark):
            return github.ask("PATCH", f"/issues/comments/{comment['id']}", {"body": text})["html_url"]
    return github.ask("POST", f"/issues/{pull}/comments", {"body": text})["html_url"]


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        file, pull = arguments
        print(put_comment(GitHub.of_runner(), int(pull), Path(file).read_text(encoding="utf-8")))
    except (Failed, OSError, ValueError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
