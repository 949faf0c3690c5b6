"""The arguments of a container, and how Docker gets onto a machine."""

import csv
import subprocess
from pathlib import Path

import pytest

from lb.agent.containers import docker
from lb.agent.containers.install import CannotInstall, Installer


def a_container(**fields):
    given = {
        "name": "n",
        "machine": "i-1",
        "image": "acme/engine:1",
        "remove": True,
        "paths": (Path("/w"), Path('/a,"b')),
    }
    return docker.Container(**given | fields)


def test_a_container_has_its_paths_whatever_they_are_called():
    command = a_container().command("serve", grace_s=9, accelerators=[])
    mounts = [c.removeprefix("--mount=") for c in command if c.startswith("--mount=")]
    assert next(csv.reader([mounts[1]])) == ["type=bind", 'source=/a,"b', 'target=/a,"b']
    assert "--workdir=/w" in command
    assert command[-2:] == ["serve", "9"]


def test_one_that_setup_runs_in_stays_until_it_is_kept():
    assert "--rm" in a_container().command("", grace_s=1, accelerators=[])
    assert "--rm" not in a_container(remove=False).command("", grace_s=1, accelerators=[])


def test_accelerators_are_those_of_the_machine(tmp_path):
    assert docker.accelerators(tmp_path) == []
    for name in ("nvidia0", "neuron1", "neuron0", "neuron_monitor"):
        (tmp_path / name).touch()
    found = docker.accelerators(tmp_path)
    assert found[0] == "--gpus=all"
    assert found[-2:] == ["--device=/dev/neuron0", "--device=/dev/neuron1"]


def test_a_name_is_one_that_docker_takes():
    assert docker.named("tw-chat_1 a/b", "c" * 64, "run") == "tradewind-tw-chat_1-a-b-cccccccccccc-run"


class Machine:
    def __init__(self, root, *has):
        self.has, self.ran, self.said, self.waits, self.fails, self.up = set(has), [], [], [], 0, True
        (root / "etc/apt/sources.list.d").mkdir(parents=True)
        self.root = root

    def run(self, command):
        if self.fails:
            self.fails -= 1
            raise subprocess.CalledProcessError(100, command)
        self.up = self.up or command[:2] == ["systemctl", "start"]
        self.ran.append(" ".join(w for w in command if w not in {"-q", "-o", "DPkg::Lock::Timeout=600"}))

    def ensure(self, *, nvidia):
        installer = Installer(
            root=self.root,
            fetch=lambda _url: b"key",
            run=self.run,
            which=lambda name: name if name in self.has else None,
            answers=lambda: self.up,
        )
        installer.ensure(nvidia=nvidia, say=self.said.append, pause=self.waits.append)


def test_a_machine_that_has_docker_is_left_alone(tmp_path):
    machine = Machine(tmp_path, "docker", "nvidia-container-runtime-hook")
    machine.ensure(nvidia=True)
    assert machine.ran == []


def test_docker_and_nvidias_toolkit_are_brought_where_they_are_missing(tmp_path):
    machine = Machine(tmp_path)
    machine.ensure(nvidia=True)
    assert machine.ran == [
        "apt-get update",
        "apt-get install -y docker.io",
        "apt-get update",
        "apt-get install -y nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker",
        "systemctl restart docker",
    ]
    source = (tmp_path / "etc/apt/sources.list.d/nvidia-container-toolkit.list").read_text()
    assert "signed-by=/usr/share/keyrings/nvidia-container-toolkit.asc" in source
    assert (tmp_path / "usr/share/keyrings/nvidia-container-toolkit.asc").read_bytes() == b"key"


def test_a_docker_that_sleeps_is_started(tmp_path):
    machine = Machine(tmp_path, "docker")
    machine.up = False
    machine.ensure(nvidia=False)
    assert machine.ran == ["systemctl start docker"]


def test_a_failure_is_tried_again_and_then_told_with_the_way_out(tmp_path):
    machine = Machine(tmp_path)
    machine.fails = 3
    with pytest.raises(CannotInstall, match=r"Docker can't be brought to this machine: .*`image_id`"):
        machine.ensure(nvidia=False)
    assert machine.waits == [10, 10]
