"""A bundle with an image on its machine, from the pull to every end, with a Docker that runs it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lb.agent.containers.docker import KEPT, LABEL
from lb.agent.containers.machine import ask
from tests.lb.agent.containers.conftest import IMAGE
from tests.lb.agent.machine import POOL, archive
from tests.lb.agent.processes import eventually

pytestmark = pytest.mark.e2e
HERE = Path(__file__)
SECRET = "one line\nand 'another' with \"quotes\" and $HOME"
SERVE = 'echo up > up; trap "echo bye > bye; exit 0" TERM; while :; do sleep 0.1; done'


class Machine:
    def __init__(self, folder, bucket, name):
        self.folder, self.bucket, self.name = folder, bucket, name
        (folder / "secrets").mkdir()
        (folder / "secrets/TOKEN").write_text(SECRET)
        (folder / "secrets/SKYPILOT_DOCKER_PASSWORD").write_text("pw_of_the_registry")
        (folder / "work").mkdir()
        settings = {
            "cloud": "local",
            "region": "r",
            "zone": None,
            "pool_id": POOL,
            "instance_id": name,
            "address": "127.0.0.1",
            "port": None,
            "agent_port": 1,
            "bucket": bucket.root.as_uri(),
            "work_dir": str(folder / "work"),
            "secrets_dir": str(folder / "secrets"),
            "grace_s": 6,
            "run_dir": str(folder / "run"),
            "told": str(folder / "told.json"),
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        self.agent = None

    def start(self):
        root = str(HERE.parents[4])
        command = [
            sys.executable,
            "-m",
            "tests.lb.agent.containers.agent",
            str(self.folder / "settings.json"),
        ]
        (self.folder / "told.json").unlink(missing_ok=True)
        with (self.folder / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(command, cwd=root, stderr=log)

    def assign(self, **manifest):
        sha256 = self.bucket.put(archive(**{"image": IMAGE} | manifest))
        self.bucket.assign(sha256)
        return self.folder / "work/bundles" / sha256 / "workdir"

    def told(self):
        with suppress(OSError):
            return json.loads((self.folder / "told.json").read_text())
        return {"phase": "", "message": ""}

    def phase(self, wanted):
        found = eventually(lambda: (t := self.told())["phase"] in {wanted, "failed"} and t, seconds=30)
        assert found["phase"] == wanted, f"{found} {self.log()} {(self.folder / 'agent.log').read_text()}"
        return found

    def log(self):
        return (self.folder / "work/engine.log").read_text(errors="replace")

    def containers(self):
        return ask("ps", "--all", "--quiet", f"--filter=label={LABEL}={self.name}").split()

    def end(self):
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(15)


@pytest.fixture
def machine(tmp_path, bucket, docker):
    made = Machine(tmp_path, bucket, f"i-{os.getpid()}")
    yield made
    made.end()
    assert made.containers() == []


def test_what_setup_makes_in_its_container_is_there_for_the_engine(machine):
    workdir = machine.assign(setup="echo made > ~/made", run=f"cat ~/made > seen; {SERVE}")
    machine.start()
    machine.phase("running")
    eventually((workdir / "up").exists)
    assert (workdir / "seen").read_text() == "made\n"


def test_variables_and_secrets_arrive_whole_and_stand_in_no_argument_and_no_file(machine):
    script = f'printf "%s" "$TOKEN" > token; env > env; {SERVE}'
    workdir = machine.assign(run=script, secrets=["TOKEN"], envs={"MODEL": "a b"})
    machine.start()
    eventually((workdir / "up").exists, seconds=30)
    assert (workdir / "token").read_text() == SECRET
    seen = (workdir / "env").read_text()
    assert "MODEL=a b" in seen
    assert "TRADEWIND_PORT=8000" in seen
    assert "PYTEST_CURRENT_TEST" not in seen
    (workdir / "token").unlink()
    (workdir / "env").unlink()
    marked = SECRET.splitlines()[1].encode()
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert marked not in cmdline.read_bytes()
    for path in machine.folder.rglob("*"):
        if path.is_file() and "secrets" not in path.parts and "image" not in path.parts:
            assert marked not in path.read_bytes(), path


def test_an_engine_is_asked_to_end_and_has_its_grace(machine):
    workdir = machine.assign(run=SERVE)
    machine.start()
    eventually((workdir / "up").exists, seconds=30)
    machine.end()
    assert (workdir / "bye").exists()
    assert machine.containers() == []


def test_an_engine_that_does_not_end_is_ended(machine):
    workdir = machine.assign(run='trap "" TERM; echo > up; while :; do sleep 0.1; done')
    machine.start()
    eventually((workdir / "up").exists, seconds=30)
    machine.end()
    assert machine.containers() == []


def test_a_crash_is_told_with_the_exit_code_of_the_engine(machine):
    machine.assign(run="echo its last words; exit 9")
    machine.start()
    told = eventually(lambda: (t := machine.told())["phase"] == "failed" and t, seconds=30)
    assert told["exit_code"] == 9
    assert "its last words" in machine.log()


def test_kill_9_of_the_agent_ends_the_container_and_another_agent_starts_anew(machine):
    workdir = machine.assign(
        setup="echo once >> ~/made", run=f"cat ~/made > seen; setsid sleep 300 & {SERVE}"
    )
    machine.start()
    eventually((workdir / "up").exists, seconds=30)
    assert len(machine.containers()) == 1
    machine.agent.kill()
    machine.agent.wait()
    eventually(lambda: machine.containers() == [])

    (workdir / "up").unlink()
    (workdir / "seen").unlink()
    machine.start()
    eventually((workdir / "up").exists, seconds=30)
    assert (workdir / "seen").read_text() == "once\n"


def test_another_assignment_swaps_the_container_and_one_without_an_image_follows(machine):
    old = machine.assign(run=SERVE)
    machine.start()
    eventually((old / "up").exists, seconds=30)
    new = machine.assign(run=f"echo other; {SERVE}")
    eventually((new / "up").exists, seconds=30)
    assert (old / "bye").exists()
    assert len(machine.containers()) == 1
    plain = machine.assign(run=SERVE, image=None)
    eventually((plain / "up").exists, seconds=30)
    assert machine.containers() == []


def test_a_setup_that_fails_is_told_and_keeps_nothing(machine):
    machine.assign(setup="exit 3", run=SERVE)
    machine.start()
    told = eventually(lambda: (t := machine.told())["phase"] == "failed" and t, seconds=30)
    assert told["exit_code"] == 3
    assert "setup has ended with exit code 3" in told["message"]
    assert ask("images", "--format={{.Tag}}", KEPT) == ""


def test_what_setup_made_goes_some_bundles_later(machine):
    made = [machine.assign(setup="echo 0 > ~/made", run=SERVE)]
    machine.start()
    for n in range(1, 4):
        eventually((made[-1] / "up").exists, seconds=30)
        made.append(machine.assign(setup=f"echo {n} > ~/made", run=SERVE))
    eventually((made[-1] / "up").exists, seconds=30)
    kept = ask("images", "--format={{.Tag}}", KEPT).split()
    assert set(kept) == {workdir.parent.name for workdir in made[1:]}
