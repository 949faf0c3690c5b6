"""A machine with Docker: a stand-in that runs processes, and, where one answers, a real one."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lb.agent.containers.docker import KEPT
from lb.agent.containers.machine import DockerError, ask
from tests.clouds.docker import Docker

IMAGE = "tradewind-test:1"
PROGRAMS = ("bash", "cat", "sleep", "env", "mkdir", "setsid")


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.e2e)])
def docker(request, tmp_path, monkeypatch):
    """Says which it is; the image is on the machine already."""
    if request.param == "real":
        with contextlib.ExitStack() as stack:
            _import(tmp_path / "image")
            stack.callback(_forget)
            yield "real"
        return
    stand_in = Docker(tmp_path / "docker", tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stand_in.registry({IMAGE: {}})
    ask("pull", IMAGE)
    yield "stand-in"
    stand_in.close()


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """The stand-in alone, with nothing on the machine."""
    stand_in = Docker(tmp_path / "docker", tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    yield stand_in
    stand_in.close()


def _import(root):
    """An image of this machine's own programs: there is no registry in a test."""
    if shutil.which("ldd") is None:
        pytest.skip("an image of this system's own programs would be none for Docker's Linux")
    try:
        ask("version", "--format={{.Server.Version}}", timeout_s=5)
    except DockerError as e:
        pytest.skip(f"no Docker answers here: {e}")
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program is not None
        needs = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
        for path in {w for w in needs if w.startswith("/")}:
            target = root / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(path), target)
        (root / "bin").mkdir(exist_ok=True)
        shutil.copy(os.path.realpath(program), root / "bin" / name)
    (root / "tmp").mkdir()
    (root / "etc").mkdir()
    Path(root, "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    (root / "root").mkdir()
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", IMAGE], stdin=tar.stdout, check=True, capture_output=True)


def _forget():
    found = [f"{KEPT}:{tag}" for tag in ask("images", "--format={{.Tag}}", KEPT).split()]
    with contextlib.suppress(DockerError):
        ask("rmi", "--force", *found, IMAGE)
