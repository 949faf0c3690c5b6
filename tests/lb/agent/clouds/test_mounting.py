"""The program that mounts buckets, in a namespace of its own with real mounts, and stand-ins of the clouds' mount programs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lb.agent.mounts.told import Told
from tests.clouds import mount_programs, systemd
from tests.lb.agent.processes import eventually

ROOT = Path(__file__).parents[4]
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
SHOWN = {"aws": "state models/", "gcp": "state models", "azure": "twtest/state models"}


@pytest.fixture(scope="module", autouse=True)
def may_mount():
    found = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip(f"this computer lets nobody make a namespace with mounts: {found.stderr.decode()}")


class Machine:
    def __init__(self, world, folder):
        self.world, self.folder, self.target = world, folder, folder / "target folder"
        mount_programs.install(folder / "bin")
        self.state = folder / "state"
        self.state.mkdir()
        self.told = Told(folder / "told")
        self.says = folder / "says"
        world.server.put("models/weights", "content")
        self.plan()

    def plan(self, path="models", *, remount=True):
        mount = {"target": str(self.target), "mode": "MOUNT"}
        plan = {
            "cloud": self.world.name,
            "store": self.world.server.store,
            "root": "",
            "state": str(self.state),
            "told": str(self.told.path),
            "remount": remount,
            "mounts": [mount | {"source": f"{self.world.server.bucket_url}/{path}"}],
        }
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def command(self):
        return [sys.executable, "-m", "lb.agent.mounts.mounting", str(self.folder / "plan.json")]

    @property
    def environment(self):
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "MOUNT_PROGRAM_SAYS": str(self.says)}

    def start(self, command=None):
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*NAMESPACE, *(command or self.command())],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def log(self):
        return (self.folder / "log").read_text()


@pytest.fixture
def machine(world, tmp_path):
    return Machine(world, tmp_path)


@pytest.fixture
def aws(opened, tmp_path):
    return Machine(opened("aws"), tmp_path)


@pytest.fixture
def running():
    started = []
    yield started
    for process in started:
        for pid in [process.pid, *systemd.below(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def ready(machine, process):
    eventually(lambda: machine.told.ready or process.poll() is not None, 20)
    assert machine.told.ready, machine.log()


def test_a_bucket_is_mounted_by_its_clouds_program_until_the_end_and_leaves_nothing(machine, running):
    process = machine.start()
    running.append(process)
    ready(machine, process)
    inside = Path(f"/proc/{process.pid}/root{machine.target}")
    assert (inside / "shows").read_text() == SHOWN[machine.world.name]
    assert machine.world.server.refused == []
    program = int((inside / "pid").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, machine.log()
    assert not Path(f"/proc/{program}").exists()
    assert list(machine.state.iterdir()) == []
    assert machine.log() == ""


def test_a_mount_whose_program_ends_is_made_again(aws, running):
    process = aws.start()
    running.append(process)
    ready(aws, process)
    inside = Path(f"/proc/{process.pid}/root{aws.target}")
    first = (inside / "pid").read_text()
    os.kill(int(first), signal.SIGKILL)
    eventually(lambda: (inside / "pid").exists() and (inside / "pid").read_text() not in {first, ""}, 20)
    assert "mount-s3 has ended with exit code -9; mounted again" in aws.log()


def test_a_mount_that_a_container_has_bound_can_not_be_made_again_and_ends_what_needs_it(aws, running):
    aws.plan(remount=False)
    process = aws.start()
    running.append(process)
    ready(aws, process)
    os.kill(int(Path(f"/proc/{process.pid}/root{aws.target}/pid").read_text()), signal.SIGKILL)
    assert process.wait(20) == 1
    assert "mount-s3 has ended with exit code -9" in aws.told.said


def test_what_a_killed_machine_agent_left_mounted_is_taken_away_before_it_is_mounted_again(aws, running):
    script = f"""
        set -e
        count() {{ grep -c 'target.040folder' /proc/self/mountinfo || true; }}
        {" ".join(aws.command())} & first=$!
        until grep -q '"ready": true' {aws.told.path} 2>/dev/null; do sleep 0.05; done
        program=$(cat '{aws.target}/pid')
        kill -9 $first $program
        echo "left: $(count)"
        rm {aws.told.path}
        {sys.executable} -c "
        from pathlib import Path
        from lb.agent.mounts.table import Made
        Made(Path('{aws.state}/mounted.json')).release()"
        echo "released: $(count)"
        {" ".join(aws.command())} & second=$!
        until grep -q '"ready": true' {aws.told.path} 2>/dev/null; do sleep 0.05; done
        echo "again: $(count)"
        kill $second; wait $second
        echo "ended: $(count)"
    """
    process = aws.start(["bash", "-c", textwrap.dedent(script)])
    running.append(process)
    assert process.wait(30) == 0, aws.log()
    for line in ("left: 1", "released: 0", "again: 1", "ended: 0"):
        assert line in aws.log()


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (
            lambda m: m.says.write_text("no such thing"),
            "mount-s3 ended with exit code 1 for s3://state/models",
        ),
        (lambda m: m.plan("nothing"), "s3://state/nothing: no object is below it; one object alone needs"),
        (lambda m: (m.target.mkdir(), (m.target / "x").touch()), "the folder is not empty"),
    ],
)
def test_what_can_not_be_mounted_ends_the_program_with_the_reason(aws, running, arrange, said):
    arrange(aws)
    process = aws.start()
    running.append(process)
    assert process.wait(30) == 1
    assert said in aws.told.said
    assert said in aws.log()
    assert not aws.told.ready
