"""How busy a machine's GPUs are, from whatever tells it."""

import threading

import pytest

from lb.agent.gpu import Gpus, from_exporter, from_smi, look_up

EXPORTER = """\
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",modelName="NVIDIA L4"} 90
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-2",modelName="NVIDIA L4"} 70
DCGM_FI_DEV_MEM_COPY_UTIL{gpu="0"} 3
"""


class Looks:
    """Answers one look after the other, each when it is let."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.now = 0.0
        self.asked = 0

    def look(self):
        self.asked += 1
        return self.answers.pop(0)


def settled(gpus, looks, asked):
    """The share, once so many looks have ended."""
    for thread in threading.enumerate():
        if thread.name == "gpus":
            thread.join(5)
    assert looks.asked == asked
    return gpus.share()


def test_the_exporter_tells_the_mean_of_all_gpus():
    assert from_exporter(EXPORTER) == 0.8
    assert from_exporter("") is None


def test_the_time_that_engines_work_is_better_than_the_utilization():
    exact = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0"} 0.42\nDCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1"} NaN\n'
    assert from_exporter(EXPORTER + exact) == 0.42


def test_nvidia_smi_tells_percent_and_sometimes_nothing():
    assert from_smi("90\n10\n") == 0.5
    assert from_smi("[N/A]\n") is None
    assert from_smi("") is None


def test_without_an_exporter_and_the_program_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_up("http://127.0.0.1:9/metrics") is None


def test_the_program_is_asked_where_no_exporter_answers(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 30\necho 50\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_up("http://127.0.0.1:9/metrics") == 0.4


def test_it_is_looked_up_while_somebody_asks_and_at_most_every_five_seconds():
    looks = Looks(0.5, 0.7, None)
    gpus = Gpus(looks.look, clock=lambda: looks.now)
    gpus.share()
    assert settled(gpus, looks, 1) == 0.5
    looks.now = 4.9
    assert settled(gpus, looks, 1) == 0.5
    looks.now = 5.0
    gpus.share()
    assert settled(gpus, looks, 2) == 0.7


def test_what_was_found_long_ago_is_not_known_any_more():
    looks = Looks(0.5, 0.6)
    gpus = Gpus(looks.look, clock=lambda: looks.now)
    gpus.share()
    assert settled(gpus, looks, 1) == 0.5
    looks.now = 100.0
    assert gpus.share() is None
    assert settled(gpus, looks, 2) == 0.6


@pytest.mark.parametrize("value", ["-5", "250", "nonsense"])
def test_what_is_no_share_is_none_or_bounded(value):
    found = from_exporter(f'DCGM_FI_DEV_GPU_UTIL{{gpu="0"}} {value}\n')
    assert found is None or 0 <= found <= 1
