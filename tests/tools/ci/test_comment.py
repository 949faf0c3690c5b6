"""A pull request has one comment of each environment, whatever was pushed how often."""

import pytest

from tests.tools.ci.fake_github import TOKEN
from tools.ci.comment import WRITER, main

MARK = "<!-- tradewind preview prod -->"


@pytest.fixture
def put(tmp_path, github):
    def put(text, mark=MARK):
        (tmp_path / "comment.md").write_text(f"{mark}\n{text}\n")
        return main([str(tmp_path / "comment.md"), "7"])

    return put


def texts(github):
    return [c["body"] for c in github.comments]


def test_the_next_preview_writes_over_the_comment_of_the_one_before(github, put):
    assert [put("first"), put("second")] == [0, 0]
    assert texts(github) == [f"{MARK}\nsecond\n"]
    assert github.asked == ["POST /issues/7/comments", "PATCH /issues/comments/1"]


def test_each_environment_has_a_comment_of_its_own(github, put):
    put("prod")
    put("staging", mark="<!-- tradewind preview staging -->")
    assert len(github.comments) == 2


def test_a_comment_is_found_behind_a_hundred_others(github, put):
    for n in range(250):
        github.say("somebody", f"comment {n}")
    put("first")
    put("second")
    assert len(github.comments) == 251


def test_somebody_else_s_comment_is_never_written_over(github, put):
    github.say("somebody", f"{MARK}\nmine")
    github.say(WRITER, "another workflow's")
    put("first")
    assert texts(github)[:2] == [f"{MARK}\nmine", "another workflow's"]
    assert len(github.comments) == 3


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            (403, {"message": "Resource not accessible by integration"}),
            "403 Resource not accessible by integration",
        ),
        ((502, "gateway"), "502"),
    ],
)
def test_a_refusal_is_one_line_without_the_token(github, put, capsys, refusal, said):
    github.refuses = refusal
    assert put("first") == 3
    err = capsys.readouterr().err
    assert err.startswith("error: GET /issues/7/comments")
    assert said in err
    assert TOKEN not in err
    assert err.count("\n") == 1


def test_a_text_without_a_mark_is_refused_because_it_could_not_be_found_again(github, put, capsys):
    assert put("text", mark="no mark") == 3
    assert "does not begin with a mark" in capsys.readouterr().err
    assert github.asked == []


def test_outside_of_a_workflow_it_says_what_is_missing(put, monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_TOKEN")
    assert put("first") == 3
    assert "GITHUB_TOKEN is not set: this runs in a step of a workflow" in capsys.readouterr().err


def test_nobody_at_the_address_is_one_line(put, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert put("first") == 3
    assert "refused" in capsys.readouterr().err
