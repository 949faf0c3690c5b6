"""Processes of the local cloud: one per name, found again, and ended with everything they started."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import launch as launcher
from local import proctable
from local.files import locked
from local.processes import Entry, Launch, ProcessError, Registry

pytestmark = pytest.mark.e2e

SLEEP = "import time; time.sleep(600)"
FAMILY = textwrap.dedent("""
    import os, pathlib, signal, sys, time
    out = pathlib.Path(os.environ["OUT"])
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            out.with_suffix(".own").write_text(str(os.getpid()))
            time.sleep(600)
        out.with_suffix(".deaf").write_text(str(os.getpid()))
        time.sleep(600)
    time.sleep(600)
""")
DIES_WITH_PARENT = textwrap.dedent("""
    import ctypes, signal, time
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    print("asked", flush=True)
    time.sleep(600)
""")


def running(pid):
    found = proctable.read(pid)
    return found is not None and not found.dead


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def number_in(path):
    wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def test_a_started_process_is_known_by_pid_and_start_time(registry, order):
    entry = registry.launch(order(SLEEP, meta={"zone": "a"}))
    assert registry.alive(entry)
    assert registry.get("p") == entry
    assert registry.entries() == [entry]
    assert entry.meta == {"zone": "a"}
    assert proctable.read(entry.pid).start_time == entry.start_time
    assert os.getpgid(entry.pid) == os.getsid(entry.pid) == entry.pid


def test_the_entry_is_there_before_the_program_runs(registry, order):
    source = """
import json, os, pathlib
entry = json.loads(pathlib.Path(os.environ["ENTRY"]).read_text())
print("mine" if entry["pid"] == os.getpid() else "not mine")
"""
    registry.launch(order(source, env={"ENTRY": str(registry.home / "processes" / "p.json")}))
    log = registry.home / "logs" / "p.log"
    wait_until(lambda: log.exists() and log.read_text() == "mine\n")


def test_starting_twice_is_one_process(registry, order):
    first = registry.launch(order(SLEEP))
    assert registry.launch(order(SLEEP)) == first


def test_starting_from_many_threads_and_programs_at_once_is_one_process(registry, order):
    registries = [Registry(registry.home) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        entries = set(pool.map(lambda r: r.launch(order(SLEEP)).pid, registries))
    assert len(entries) == 1


def test_a_dead_process_is_started_anew(registry, order):
    first = registry.launch(order(SLEEP))
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not registry.alive(first))
    second = registry.launch(order(SLEEP))
    assert second.pid != first.pid
    assert registry.entries() == [second]


def test_a_pid_that_is_used_again_is_another_process(registry, order):
    entry = registry.launch(order(SLEEP))
    path = registry.home / "processes" / "p.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": os.getpid()}))
    assert not registry.alive(registry.get("p"))
    assert registry.end("p") is True  # the real one is found by its marker, and this test goes on running
    assert not running(entry.pid)


def test_a_zombie_is_dead(registry):
    with subprocess.Popen(["true"]) as child:
        start_time = proctable.read(child.pid).start_time
        wait_until(lambda: proctable.read(child.pid).dead)
        zombie = Launch("z", "machine", ("x",), {}, "/", "/log")
        assert proctable.read(child.pid).start_time == start_time
        assert not registry.alive(entry_of(zombie, child.pid, start_time))


def test_nothing_is_inherited_but_what_is_given(registry, order, monkeypatch, tmp_path):
    monkeypatch.setenv("CLOUD_SECRET", "hunter2")
    with (tmp_path / "open").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        source = """
import os, signal
print(sorted(os.environ))
print(sorted(os.readlink(f"/proc/self/fd/{n}") for n in ("0", "1", "2")))
print(len(os.listdir("/proc/self/fd")))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT))
"""
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            registry.launch(order(source, env={"LC_CTYPE": "C.UTF-8"}))
        finally:
            signal.signal(signal.SIGINT, previous)
        log = registry.home / "logs" / "p.log"
        wait_until(lambda: log.exists() and log.read_text().count("\n") == 4)
    environment, streams, descriptors, signals = log.read_text().splitlines()
    assert environment == "['LC_CTYPE', 'PATH', 'SPT_NOENV', 'TRADEWIND_PROCESS']"
    assert streams == str(sorted(["/dev/null", str(log), str(log)]))
    assert descriptors == "4"  # the three streams and the listing itself
    assert signals.startswith("set() <built-in function default_int_handler>")


def test_a_log_is_appended_private_and_kept_in_bounds(registry, order):
    log = registry.home / "logs" / "p.log"
    log.parent.mkdir(parents=True)
    for _ in range(2):
        registry.launch(order("print('x')"))
        wait_until(lambda: not registry.alive(registry.get("p")))
    assert log.read_text() == "x\nx\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.write_bytes(b"y" * (launcher.LOG_LIMIT + 1))
    registry.launch(order("print('x')"))
    wait_until(lambda: log.read_text() == "x\n")
    assert (log.parent / "p.log.1").stat().st_size == launcher.LOG_LIMIT + 1


def test_a_program_that_does_not_exist_is_an_error_and_leaves_nothing(registry, order):
    launch = Launch(
        "p", "machine", ("no-such-program",), {"PATH": "/usr/bin"}, "/", str(registry.home / "log")
    )
    with pytest.raises(ProcessError, match="no-such-program can't be executed"):
        registry.launch(launch)
    assert list((registry.home / "processes").iterdir()) == []


def test_a_working_folder_that_does_not_exist_is_an_error(registry, order):
    launch = Launch("p", "machine", ("true",), {"PATH": "/usr/bin"}, "/no/where", str(registry.home / "log"))
    with pytest.raises(ProcessError, match="/no/where"):
        registry.launch(launch)
    assert registry.entries() == []


@pytest.mark.parametrize("change", [{"name": "../p"}, {"name": ".p"}, {"kind": "x"}, {"argv": ()}])
def test_an_order_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValueError):
        Launch(
            **{"name": "p", "kind": "machine", "argv": ("x",), "env": {}, "cwd": "/", "log": "/l"} | change
        )


# ---------------------------------------------------------------- ending


def test_ending_takes_the_whole_family_even_the_deaf_and_the_runaway(registry, order, tmp_path):
    entry = registry.launch(order(FAMILY, env={"OUT": str(tmp_path / "pid")}))
    deaf, own = number_in(tmp_path / "pid.deaf"), number_in(tmp_path / "pid.own")
    assert registry.end("p", grace_s=0.2) is True
    assert not any(map(running, (entry.pid, deaf, own)))
    assert registry.entries() == []
    assert list((registry.home / "processes").iterdir()) == []


def test_ending_what_is_not_there_is_fine(registry):
    assert registry.end("nobody") is False


def test_a_polite_process_has_its_grace(registry, order, tmp_path):
    source = """
import os, pathlib, signal, sys, time
def bye(*_):
    time.sleep(0.1)
    pathlib.Path(os.environ["OUT"]).write_text("tidy")
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready", flush=True)
time.sleep(600)
"""
    registry.launch(order(source, env={"OUT": str(tmp_path / "out")}))
    wait_until((registry.home / "logs" / "p.log").read_text)
    began = time.monotonic()
    assert registry.end("p", grace_s=10)
    assert (tmp_path / "out").read_text() == "tidy"
    assert time.monotonic() - began < 5


def test_children_of_a_dead_leader_are_ended_before_the_next_start(registry, order, tmp_path):
    entry = registry.launch(order(FAMILY, env={"OUT": str(tmp_path / "pid")}))
    deaf, own = number_in(tmp_path / "pid.deaf"), number_in(tmp_path / "pid.own")
    os.kill(entry.pid, signal.SIGKILL)
    wait_until(lambda: not registry.alive(entry))
    assert registry.anything_runs("p")
    registry.launch(order(SLEEP))
    assert not any(map(running, (deaf, own)))


def test_a_sweep_ends_everything_of_the_home_and_of_no_other(registry, order, tmp_path):
    other = Registry(tmp_path / "other")
    stranger = other.launch(order(SLEEP))
    try:
        leader = registry.launch(order(FAMILY, name="a", env={"OUT": str(tmp_path / "pid")}))
        lost = registry.launch(order(SLEEP, name="b"))
        deaf, own = number_in(tmp_path / "pid.deaf"), number_in(tmp_path / "pid.own")
        os.kill(leader.pid, signal.SIGKILL)
        for file in (registry.home / "processes").iterdir():
            file.unlink()
        assert registry.sweep(grace_s=0.2) == ["a", "b"]
        assert not any(map(running, (leader.pid, lost.pid, deaf, own)))
        assert running(stranger.pid)
        assert registry.sweep() == []
    finally:
        other.sweep(grace_s=0)


def test_the_sweep_is_a_command_too(registry, order):
    registry.launch(order(SLEEP, name="a"))
    command = [sys.executable, "-m", "local.sweep", str(registry.home)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout == "ended a\n"
    assert list((registry.home / "processes").iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"schema": 2}', '{"schema": 1, "name": "q"}', "\x00"]
)
def test_a_torn_or_foreign_entry_is_as_good_as_none(registry, order, content):
    entry = registry.launch(order(SLEEP))
    (registry.home / "processes" / "p.json").write_text(content)
    assert registry.get("p") is None
    assert registry.entries() == []
    assert registry.launch(order(SLEEP)).pid != entry.pid
    assert not running(entry.pid)


# ---------------------------------------------------------------- who starts it dies


def test_a_program_that_dies_with_its_parent_survives_whoever_started_it(registry, order, tmp_path):
    launch = order(DIES_WITH_PARENT)
    starter = f"""
import sys
from pathlib import Path
from local.processes import Launch, Registry
Registry(Path({str(registry.home)!r})).launch(Launch(**{launch.__dict__!r}))
"""
    subprocess.run([sys.executable, "-c", starter], cwd=Path(__file__).parents[2], check=True)
    log = Path(launch.log)
    wait_until(lambda: log.read_text() == "asked\n")
    time.sleep(0.2)
    assert registry.alive(registry.get("p"))


def test_a_launcher_killed_at_any_moment_leaves_nothing_untracked(registry, order):
    """Starter and launcher are killed later and later: what runs afterwards has an entry, and only one runs."""
    starter = f"""
import sys
from pathlib import Path
from local.processes import Launch, Registry
print(flush=True)
Registry(Path({str(registry.home)!r})).launch(Launch(**{order(SLEEP).__dict__!r}))
"""
    survived, delay = [], 0.0
    while not all(survived[-2:]) or len(survived) < 8:
        command = [sys.executable, "-c", starter]
        cwd = Path(__file__).parents[2]
        with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, start_new_session=True) as process:
            process.stdout.readline()
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL)
        for pid in marked(registry):
            if launching(pid):
                os.kill(pid, signal.SIGKILL)
        with locked(registry.home / "processes" / ".p.lock"):  # whoever was still about to start has done so
            tracked = [e.pid for e in registry.entries() if registry.alive(e)]
            assert set(marked(registry)) <= set(tracked)
        survived.append(bool(tracked))
        registry.end("p", grace_s=0)
        delay = min(3.0, 0.004 + delay * 1.4)
    assert survived[0] is False


def marked(registry):
    alive = [pid for pid, p in proctable.table().items() if not p.dead]
    return [pid for pid, m in proctable.markers(alive).items() if m.home == str(registry.home)]


def launching(pid):
    try:
        return b"launch.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_two_homes_may_use_the_same_names(registry, order, tmp_path):
    other = Registry(tmp_path / "other")
    try:
        assert registry.launch(order(SLEEP)).pid != other.launch(order(SLEEP)).pid
        registry.end("p", grace_s=0)
        assert other.alive(other.get("p"))
    finally:
        other.sweep(grace_s=0)


def test_looking_at_a_process_is_cheap(registry, order):
    entry = registry.launch(order(SLEEP))
    began = time.perf_counter()
    for _ in range(1000):
        registry.alive(entry)
    assert time.perf_counter() - began < 0.5  # 300 machines, once a second, must not be felt


def test_ps_tells_the_same_as_proc(registry, order):
    """The way of systems without /proc, as far as Linux has it too."""
    entry = registry.launch(order(SLEEP))
    (by_ps,) = proctable._ps(["-p", str(entry.pid)])
    by_proc = proctable.read(entry.pid)
    assert (by_ps.pid, by_ps.ppid, by_ps.pgid, by_ps.dead) == (by_proc.pid, by_proc.ppid, by_proc.pgid, False)
    assert by_ps.start_time == proctable._ps(["-p", str(entry.pid)])[0].start_time


def entry_of(launch, pid, start_time):
    return Entry(launch.name, launch.kind, pid, start_time, "t", 0.0)
