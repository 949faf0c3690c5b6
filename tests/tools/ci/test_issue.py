"""One issue follows what a nightly check finds: opened, updated, closed."""

import pytest

from tools.ci.issue import main

TITLE = "Drift of prod"


@pytest.fixture
def keep(tmp_path, github, capsys):
    """Runs the script with that text, or without a file; gives back what it said."""

    def keep(text=None):
        path = tmp_path / "issue.md"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        assert main([TITLE, str(path)]) == 0
        return capsys.readouterr().out.strip()

    return keep


def test_an_issue_is_opened_once_updated_and_closed_when_nothing_is_left(github, keep):
    assert keep("two differ") == "opened #1"
    assert keep("two differ") == "#1 says it already"
    assert keep("three differ") == "updated #1"
    assert (github.issues[0]["title"], github.issues[0]["body"]) == (TITLE, "three differ")
    assert keep() == "closed #1"
    assert github.issues[0]["state"] == "closed"
    assert github.comments[-1]["body"] == "Nothing is left of it."
    assert keep() == "nothing to say"
    assert keep("again") == "opened #2"


def test_a_pull_request_or_another_issue_of_that_kind_is_left_alone(github, keep):
    for more in ({"title": TITLE, "pull_request": {}}, {"title": "Drift of staging"}):
        github.issues.append({"number": len(github.issues) + 1, "state": "open", "body": "", **more})
    assert keep("one differs") == "opened #3"
