"""Secrets of a local stack: made once, private from the first byte, known by hash elsewhere."""

import hashlib
import json
import stat

import pytest
import typer
from typer.testing import CliRunner

from cli import keys, secrets
from cli.context import Context
from spec.errors import InputError
from spec.keys import PREFIX, read_keys


@pytest.fixture
def context(tmp_path):
    return Context("dev", tmp_path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_private(context):
    secrets.ensure(context)
    assert mode(context.home) == 0o700
    assert mode(context.home / "secrets") == 0o700
    for name in ("secrets/controller-token", "key", "keys.json"):
        assert mode(context.home / name) == 0o600, name


def test_the_key_is_long_and_recognisable_and_no_two_stacks_have_the_same(context):
    key = secrets.ensure(context)
    assert key.startswith(PREFIX)
    assert len(key) > 40
    assert key != secrets.ensure(Context("other", context.root))


def test_made_once_and_never_changed(context):
    key = secrets.ensure(context)
    files = [context.home / name for name in ("secrets/controller-token", "key", "keys.json")]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in files]
    assert secrets.ensure(context) == key
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in files] == before


def test_others_know_only_the_hash_of_the_key(context):
    key = secrets.ensure(context)
    text = (context.home / "keys.json").read_text()
    assert key not in text
    assert json.loads(text)["keys"][0]["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert read_keys(context.home / "keys.json").keys[0].id == secrets.KEY_ID


def test_a_key_that_its_owner_replaced_is_taken_over_by_the_hashes(context):
    secrets.ensure(context)
    context.key_file.write_text("sk-tw-mine\n")
    assert secrets.ensure(context) == "sk-tw-mine"
    assert read_keys(context.home / "keys.json").keys[0].sha256 == hashlib.sha256(b"sk-tw-mine").hexdigest()


@pytest.mark.parametrize("content", ["", "\n", "  "])
def test_an_empty_secret_lets_nobody_in_it_is_made_anew(context, content):
    secrets.ensure(context)
    context.key_file.write_text(content)
    token = context.home / "secrets" / "controller-token"
    token.write_text(content)
    assert secrets.ensure(context).startswith(PREFIX)
    assert len(token.read_text()) > 20


@pytest.fixture
def show(context, monkeypatch):
    monkeypatch.setattr(keys, "Context", lambda stack: Context(stack, context.root))
    app = typer.Typer()
    keys.register(app)
    return lambda *args: CliRunner().invoke(app, ["keys", "show", *args])


def test_show_prints_the_key_alone(context, show):
    key = secrets.ensure(context)
    assert show().output == f"{key}\n"


def test_show_without_a_key_says_what_makes_one(context, show):
    (context.root / "Pulumi.yaml").write_text("name: tradewind\n")
    (context.root / "Pulumi.test.yaml").write_text("config: {}\n")
    result = show("--stack", "test")
    assert isinstance(result.exception, InputError)
    assert "stack `test` has no API key yet; ./tw up --stack test makes one" in str(result.exception)


def test_show_of_a_stack_in_the_clouds_says_where_the_key_itself_is(context, show):
    (context.root / "Pulumi.yaml").write_text("name: tradewind\n")
    (context.root / "Pulumi.prod.yaml").write_text("config: {'tradewind:clouds': [aws]}\n")
    result = show("--stack", "prod")
    assert isinstance(result.exception, InputError)
    said = "pulumi config get --stack prod --path 'tradewind:secrets.caller-key'"
    assert said in str(result.exception)


@pytest.mark.parametrize(
    "name", ["", "..", "../dev", "a/b", ".hidden", "-x", "a" * 101, "a b", "backend", "Pulumi", "key"]
)
def test_a_stack_can_have_no_name_that_reaches_other_folders(name):
    with pytest.raises(InputError, match="--stack"):
        Context(name)


@pytest.mark.parametrize("name", ["dev", "prod-2", "a.b_c", "A" * 100])
def test_pulumis_own_names_are_fine(name):
    assert Context(name).home.name == name
