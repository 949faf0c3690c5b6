"""How `tw` ends: one line and an exit code for every kind of end, a traceback only in a file."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli import main as tw
from spec.errors import InputError, OutsideError, RefusedError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `tw try` with a body of our own; returns exit code, stdout and stderr."""

    def go(body, *args):
        app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
        app.command("try")(body)
        app.command("other")(lambda: None)
        monkeypatch.setattr(tw, "app", app)
        monkeypatch.setattr(tw, "COMMANDS", ())
        monkeypatch.setattr(sys, "argv", ["tw", *(args or ("try",))])
        monkeypatch.setattr(tw.tempfile, "tempdir", str(tmp_path))
        with pytest.raises(SystemExit) as e:
            tw.main()
        return e.value.code or 0, *capsys.readouterr()

    return go


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("Pulumi.dev.yaml: wrong"), 1),
        (OutsideError("no network"), 3),
        (RefusedError("too dear"), 4),
    ],
)
def test_an_error_for_the_user_is_one_line_and_its_exit_code(run, error, code):
    assert run(raising(error)) == (code, "", f"error: {error}\n")


def test_a_command_that_ends_well_ends_with_0(run):
    assert run(lambda: print("done")) == (0, "done\n", "")


def test_a_defect_of_ours_is_written_to_a_file_and_no_traceback_is_shown(run, tmp_path):
    code, out, err = run(raising(KeyError("surprise")))
    [log] = tmp_path.glob("tw-*.log")
    assert (code, out) == (3, "")
    assert err == f"error: a defect in tw itself; see {log}\n"
    assert "KeyError: 'surprise'" in log.read_text()
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_no_defect_of_ours(run, tmp_path, number):
    code, _, err = run(raising(OSError(number, "whatever", "/some/file")))
    assert code == 3
    assert err.startswith(f"error: {os.strerror(number)}: /some/file; `df -h . ")
    assert not list(tmp_path.glob("tw-*.log"))


def test_a_defect_on_a_full_disk_still_says_what_it_was(run, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tw.tempfile, "NamedTemporaryFile", full)
    code, _, err = run(raising(KeyError("surprise")))
    assert code == 3
    assert err.splitlines() == ["error: a defect in tw itself; see KeyError: 'surprise'"]


def test_ctrl_c_ends_with_130_and_says_so(run):
    assert run(raising(KeyboardInterrupt())) == (130, "", "interrupted\n")


def test_a_command_that_cannot_even_be_loaded_is_a_defect_too(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tw, "COMMANDS", ("no_such_module",))
    monkeypatch.setattr(tw.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as e:
        tw.main()
    assert e.value.code == 3
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("args", [("tyr",), ("try", "--nope"), ("try", "surplus")])
def test_wrong_usage_ends_with_2_and_shows_how_to_get_help(run, args):
    code, out, err = run(lambda: None, *args)
    assert (code, out) == (2, "")
    assert "Usage: tw" in err
    assert "--help" in err


def test_an_unknown_command_is_offered_the_nearest_one(run):
    assert "Did you mean 'try'?" in run(lambda: None, "tyr")[2]


# ------------------------------------------------------------ the program itself


def program(*args, cwd=None, env=None, tw=ROOT / "tw"):
    return subprocess.run(
        [tw, *args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module", autouse=True)
def set_up():
    if not (ROOT / ".venv" / ".tradewind-stamp").exists():
        pytest.skip("tw runs only from a checkout that is set up")


def test_without_arguments_the_commands_are_listed():
    done = program()
    assert done.returncode == 2
    for name in ("up", "preview", "down", "plan", "status", "wait", "doctor", "spec", "catalog", "keys"):
        assert f"│ {name} " in done.stdout


@pytest.mark.parametrize("command", ["up", "preview", "down", "status", "wait", "doctor", "plan"])
def test_every_command_explains_itself_and_its_options(command):
    done = program(command, "--help")
    assert done.returncode == 0
    assert f"Usage: tw {command}" in done.stdout
    assert "--stack" in done.stdout


def test_it_works_from_any_folder_through_a_link_and_minds_no_modules_there(tmp_path):
    (tmp_path / "tw link").symlink_to(ROOT / "tw")
    for name in ("cli", "spec", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the one')")
    done = program("catalog", "--help", cwd=tmp_path, tw=tmp_path / "tw link")
    assert done.returncode == 0, done.stderr
    assert "Usage: tw catalog" in done.stdout


def test_loading_the_commands_loads_no_object_store_and_nothing_that_decides():
    code = "import sys, cli.main as m, importlib as i; [i.import_module(f'cli.{n}') for n in m.COMMANDS]; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"obstore", "lb.decide", "pulumi"} & set(done.stdout.split())


def test_a_program_that_used_the_object_store_ends_with_its_own_code():
    """The store's threads outlive what was asked of them, and abort in an interpreter that is being taken down."""
    code = """
import atexit, runpy, sys
import obstore
atexit.register(print, "taken down")
sys.argv = ["tw", "logs", "--stack", "no stack"]
runpy.run_module("cli", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --stack 'no stack'")


def test_whoever_stops_reading_causes_no_noise():
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run(
        [ROOT / "tw", "--help"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    reader.stdin.close()
    assert done.stderr == ""


@pytest.mark.parametrize("lines", [1, 200_000], ids=["at the end", "in the middle"])
@pytest.mark.parametrize("printing", ["print", "rich.print"])
def test_whoever_has_read_enough_makes_no_failure_of_it(lines, printing):
    code = f"""
import sys
import rich
import cli.main as m
m.COMMANDS = ()
m.app.command("try")(lambda: {printing}("x\\n" * {lines}))
m.app.command("other")(lambda: None)
sys.argv = ["tw", "try"]
m.main()
"""
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    reader.stdin.close()
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("args", "code"), [("--help", 0), ("sim --trace none.csv", 1)])
def test_a_closed_output_is_no_failure_and_hides_none(args, code):
    done = subprocess.run(
        ["sh", "-c", f"'{ROOT}/tw' {args} >&-"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (code, "error: none.csv: no such file.\n" if code else "")


@pytest.mark.parametrize(
    "args", [("plan", "services/chat.yaml"), ("spec", "check", "services/chat.yaml"), ("--help",)]
)
def test_what_goes_into_a_file_has_no_control_characters(args):
    done = program(*args, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert not [c for c in done.stdout + done.stderr if not c.isprintable() and c != "\n"]


@pytest.mark.skipif(not shutil.which("script"), reason="needs a terminal")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected_on_a_terminal(no_color, coloured):
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color}
    command = ["script", "-qec", f"'{ROOT}/tw' doctor", "/dev/null"]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    )
    assert b"Python" in done.stdout
    assert (b"\x1b[32m" in done.stdout) is coloured
