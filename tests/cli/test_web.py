"""`tw status --web` and `--open`: the page's address, and a token that no other user of the computer sees."""

import shutil
import stat
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import options, web
from cli import status as command
from cli.context import Context
from spec.errors import OutsideError

TOKEN = "t0ken-of_the-controller"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    (stack.home / "secrets").mkdir(parents=True)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    return stack


@pytest.fixture
def token(context):
    (context.home / "secrets" / "controller-token").write_text(TOKEN + "\n")
    return TOKEN


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser was started with."""
    found = []
    monkeypatch.setattr(web.webbrowser, "open", lambda url: found.append(url) or True)
    return found


def run(*args):
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["status", *args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_the_address_brings_the_token_where_no_server_sees_it(context, token, opened):
    assert run("--web") == f"http://127.0.0.1:18083/#token={TOKEN}\n"
    assert opened == []


def test_a_browser_is_started_with_a_private_file_that_leads_to_the_page(context, token, opened):
    assert run("--open") == ""
    [url] = opened
    assert TOKEN not in url
    path = context.home / "secrets" / "status-page.html"
    assert url == path.as_uri()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f'location.replace("http://127.0.0.1:18083/#token={TOKEN}")' in path.read_text()


def test_where_no_browser_can_be_started_the_way_out_is_said(context, token, monkeypatch):
    monkeypatch.setattr(web.webbrowser, "open", lambda url: False)
    with pytest.raises(OutsideError, match="tw status --web"):
        run("--open")


def test_without_a_token_the_way_out_is_said(context):
    with pytest.raises(OutsideError, match="make up STACK=dev"):
        run("--web")


def test_of_a_controller_that_does_not_run_no_address_is_given(context, token, monkeypatch):
    monkeypatch.setattr(command, "runs", lambda context: False)
    with pytest.raises(OutsideError, match="does not run"):
        run("--web")
