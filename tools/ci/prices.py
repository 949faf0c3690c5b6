"""A pull request with today's prices, and what they change in each environment's money.

`python3 -m tools.ci.prices BASE STACK...`, in a checkout whose remote may be pushed to. The lock is not touched: what
today's prices would choose stands in the pull request as a note, and somebody decides.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.ci.github import Failed, GitHub

BRANCH = "prices"
TITLE = "Prices of today"
TABLE = "catalog/prices.csv"
FIGURES = ("expected_usd_hour", "worst_usd_hour", "runaway_usd_hour")
LONGEST = 20_000
"""Characters of the difference; all of it is in the pull request's own."""


def run(*command: str, cwd: Path) -> str:
    """Its output. Raises Failed with the last line of what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise Failed(f"{' '.join(command[:3])}: exit code {done.returncode}: {said[-1]}")
    return done.stdout


def plan_of(root: Path, stack: str) -> dict[str, Any]:
    """The stack's plan, or `{"error": why not}`: a price that is gone may be one that the lock needs."""
    try:
        return json.loads(run("./tw", "plan", "--stack", stack, "--json", cwd=root))
    except Failed as e:
        return {"error": str(e)}


def body_of(said: str, plans: Sequence[tuple[str, dict[str, Any], dict[str, Any]]]) -> str:
    """`plans`: stack, plan before, plan after."""
    lines = ["| environment | expected $/h | worst $/h | runaway $/h |", "|---|---:|---:|---:|"]
    notes = []
    for stack, before, after in plans:
        if "error" in after:
            notes.append(f"- **`{stack}` has no plan any more**: {after['error']}")
            continue
        cells = [_step(before, after, figure) for figure in FIGURES]
        lines.append(f"| {stack} | {' | '.join(cells)} |")
        notes += [f"- `{stack}`: {note}" for note in after["notes"] if note not in before.get("notes", ())]
    cut = said if len(said) <= LONGEST else f"{said[:LONGEST]}\n..."
    folded = ["<details><summary>Prices</summary>", "", "```", cut.rstrip(), "```", "</details>"]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), *folded])


def _step(before: dict[str, Any], after: dict[str, Any], figure: str) -> str:
    new, old = after["total"][figure], before.get("total", {}).get(figure)
    return f"{new:,.2f}" if old is None or f"{old:.2f}" == f"{new:.2f}" else f"{old:,.2f} -> {new:,.2f}"


def propose(github: GitHub, root: Path, base: str, stacks: Sequence[str]) -> str:
    """Refreshes, pushes, opens or updates the pull request. Gives back what was done, in words."""
    before = {stack: plan_of(root, stack) for stack in stacks}
    said = run("./tw", "catalog", "refresh", cwd=root)
    if not run("git", "status", "--porcelain", "--", TABLE, cwd=root).strip():
        return "no price has changed"
    body = body_of(said, [(stack, before[stack], plan_of(root, stack)) for stack in stacks])
    bot = (
        "-c",
        "user.name=github-actions[bot]",
        "-c",
        "user.email=github-actions[bot]@users.noreply.github.com",
    )
    run("git", *bot, "checkout", "-B", BRANCH, cwd=root)
    run("git", *bot, "commit", "-m", TITLE, "--", TABLE, cwd=root)
    run("git", "push", "--force", "origin", BRANCH, cwd=root)
    owner = github.repository.partition("/")[0]
    for pull in github.every("/pulls", state="open", head=f"{owner}:{BRANCH}", base=base):
        github.ask("PATCH", f"/pulls/{pull['number']}", {"body": body})
        return f"updated {pull['html_url']}"
    made = github.ask("POST", "/pulls", {"title": TITLE, "head": BRANCH, "base": base, "body": body})
    return f"opened {made['html_url']}"


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        base, *stacks = arguments
        print(propose(GitHub.of_runner(), Path.cwd(), base, stacks))
    except (Failed, OSError, ValueError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
