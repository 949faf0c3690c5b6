"""`tw local`: what it shows and changes of a local cloud, and what it says when it can't."""

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import local as command
from cli import options
from cli.context import Context
from local import proctable
from local.cloud import LocalCloud
from spec.errors import InputError, OutsideError

ROOT = Path(__file__).resolve().parents[2]
TRACE = """time_s,zone,capacity,spot_price,ondemand_price
0,local-east-a,8,0.20,0.70
0,local-west-a,2,0.22,
"""
SPOT, ON_DEMAND = "chat.local.local-east-a.L4x1.spot", "chat.local.local-east-a.L4x1.on_demand"


@pytest.fixture
def context(tmp_path, monkeypatch):
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    return Context(stack="dev", root=tmp_path)


@pytest.fixture
def cloud(context):
    """Two spot machines and one on demand, all played by this very process."""
    cloud = LocalCloud(context.home)
    trace = context.root / "trace.csv"
    trace.write_text(TRACE)
    me = proctable.read(os.getpid())
    for pool_id, market, names in ((SPOT, "spot", ("i-1", "i-2")), (ON_DEMAND, "on_demand", ("i-3",))):
        cloud.declare_pool(
            pool_id,
            region="local-east",
            zone="local-east-a",
            market=market,
            max_size=4,
            argv=["agent"],
            env={},
            bucket="file:///state",
            trace=trace,
        )
        file = context.home / "cloud" / "pools" / f"{pool_id}.json"
        machine = {"port": 1, "agent_port": 2, "pid": me.pid, "start_time": me.start_time}
        machines = {name: {**machine, "launched_at": float(n)} for n, name in enumerate(names)}
        file.write_text(json.dumps(json.loads(file.read_text()) | {"size": len(names), "machines": machines}))
    return cloud


def run(*args):
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, ["local", *args], env={"COLUMNS": "120"})


def said(*args):
    done = run(*args)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*args):
    return run(*args).exception


def told(cloud):
    return {m.instance_id for p in cloud.look().pools for m in p.machines if m.preempt_at is not None}


def test_show_tells_zones_machines_and_notices(cloud):
    cloud.preempt("i-2", notice_s=100)
    cloud.set_capacity("local-west-a", 1)
    text = said("show")
    assert "trace trace.csv at 0:00:0" in text
    assert "30 s notice" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["local-east-a", "8", "2", "0.20", "0.70"] in lines
    assert ["local-west-a", "1", "0", "0.22", "?", "set", "by", "hand"] in lines
    assert ["local:local-east:i-1", "local-east-a", "spot"] in lines
    assert "local:local-east:i-2  local-east-a  spot       will be killed in" in text


def test_show_as_json_is_whole(cloud):
    cloud.preempt("i-2", notice_s=100)
    found = json.loads(said("show", "--json"))
    assert found["trace"]["file"].endswith("trace.csv")
    assert (found["trace"]["speed"], found["notice_s"]) == (1, 30)
    assert found["zones"][0] == {
        "zone": "local-east-a",
        "capacity": 8,
        "override": None,
        "spot_machines": 2,
        "spot": 0.20,
        "on_demand": 0.70,
    }
    machines = {m["replica"]: m for m in found["machines"]}
    assert machines["local:local-east:i-3"]["market"] == "on_demand"
    assert machines["local:local-east:i-1"]["preempt_at"] is None
    assert machines["local:local-east:i-2"]["preempt_at"] > 1_700_000_000


@pytest.mark.parametrize("wanted", ["local:local-east:i-1", "i-1"])
def test_a_replica_is_preempted_by_its_id_or_the_end_of_it(cloud, wanted):
    assert "local:local-east:i-1 in local-east-a: will be killed in 7 s" in said(
        "preempt", "--replica", wanted, "--notice", "7"
    )
    assert told(cloud) == {"i-1"}
    assert "was told before; will be killed in 7 s" in said("preempt", "--replica", wanted, "--notice", "90")


def test_a_zone_is_preempted_without_its_machines_on_demand(cloud):
    found = json.loads(said("preempt", "--zone", "local-east-a", "--json"))
    assert [m["instance_id"] for m in found["machines"]] == ["i-1", "i-2"]
    assert told(cloud) == {"i-1", "i-2"}
    assert cloud.look().zones[0].capacity == 8
    assert said("preempt", "--zone", "local-west-a") == "zone local-west-a runs no spot machine\n"


def test_a_capacity_is_set_and_reset(cloud):
    assert "set by hand" in said("capacity", "--zone", "local-east-a", "1")
    assert cloud.look().zones[0].override == 1
    found = json.loads(said("capacity", "--zone", "local-west-a", "0", "--json"))
    assert [z["override"] for z in found["zones"]] == [1, 0]
    said("capacity", "--reset", "--zone", "local-east-a")
    assert [z.override for z in cloud.look().zones] == [None, 0]
    said("capacity", "--reset")
    assert [z.override for z in cloud.look().zones] == [None, None]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("preempt",), "either --replica ID or --zone ZONE"),
        (("preempt", "--replica", "i-1", "--zone", "local-east-a"), "either --replica ID or --zone ZONE"),
        (("preempt", "--replica", "local:local-eats:i-2"), "Did you mean `local:local-east:i-2`?"),
        (("preempt", "--replica", ""), "--replica: is empty"),
        (("preempt", "--replica", "x"), "Spot machines: local:local-east:i-1, local:local-east:i-2."),
        (("preempt", "--replica", "local:local-east:i-3"), "on demand; only spot machines"),
        (("preempt", "--zone", "local-east-b"), "Did you mean `local-east-a`?"),
        (("preempt", "--zone", "mars"), "There are: local-east-a, local-west-a."),
        (("capacity",), "--zone ZONE N"),
        (("capacity", "3"), "--zone ZONE N"),
        (("capacity", "3", "--zone", "local-east-a", "--reset"), "--zone ZONE N"),
        (("capacity", "3", "--zone", "local-east-b"), "Did you mean `local-east-a`?"),
        (("capacity", "--reset", "--zone", "local-east-b"), "Did you mean `local-east-a`?"),
    ],
)
def test_what_can_not_be_is_said_with_the_way_out(cloud, args, message):
    before = cloud.look().zones
    error = refused(*args)
    assert isinstance(error, InputError)
    assert message in str(error)
    assert cloud.look().zones == before
    assert not told(cloud)


@pytest.mark.parametrize("notice", ["-1", "nan", "inf", "1e300", "soon"])
def test_a_notice_that_no_clock_can_show_is_wrong_usage(cloud, notice):
    done = run("preempt", "--replica", "i-1", "--notice", notice)
    assert (done.exit_code, "--notice" in done.stderr) == (2, True)
    assert not told(cloud)


def test_the_end_of_an_id_that_several_replicas_have_is_not_enough(cloud, context):
    file = context.home / "cloud" / "pools" / f"{SPOT}.json"
    known = json.loads(file.read_text())
    known["machines"]["x-i-1"] = known["machines"]["i-1"]
    file.write_text(json.dumps(known))
    error = refused("preempt", "--replica", "i-1")
    assert "which of local:local-east:i-1, local:local-east:x-i-1?" in str(error)
    assert not told(cloud)


@pytest.mark.parametrize("args", [("show",), ("preempt", "--zone", "z"), ("capacity", "--reset")])
def test_a_stack_that_is_not_up_or_not_local_has_no_local_cloud(context, args):
    assert "is not up" in str(refused(*args))
    context.home.mkdir(parents=True)
    assert "no local cloud yet; `make up STACK=dev`" in str(refused(*args))
    (context.root / "Pulumi.far.yaml").write_text("config:\n  tradewind:clouds: [aws]\n")
    (context.root / ".tradewind" / "far").mkdir()
    assert "runs in aws, not in the local cloud" in str(refused(*args, "--stack", "far"))


def test_a_trace_that_broke_is_said_by_line(cloud, context):
    (context.root / "trace.csv").write_text("time_s,zone,capacity\n0,local-east-a,many\n")
    error = refused("show")
    assert isinstance(error, OutsideError)
    assert "trace.csv:2: capacity" in str(error)
