"""Where the Pulumi CLI comes from: PATH, the installer, a build; and that nothing half-made is ever taken for one."""

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from local import proctable
from tools import pulumi_cli

VERSION = pulumi_cli.VERSION

FAKE_GO = """\
#!/bin/sh
# Stands in for Go: `list` prints packages or the SDK's folder, `build` writes the binary that -o names.
case "$1" in
list) case "$*" in *" -m "*) echo "{sdk}" ;; *) echo "a b" ;; esac ;;
build)
    {build}
    while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
    printf '#!/bin/sh\\necho v{version}\\n' > "$out"; chmod 755 "$out" ;;
esac
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """One without Pulumi, Go or a cache; PATH holds only `bin` and the system's own tools."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "sleep", "env", "chmod", "touch", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def a_cli(folder, version=f"v{VERSION}", *, language_host=True):
    script(folder / "pulumi", f"#!/bin/sh\necho {version}\n")
    if language_host:
        script(folder / "pulumi-language-python", "#!/bin/sh\n")
    return folder


def an_installer(machine, body):
    """An interpreter in place of ours: `$3` is the folder to install into."""
    return script(machine / "python", f"#!/bin/sh\n{body}\n")


def go(machine, build=":", version=VERSION):
    sdk = machine / "sdk"
    for name in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
        script(sdk / "python" / name, "#!/bin/sh\n")
    script(machine / "bin" / "go", FAKE_GO.format(sdk=sdk, build=build, version=version))


def cached():
    return sorted(p.name for p in pulumi_cli.cache_dir().glob("pulumi-*"))


def test_without_any_nothing_is_found():
    assert pulumi_cli.find() is None


def test_a_usable_one_on_path_is_taken_by_its_real_folder(machine):
    a_cli(machine / "real")
    (machine / "bin" / "pulumi").symlink_to(machine / "real" / "pulumi")
    assert pulumi_cli.find() == machine / "real"


@pytest.mark.parametrize("version", ["v3.199.9", "v2.25.0", "garbage", ""])
def test_one_that_is_too_old_or_says_no_version_is_not_taken(machine, version):
    a_cli(machine / "bin", version)
    assert pulumi_cli.find() is None


@pytest.mark.parametrize("version", ["v3.200.0", "3.300.1", "v3.259.0-alpha.1", "v4.0.0"])
def test_the_oldest_that_works_and_newer_ones_are_taken(machine, version):
    a_cli(machine / "bin", version)
    assert pulumi_cli.find() == machine / "bin"


def test_one_without_the_python_language_host_is_not_taken(machine):
    a_cli(machine / "bin", language_host=False)
    assert pulumi_cli.find() is None


def test_one_that_fails_or_is_no_program_is_not_taken(machine):
    a_cli(machine / "bin")
    script(machine / "bin" / "pulumi", "#!/bin/sh\nexit 1\n")
    assert pulumi_cli.find() is None


def test_the_cached_one_serves_where_the_one_on_path_is_too_old(machine):
    a_cli(machine / "bin", "v3.100.0")
    folder = a_cli(pulumi_cli.cache_dir() / f"pulumi-{VERSION}" / "bin")
    assert pulumi_cli.find() == folder


def test_the_installer_is_tried_before_a_build(machine, capfd):
    go(machine, build="echo built >&2; exit 1")
    python = an_installer(
        machine,
        f"p=$3/bin; mkdir -p $p; printf '#!/bin/sh\\necho v{VERSION}\\n' > $p/pulumi; "
        "touch $p/pulumi-language-python; chmod 755 $p/*",
    )
    assert pulumi_cli.get(python) == pulumi_cli.cache_dir() / f"pulumi-{VERSION}" / "bin"
    assert cached() == [f"pulumi-{VERSION}"]
    assert pulumi_cli.find() == pulumi_cli.get(Path("/nowhere"))
    assert "Go" not in capfd.readouterr().err


def test_where_the_installer_fails_one_is_built_and_the_reason_is_said(machine, capfd):
    go(machine)
    python = an_installer(machine, "echo 'Connection refused' >&2; exit 1")
    folder = pulumi_cli.get(python)
    assert pulumi_cli.find() == folder
    assert {p.name for p in folder.iterdir()} == {
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    }
    assert all(os.access(p, os.X_OK) for p in folder.iterdir())
    assert cached() == [f"pulumi-{VERSION}"]
    assert "not reachable from here (Connection refused)" in capfd.readouterr().err


def test_an_installer_that_never_ends_is_ended_with_its_children(machine, monkeypatch):
    monkeypatch.setattr(pulumi_cli, "INSTALLER_TIMEOUT_S", 0.5)
    python = an_installer(machine, f"sleep 600 & echo $! > {machine}/child; wait")
    with pytest.raises(pulumi_cli.NoPulumi, match=r"Pulumi's installer: no answer within 0.5 s"):
        pulumi_cli.get(python)
    pid = int((machine / "child").read_text())
    deadline = time.monotonic() + 10  # a killed process may take a moment to be gone
    while (child := proctable.read(pid)) is not None and not child.dead:
        assert time.monotonic() < deadline
    assert cached() == []


def test_an_installer_that_leaves_nothing_usable_is_no_success(machine):
    python = an_installer(machine, "exit 0")
    with pytest.raises(pulumi_cli.NoPulumi, match="the installer ended without a usable CLI"):
        pulumi_cli.get(python)
    assert cached() == []


def test_without_any_way_all_that_were_tried_and_the_ways_out_are_said(machine):
    with pytest.raises(pulumi_cli.NoPulumi) as e:
        pulumi_cli.get(an_installer(machine, "echo 'no route to host'; exit 1"))
    text = str(e.value)
    assert "Pulumi's installer: not reachable from here (no route to host)" in text
    assert "a build from Go modules: Go is not on PATH" in text
    assert "https://www.pulumi.com/docs/install/" in text
    assert "https://go.dev/dl/" in text
    assert "run the same command again" in text


def test_a_build_that_fails_says_why_and_leaves_nothing(machine):
    go(machine, build="echo 'go: no such module' >&2; exit 1")
    with pytest.raises(pulumi_cli.NoPulumi, match="go build pulumi: go: no such module"):
        pulumi_cli.get(an_installer(machine, "exit 1"))
    assert cached() == []
    assert pulumi_cli.find() is None


def test_a_build_of_something_unusable_is_not_published(machine):
    go(machine, version="1.0.0")
    with pytest.raises(pulumi_cli.NoPulumi, match="the build ended without a usable CLI"):
        pulumi_cli.get(an_installer(machine, "exit 1"))
    assert pulumi_cli.find() is None


def test_what_a_killed_build_left_is_not_taken_and_cleared_by_the_next(machine):
    # `go build` kills the set-up that waits for it.
    go(machine, build="touch ${PWD%/*}/bin/pulumi; kill -9 $PPID; exit 1")
    python = an_installer(machine, "exit 1")
    code = "import sys; from pathlib import Path; from tools import pulumi_cli; pulumi_cli.get(Path(sys.argv[1]))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", code, python], check=False, env=env, capture_output=True)
    assert killed.returncode < 0
    assert len(cached()) == 1
    assert pulumi_cli.find() is None
    go(machine)
    assert pulumi_cli.get(python) == pulumi_cli.find()
    assert cached() == [f"pulumi-{VERSION}"]


def test_a_second_set_up_waits_for_the_first_and_takes_its_result(machine, monkeypatch):
    go(machine, build=f"touch {machine}/building; while [ ! -e {machine}/go ]; do sleep 0.02; done")
    python = an_installer(machine, "exit 1")
    found, said = [], queue.Queue()
    monkeypatch.setattr(pulumi_cli, "_say", said.put)
    both = [threading.Thread(target=lambda: found.append(pulumi_cli.get(python))) for _ in range(2)]
    for thread in both:
        thread.start()
    heard = []
    while "waiting for another set-up that gets the Pulumi CLI ..." not in heard:
        heard.append(said.get(timeout=30))
    (machine / "go").touch()
    for thread in both:
        thread.join(30)
    assert found[0] == found[1] == pulumi_cli.find()
    heard += said.queue
    assert sum("a build from Go modules" in x for x in heard) == 1


def test_publishing_replaces_an_unfinished_folder_in_one_step(machine, monkeypatch):
    (pulumi_cli.cache_dir() / f"pulumi-{VERSION}" / "rest").mkdir(parents=True)
    root = pulumi_cli.cache_dir() / "made"
    a_cli(root / "bin")
    seen = []
    rename = Path.rename

    def look_before(self, target):
        seen.append(pulumi_cli.find())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", look_before)
    folder = pulumi_cli._publish(root)
    assert seen == [None], "until the one rename there is nothing to find"
    assert pulumi_cli.find() == folder
