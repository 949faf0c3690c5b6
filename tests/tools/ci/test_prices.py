"""Today's prices become a pull request that says what they change in money, against a real git remote."""

import json
import subprocess

import pytest

from tools.ci.prices import BRANCH, TABLE, main

TW = """\
#!/usr/bin/env python3
# Stands in for `tw`: its plan depends on the table, and a refresh writes what the test wants.
import json, pathlib, sys
table, wanted = pathlib.Path("catalog/prices.csv"), pathlib.Path("wanted.csv")
if sys.argv[1] == "catalog":
    if wanted.exists():
        table.write_text(wanted.read_text())
    print("~ aws use1-az1 g6.xlarge: 0.25 => 0.30")
    sys.exit(0)
price = float(table.read_text())
if price > 5:
    sys.exit("error: pools.prod.lock: no price is known for g6.xlarge.")
notes = ["always said"] + ([] if price < 0.28 else ["by today's prices 1 others would be chosen"])
total = {f"{f}_usd_hour": price * n for n, f in enumerate(("expected", "worst", "runaway"), 1)}
print(json.dumps({"services": [], "total": total, "notes": notes}))
"""


def git(*words, cwd):
    return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clone of a bare remote, as a runner has one."""
    remote, work = tmp_path / "remote.git", tmp_path / "work"
    git("init", "-q", "--bare", "-b", "main", str(remote), cwd=tmp_path)
    git("clone", "-q", str(remote), str(work), cwd=tmp_path)
    (work / "catalog").mkdir()
    (work / TABLE).write_text("0.25\n")
    (work / "tw").write_text(TW)
    (work / "tw").chmod(0o755)
    (work / ".gitignore").write_text("wanted.csv\n")
    me = ("-c", "user.name=me", "-c", "user.email=me@example.com")
    git("checkout", "-q", "-b", "main", cwd=work)
    git("add", "-A", cwd=work)
    git(*me, "commit", "-qm", "start", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    monkeypatch.chdir(work)
    return work


def refreshed(checkout, price):
    (checkout / "wanted.csv").write_text(f"{price}\n")
    git("checkout", "-q", "main", cwd=checkout)
    return main(["main", "staging", "prod"])


def on_remote(checkout, what):
    return git("--git-dir", str(checkout.parent / "remote.git"), "show", what, cwd=checkout)


def test_changed_prices_are_a_pull_request_with_the_money_of_each_environment(github, checkout, capsys):
    assert refreshed(checkout, 0.30) == 0
    assert capsys.readouterr().out == "opened https://github.test/1\n"
    [pull] = github.pulls
    assert (pull["title"], pull["head"], pull["base"]) == ("Prices of today", BRANCH, "main")
    assert "| prod | 0.25 -> 0.30 | 0.50 -> 0.60 | 0.75 -> 0.90 |" in pull["body"]
    assert "- `staging`: by today's prices 1 others would be chosen" in pull["body"]
    assert "always said" not in pull["body"], "what was said before is no news"
    assert "~ aws use1-az1 g6.xlarge: 0.25 => 0.30" in pull["body"]
    assert on_remote(checkout, f"{BRANCH}:{TABLE}") == "0.3\n"
    assert on_remote(checkout, f"main:{TABLE}") == "0.25\n"


def test_next_week_s_prices_update_the_same_pull_request(github, checkout, capsys):
    refreshed(checkout, 0.30)
    assert refreshed(checkout, 0.26) == 0
    assert capsys.readouterr().out.splitlines()[1] == "updated https://github.test/1"
    [pull] = github.pulls
    assert "| prod | 0.25 -> 0.26 |" in pull["body"]
    assert on_remote(checkout, f"{BRANCH}:{TABLE}") == "0.26\n"


def test_prices_that_stayed_are_no_pull_request(github, checkout, capsys):
    assert refreshed(checkout, 0.25) == 0
    assert capsys.readouterr().out == "no price has changed\n"
    assert github.pulls == []


def test_an_environment_that_has_no_plan_with_them_is_said_in_the_pull_request(github, checkout):
    assert refreshed(checkout, 9.0) == 0
    [pull] = github.pulls
    assert (
        "- **`prod` has no plan any more**: ./tw plan --stack: exit code 1: error: pools.prod.lock: no price"
        in (pull["body"])
    )


def test_a_push_that_is_refused_is_one_line(github, checkout, capsys):
    git("remote", "set-url", "origin", str(checkout.parent / "gone.git"), cwd=checkout)
    assert refreshed(checkout, 0.30) == 3
    assert capsys.readouterr().err.startswith("error: git push --force: exit code 128: ")
    assert json.dumps(github.pulls) == "[]"
