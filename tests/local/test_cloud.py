"""The local cloud as the stack declares it and as the controller sees it."""

import json
import os
import signal
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from local import proctable
from local.cloud import LocalCloud
from local.errors import CloudError, MachineNotFound, NoCapacity, OverMaximum, PoolNotFound, ZoneNotFound
from local.processes import Registry
from local.trace import TraceError

pytestmark = pytest.mark.e2e

AGENT = "import sys, time; print(sys.argv, flush=True); time.sleep(600)"
TRACE = """time_s,zone,capacity,spot_price,ondemand_price
0,local-east-a,3,0.20,0.70
0,local-west-a,2,0.22,0.73
60,local-east-a,1,0.40,
120,local-east-a,0,,
"""


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        self.now += 0.001  # time never stands still
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cloud(tmp_path, clock):
    cloud = LocalCloud(tmp_path / "home", clock=clock)
    yield cloud
    cloud.registry.sweep(grace_s=0)


@pytest.fixture
def declare(cloud, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE)

    def declare(pool_id="p", **changes):
        given = {
            "region": "local-east",
            "zone": "local-east-a",
            "market": "spot",
            "max_size": 4,
            "argv": (sys.executable, "-I", "-S", "-c", AGENT),
            "env": {"PATH": "/usr/bin", "A": "1"},
            "bucket": "file:///state",
            "trace": trace,
        }
        cloud.declare_pool(pool_id, **given | changes)

    return declare


def view(cloud, pool_id="p"):
    return next(v for v in cloud.observe() if v.pool_id == pool_id)


def ids(cloud, pool_id="p"):
    return [m.instance_id for m in view(cloud, pool_id).machines]


def test_a_declared_pool_is_empty_and_has_the_prices_of_now(cloud, declare, clock):
    assert cloud.observe() == []
    declare()
    seen = view(cloud)
    assert (seen.size, seen.machines, seen.refusals) == (0, (), ())
    assert (seen.spot, seen.on_demand) == (0.20, 0.70)
    clock.now += 60
    assert (view(cloud).spot, view(cloud).on_demand) == (0.40, 0.70)


def test_a_machine_has_an_address_a_node_file_and_an_agent(cloud, declare):
    declare()
    cloud.set_size("p", 1)
    (machine,) = view(cloud).machines
    folder = cloud.home / "machines" / machine.instance_id
    node = json.loads((folder / "node.json").read_text())
    assert node == {
        "schema": 1,
        "cloud": "local",
        "region": "local-east",
        "zone": "local-east-a",
        "pool_id": "p",
        "instance_id": machine.instance_id,
        "address": "127.0.0.1",
        "port": machine.port,
        "agent_port": machine.agent_port,
        "bucket": "file:///state",
        "work_dir": str(folder / "work"),
        "log_dir": str(folder),
        "notice_file": str(folder / "notice.json"),
    }
    assert machine.instance_id.startswith("i-")
    assert machine.agent_port == machine.port + 1
    assert stat.S_IMODE((folder / "node.json").stat().st_mode) == 0o600
    entry = cloud.registry.get(machine.instance_id)
    assert (entry.kind, entry.meta["pool_id"], entry.meta["port"]) == ("machine", "p", str(machine.port))
    wait_until(lambda: (folder / "log").read_text() == f"['-c', '--config', '{folder / 'node.json'}']\n")


def test_a_size_is_absolute_and_setting_it_again_launches_nothing(cloud, declare):
    declare()
    cloud.set_size("p", 2)
    before = ids(cloud)
    cloud.set_size("p", 2)
    assert ids(cloud) == before
    assert view(cloud).size == 2
    assert len({m.port for m in view(cloud).machines}) == 2


def test_a_lower_size_ends_no_machine(cloud, declare):
    declare()
    cloud.set_size("p", 2)
    cloud.set_size("p", 0)
    assert len(ids(cloud)) == 2
    assert view(cloud).size == 2


def test_more_than_the_zone_has_is_partly_given_and_the_rest_refused_later(cloud, declare):
    declare()
    cloud.set_size("p", 4)
    seen = view(cloud)
    assert (seen.size, len(seen.machines)) == (4, 3)
    (refusal,) = seen.refusals
    assert refusal.kind == "insufficient_capacity"
    assert "local-east-a has no capacity for 1 more" in refusal.message
    cloud.set_size("p", 3)  # the controller withdraws
    assert view(cloud).size == 3


def test_nothing_at_all_is_refused_at_once_and_the_size_stays(cloud, declare):
    declare()
    declare("q")
    cloud.set_size("p", 3)
    with pytest.raises(NoCapacity, match="local-east-a"):
        cloud.set_size("q", 1)
    assert (view(cloud, "q").size, view(cloud, "q").refusals) == (0, ())


def test_on_demand_knows_no_capacity_but_its_maximum(cloud, declare):
    declare(market="on_demand")
    cloud.set_size("p", 4)
    assert len(ids(cloud)) == 4
    with pytest.raises(OverMaximum, match="0 to 4"):
        cloud.set_size("p", 5)
    with pytest.raises(OverMaximum):
        cloud.set_size("p", -1)


def test_zones_do_not_share_their_capacity(cloud, declare):
    declare()
    declare("q", zone="local-west-a", region="local-west")
    cloud.set_size("p", 3)
    cloud.set_size("q", 2)
    assert (len(ids(cloud)), len(ids(cloud, "q"))) == (3, 2)


def test_a_shrinking_zone_without_notice_kills_the_newest_spot_machines_at_once(cloud, declare, clock):
    declare(notice_s=0)
    declare("od", market="on_demand", notice_s=0)
    cloud.set_size("p", 2)
    cloud.set_size("od", 1)
    declare("q", notice_s=0)
    cloud.set_size("q", 1)
    oldest, newer = ids(cloud)
    (newest,) = ids(cloud, "q")
    entries = {i: cloud.registry.get(i) for i in (oldest, newer, newest)}
    clock.now += 60
    assert [(v.pool_id, v.size, len(v.machines)) for v in cloud.observe()] == [
        ("od", 1, 1),
        ("p", 1, 1),
        ("q", 0, 0),
    ]
    assert ids(cloud) == [oldest]
    assert [cloud.registry.alive(e) for e in entries.values()] == [True, False, False]
    assert len(list((cloud.home / "processes").glob("*.json"))) == 2


def notices(cloud, pool_id="p"):
    return {m.instance_id: m.preempt_at for m in view(cloud, pool_id).machines if m.preempt_at is not None}


def test_a_shrinking_zone_tells_the_newest_and_kills_when_the_notice_is_over(cloud, declare, clock):
    declare()
    cloud.set_size("p", 3)
    oldest, newer, newest = ids(cloud)
    entries = {i: cloud.registry.get(i) for i in (oldest, newer, newest)}
    clock.now += 60
    told = notices(cloud)
    assert set(told) == {newer, newest}
    assert all(at == pytest.approx(clock.now + 30, abs=1) for at in told.values())
    for instance_id, at in told.items():
        notice = json.loads((cloud.home / "machines" / instance_id / "notice.json").read_text())
        assert notice == {"schema": 1, "preempt_at": at}
    assert not (cloud.home / "machines" / oldest / "notice.json").exists()

    clock.now += 29
    assert notices(cloud) == told, "it is told once"
    assert (view(cloud).size, ids(cloud)) == (3, [oldest, newer, newest])
    assert all(cloud.registry.alive(e) for e in entries.values())

    clock.now += 2
    assert (view(cloud).size, ids(cloud)) == (1, [oldest])
    assert [cloud.registry.alive(entries[i]) for i in (oldest, newer, newest)] == [True, False, False]


def test_the_same_missing_capacity_costs_no_second_machine_and_no_notice_is_taken_back(cloud, declare, clock):
    declare()
    cloud.set_size("p", 3)
    newest = ids(cloud)[-1]
    cloud.set_capacity("local-east-a", 2)
    assert set(notices(cloud)) == {newest}
    clock.now += 10
    assert set(notices(cloud)) == {newest}
    cloud.reset_capacity()
    assert set(notices(cloud)) == {newest}
    clock.now += 21
    assert newest not in ids(cloud)
    assert len(ids(cloud)) == 2


def test_a_machine_under_notice_still_holds_its_place(cloud, declare):
    declare()
    cloud.set_size("p", 3)
    cloud.preempt(ids(cloud)[0])
    with pytest.raises(NoCapacity):
        cloud.set_size("p", 4)


def test_a_machine_that_was_told_and_is_ended_in_time_leaves_once(cloud, declare, clock):
    declare()
    cloud.set_size("p", 2)
    victim, other = ids(cloud)
    cloud.preempt(victim)
    cloud.terminate("p", victim)
    clock.now += 40
    assert (view(cloud).size, ids(cloud)) == (1, [other])


def test_a_told_machine_that_is_ended_gets_no_more_time_than_its_notice_leaves(cloud, declare):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    declare(argv=(sys.executable, "-I", "-S", "-c", deaf))
    cloud.set_size("p", 1)
    (victim,) = ids(cloud)
    wait_until((cloud.home / "machines" / victim / "log").read_text)
    cloud.preempt(victim, notice_s=0.2)
    began = time.monotonic()
    cloud.terminate("p", victim)
    assert ids(cloud) == []
    assert time.monotonic() - began < 5, "it was given its whole grace"


def test_a_notice_that_a_killed_program_did_not_write_is_written_by_the_next_observation(cloud, declare):
    declare()
    cloud.set_size("p", 1)
    (victim,) = ids(cloud)
    cloud.preempt(victim)
    notice = cloud.home / "machines" / victim / "notice.json"
    before = notice.read_text()
    notice.unlink()
    cloud.observe()
    assert notice.read_text() == before


def test_a_lost_pool_file_takes_no_notice_back(cloud, declare):
    declare()
    cloud.set_size("p", 1)
    cloud.preempt(ids(cloud)[0])
    told = notices(cloud)
    (cloud.home / "cloud" / "pools" / "p.json").write_text("{")
    declare()
    assert notices(cloud) == told


def test_only_spot_machines_that_run_can_be_preempted(cloud, declare):
    declare()
    declare("od", market="on_demand")
    cloud.set_size("od", 1)
    for unknown in (ids(cloud, "od")[0], "i-none"):
        with pytest.raises(MachineNotFound, match=unknown):
            cloud.preempt(unknown)


def test_preempting_a_zone_tells_its_spot_machines_and_leaves_its_capacity(cloud, declare, clock):
    declare()
    declare("od", market="on_demand")
    declare("west", zone="local-west-a", region="local-west")
    for pool_id in ("p", "od", "west"):
        cloud.set_size(pool_id, 1)
    told = cloud.preempt_zone("local-east-a", notice_s=7)
    assert [m.instance_id for m in told] == ids(cloud)
    assert told[0].preempt_at == pytest.approx(clock.now + 7, abs=1)
    assert cloud.preempt_zone("local-east-a", notice_s=1) == told, "who knows keeps its time"
    assert not notices(cloud, "od") | notices(cloud, "west")
    cloud.set_size("p", 2)
    assert len(ids(cloud)) == 2
    with pytest.raises(ZoneNotFound, match="local-east-a"):
        cloud.preempt_zone("local-east-z")
    for never in (1e300, float("nan"), -1):
        with pytest.raises(CloudError, match="a notice can't be"):
            cloud.preempt_zone("local-west-a", notice_s=never)
    assert not notices(cloud, "west")


def test_an_overridden_capacity_holds_against_the_trace_until_it_is_reset(cloud, declare, clock):
    declare(notice_s=0)
    cloud.set_capacity("local-east-a", 4)
    cloud.set_capacity("local-west-a", 0)
    cloud.set_size("p", 4)
    clock.now += 60
    assert len(ids(cloud)) == 4
    zones = {z.zone: (z.capacity, z.override, z.spot_machines, z.spot) for z in cloud.look().zones}
    assert zones == {"local-east-a": (4, 4, 4, 0.40), "local-west-a": (0, 0, 0, 0.22)}
    cloud.reset_capacity("local-west-a")
    assert [z.override for z in cloud.look().zones] == [4, None]
    cloud.reset_capacity()
    assert len(ids(cloud)) == 1
    for wrong in (lambda: cloud.set_capacity("local-no", 1), lambda: cloud.reset_capacity("local-no")):
        with pytest.raises(ZoneNotFound, match="local-no"):
            wrong()


def test_looking_lets_nothing_happen(cloud, declare, clock):
    declare(notice_s=0)
    cloud.set_size("p", 3)
    clock.now += 60
    seen = cloud.look()
    assert (seen.zones[0].capacity, seen.zones[0].spot_machines) == (1, 3)
    assert [len(p.machines) for p in seen.pools] == [3]
    assert seen.position_s == pytest.approx(60, abs=1)
    assert not any(m.preempt_at for p in seen.pools for m in p.machines)


def test_a_trace_runs_at_the_declared_speed_and_a_change_of_speed_does_not_move_it(cloud, declare, clock):
    declare()
    clock.now += 10
    declare(trace_speed=4)
    assert cloud.look().position_s == pytest.approx(10, abs=1)
    clock.now += 10
    assert cloud.look().position_s == pytest.approx(50, abs=1)
    declare(trace_speed=4, notice_s=1)
    assert cloud.look().position_s == pytest.approx(50, abs=1)
    clock.now += 3
    assert view(cloud).spot == 0.40
    declare(trace_speed=0.5, notice_s=1)
    clock.now += 4
    assert cloud.look().position_s == pytest.approx(64, abs=1)


def test_a_machine_whose_agent_died_is_gone_with_all_that_ran_on_it(cloud, declare):
    source = "import os, time; os.fork() or os.setsid(); time.sleep(600)"
    declare(argv=(sys.executable, "-I", "-S", "-c", source))
    cloud.set_size("p", 2)
    victim, other = ids(cloud)
    os.kill(cloud.registry.get(victim).pid, signal.SIGKILL)
    wait_until(lambda: ids(cloud) == [other])
    assert view(cloud).size == 1
    assert not cloud.registry.anything_runs(victim)


def test_terminate_ends_that_machine_lowers_the_size_once_and_may_be_repeated(cloud, declare):
    declare()
    cloud.set_size("p", 2)
    victim, other = ids(cloud)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cloud.terminate("p", victim), range(4)))
    assert ids(cloud) == [other]
    assert view(cloud).size == 1
    assert cloud.registry.get(victim) is None
    assert (cloud.home / "machines" / victim / "log").exists()
    assert not (cloud.home / "machines" / victim / "work").exists()


def test_a_machine_that_takes_its_time_to_end_shows_as_ending_and_is_out_of_the_size(cloud, declare):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    declare(argv=(sys.executable, "-I", "-S", "-c", deaf))
    cloud.set_size("p", 1)
    (victim,) = ids(cloud)
    wait_until((cloud.home / "machines" / victim / "log").read_text)
    thread = threading.Thread(target=cloud.terminate, args=("p", victim))
    thread.start()
    wait_until(lambda: view(cloud).size == 0)
    began = time.monotonic()
    (machine,) = view(cloud).machines
    assert machine.ending
    assert time.monotonic() - began < 1, "observing waited for the end"
    cloud.registry.sweep(grace_s=0)
    thread.join()
    assert ids(cloud) == []


def test_an_end_that_somebody_did_not_finish_is_finished(cloud, declare, clock, monkeypatch):
    declare()
    cloud.set_size("p", 1)
    (victim,) = ids(cloud)
    entry = cloud.registry.get(victim)
    with monkeypatch.context() as m:
        m.setattr(Registry, "end_all", killed)
        with pytest.raises(KeyboardInterrupt):
            cloud.terminate("p", victim)
    assert view(cloud).machines[0].ending
    clock.now += 16
    assert ids(cloud) == []
    assert not cloud.registry.alive(entry)


def test_a_launch_that_was_killed_half_way_is_found_again(cloud, declare, monkeypatch):
    declare()
    with monkeypatch.context() as m:
        m.setattr(Registry, "launch", killed)
        with pytest.raises(KeyboardInterrupt):
            cloud.set_size("p", 1)
    assert ids(cloud) == []
    assert view(cloud).size == 0

    real = Registry.launch

    def launch_and_be_killed(self, launch):
        real(self, launch)
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Registry, "launch", launch_and_be_killed)
        with pytest.raises(KeyboardInterrupt):
            cloud.set_size("p", 1)
    assert len(ids(cloud)) == 1
    cloud.set_size("p", 1)
    assert len(ids(cloud)) == 1


def test_a_launch_that_can_not_work_says_why_and_leaves_the_size(cloud, declare):
    declare(argv=("no-such-agent",))
    with pytest.raises(CloudError, match="no-such-agent can't be executed"):
        cloud.set_size("p", 1)
    assert (view(cloud).size, ids(cloud)) == (0, [])


def test_declaring_again_keeps_size_and_machines_and_changes_the_template(cloud, declare):
    declare()
    cloud.set_size("p", 1)
    before = ids(cloud)
    declare(max_size=2, env={"PATH": "/usr/bin", "A": "2"})
    assert ids(cloud) == before
    assert view(cloud).max_size == 2
    assert cloud.declared("p").env["A"] == "2"


def test_the_trace_goes_on_when_a_second_pool_comes_and_starts_anew_when_it_is_another(
    cloud, declare, clock, tmp_path
):
    declare()
    clock.now += 60
    declare("q")
    assert view(cloud).spot == 0.40
    other = tmp_path / "other.csv"
    other.write_text(TRACE)
    declare(trace=other)
    assert view(cloud).spot == 0.20
    assert cloud.weather().trace == other.resolve()


def test_an_edited_trace_counts_at_once_and_a_broken_one_is_said(cloud, declare, tmp_path):
    declare()
    cloud.observe()
    (tmp_path / "trace.csv").write_text("time_s,zone,capacity,spot_price\n0,local-east-a,1,0.123456\n")
    assert view(cloud).spot == 0.123456
    (tmp_path / "trace.csv").write_text("time_s,zone,capacity\n0,local-east-a,many\n")
    with pytest.raises(TraceError, match=r"trace\.csv:2: capacity"):
        cloud.observe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zone": "local-east-z"}, "no zone local-east-z"),
        ({"region": "local-west"}, "not in region local-west"),
        ({"market": "free"}, "market 'free'"),
        ({"max_size": -1}, "max_size"),
        ({"argv": ()}, "argv"),
        ({"pool_id": "../p"}, "can't be a pool's id"),
        ({"notice_s": -1}, "notice_s -1"),
        ({"notice_s": 1e300}, r"notice_s 1e\+300"),
        ({"trace_speed": 0}, "trace_speed 0"),
        ({"trace_speed": 1e308}, r"trace_speed 1e\+308"),
        ({"trace_speed": float("inf")}, "trace_speed inf"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declare, cloud, change, message):
    with pytest.raises(CloudError, match=message):
        declare(**change)
    assert cloud.pools() == []


def test_deleting_a_pool_ends_its_machines_and_is_idempotent(cloud, declare):
    declare()
    declare("q")
    cloud.set_size("p", 2)
    cloud.set_size("q", 1)
    cloud.delete_pool("p")
    cloud.delete_pool("p")
    assert [v.pool_id for v in cloud.observe()] == ["q"]
    assert [e.meta["pool_id"] for e in cloud.registry.entries()] == ["q"]
    for call in (lambda: cloud.set_size("p", 1), lambda: cloud.terminate("p", "i-1")):
        with pytest.raises(PoolNotFound, match="no pool p"):
            call()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 9}', '{"schema": 1, "declaration": {}}'])
def test_a_torn_pool_file_is_named_and_the_next_declaration_finds_the_machines(
    cloud, declare, content, caplog
):
    declare()
    cloud.set_size("p", 2)
    before = ids(cloud)
    file = cloud.home / "cloud" / "pools" / "p.json"
    file.write_text(content)
    assert cloud.observe() == []
    assert str(file) in caplog.text
    declare()
    assert sorted(ids(cloud)) == sorted(before)
    assert view(cloud).size == 2


def test_a_lost_cloud_file_is_an_error_until_the_next_declaration(cloud, declare):
    declare()
    (cloud.home / "cloud" / "cloud.json").write_text("{}")
    with pytest.raises(CloudError, match=r"cloud\.json is missing or unusable"):
        cloud.observe()
    declare()
    assert view(cloud).spot == 0.20


def test_several_programs_that_size_the_same_pool_launch_no_machine_twice(cloud, declare):
    declare(market="on_demand")
    clouds = [LocalCloud(cloud.home) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda c: c.set_size("p", 3), clouds))
    assert len(ids(cloud)) == 3
    assert len(cloud.registry.entries()) == 3


def test_several_programs_that_look_and_preempt_at_once_tell_each_machine_one_moment(cloud, declare):
    declare(notice_s=60)
    cloud.set_size("p", 3)
    clouds = [LocalCloud(cloud.home) for _ in range(6)]

    def trouble(i):
        clouds[i].preempt_zone("local-east-a", notice_s=100 + i)
        return [(m.instance_id, m.preempt_at) for v in clouds[i].observe() for m in v.machines]

    with ThreadPoolExecutor(6) as pool:
        told = {pair for pairs in pool.map(trouble, range(6)) for pair in pairs}
    assert len(told) == len({instance_id for instance_id, _ in told}) == 3


def test_ports_are_not_used_again_soon(cloud, declare):
    declare()
    ports = []
    for _ in range(3):
        cloud.set_size("p", 1)
        (machine,) = view(cloud).machines
        ports.append(machine.port)
        cloud.terminate("p", machine.instance_id)
    assert len(set(ports)) == 3


def test_observing_hundreds_of_machines_is_cheap(cloud, declare):
    """300 machines in 30 pools, all played by this very process."""
    me = proctable.read(os.getpid())
    for i in range(30):
        declare(f"p{i}", market="on_demand", max_size=10)
        file = cloud.home / "cloud" / "pools" / f"p{i}.json"
        machine = {"port": 1, "agent_port": 2, "launched_at": 0.0, "pid": me.pid, "start_time": me.start_time}
        machines = {f"i-{i}-{n}": {**machine, "ending_since": None} for n in range(10)}
        file.write_text(json.dumps(json.loads(file.read_text()) | {"size": 10, "machines": machines}))
    cloud.observe()
    began = time.perf_counter()
    views = cloud.observe()
    took = time.perf_counter() - began
    assert sum(len(v.machines) for v in views) == 300
    assert took < 0.25  # a tick is a second; about 15 ms on an idle machine


def killed(*_, **__):
    raise KeyboardInterrupt


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
