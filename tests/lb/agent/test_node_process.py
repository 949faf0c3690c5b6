"""`python -m lb node` whole: from an assignment to an engine, and all the ways in which it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.lb.agent.machine import archive
from tests.lb.agent.processes import eventually, gone, pids
from tests.ports import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture
def boot(node, tmp_path):
    started = []

    def run(*, stderr=subprocess.PIPE, **fields):
        port = free_port()
        content = asdict(node) | {"schema": 1, "agent_port": port, "work_dir": str(node.work_dir)} | fields
        content = {k: v for k, v in content.items() if v is not None}
        (tmp_path / "node.json").write_text(json.dumps(content))
        command = [sys.executable, "-m", "lb", "node", "--config", str(tmp_path / "node.json")]
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr, text=True)
        started.append(process)
        return process, f"http://127.0.0.1:{port}/v1/node"

    yield run
    for process in started:
        process.kill()
        process.communicate()


def told(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return {"phase": "unreachable"}


def phase(url, wanted):
    return eventually(lambda: (now := told(url))["phase"] == wanted and now, seconds=20)


SERVE = 'trap "exit 0" TERM; sleep 300 & echo $$ $! > ../pids; wait'


@pytest.mark.e2e
def test_it_runs_what_is_assigned_and_sigterm_ends_both(boot, bucket, node):
    process, url = boot()
    assert phase(url, "waiting")["instance_id"] == node.instance_id
    sha256 = bucket.put(archive(setup='echo "$SKYPILOT_NODE_IPS" > ip', run=SERVE))
    bucket.assign(sha256)
    assert phase(url, "running")["bundle"] == sha256
    root = node.work_dir / "bundles" / sha256
    assert (root / "workdir/ip").read_text() == "127.0.0.1\n"
    engine = pids(root / "pids")

    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert all(gone(pid) for pid in engine)


@pytest.mark.e2e
def test_kill_9_of_the_agent_leaves_no_engine(boot, bucket, node):
    process, url = boot()
    sha256 = bucket.put(archive(run=f"setsid sleep 300 & {SERVE}"))
    bucket.assign(sha256)
    phase(url, "running")
    engine = pids(node.work_dir / "bundles" / sha256 / "pids")

    process.kill()
    eventually(lambda: all(gone(pid) for pid in engine))


@pytest.mark.e2e
def test_another_assignment_swaps_the_engine(boot, bucket, node):
    _, url = boot()
    old = bucket.put(archive(run=SERVE))
    bucket.assign(old)
    phase(url, "running")
    engine = pids(node.work_dir / "bundles" / old / "pids")

    new = bucket.put(archive(run="exec sleep 301"))
    bucket.assign(old, instances={node.instance_id: new})
    eventually(lambda: (told(url)["phase"], told(url)["bundle"]) == ("running", new))
    assert all(gone(pid) for pid in engine)


@pytest.mark.e2e
def test_an_engine_that_crashes_is_told_at_once(boot, bucket):
    process, url = boot()
    bucket.assign(bucket.put(archive(run="exit 9")))

    assert phase(url, "failed")["exit_code"] == 9
    process.terminate()
    _, log = process.communicate(timeout=5)
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[0] == "started"
    assert events[-1] == "stopped"
    assert "defect" not in events


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
def test_a_log_that_can_not_be_written_costs_no_engine(boot, bucket):
    with Path("/dev/full").open("ab", buffering=0) as full:
        process, url = boot(stderr=full)
    bucket.assign(bucket.put(archive(run=SERVE)))
    phase(url, "running")
    assert process.poll() is None


@pytest.mark.e2e
def test_a_notice_is_told_and_the_engine_runs_on(boot, bucket, tmp_path):
    notice = tmp_path / "notice.json"
    _, url = boot(notice_file=str(notice))
    sha256 = bucket.put(archive(run=SERVE))
    bucket.assign(sha256)
    assert phase(url, "running")["preempt_at"] is None
    notice.write_text("{")
    assert phase(url, "running")["preempt_at"] is None
    notice.write_text('{"preempt_at": 1800000030}')
    eventually(lambda: told(url)["preempt_at"] == 1800000030)
    assert (told(url)["phase"], told(url)["bundle"]) == ("running", sha256)


@pytest.mark.e2e
def test_only_its_one_route_answers(boot):
    _, url = boot()
    phase(url, "waiting")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url.replace("/v1/node", "/etc/passwd"), timeout=2)


@pytest.mark.e2e
def test_a_wrong_configuration_is_one_line_and_exit_code_1(boot):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for fields, said in (
            ({"port": "no"}, "port"),
            ({"bucket": "s3://state"}, "bucket"),
            ({"agent_port": taken.getsockname()[1]}, "agent_port"),
        ):
            process, _ = boot(**fields)
            _, error = process.communicate(timeout=10)
            assert process.returncode == 1
            assert said in error
            assert len(error.splitlines()) == 1


def test_the_agent_imports_the_standard_library_only():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);"
        "import lb.__main__, lb.agent.main;"
        "tops = {m.partition('.')[0] for m in set(sys.modules) - before};"
        "sys.exit(str(tops - sys.stdlib_module_names - {'lb'}) if tops - sys.stdlib_module_names != {'lb'} else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_wrong_usage_is_exit_code_2():
    from lb.__main__ import main

    with pytest.raises(SystemExit) as e:
        main(["nonsense", "--config", os.devnull])
    assert e.value.code == 2
