"""What the components declare, recorded as plain values: the whole dev environment, without an engine."""

import json
from pathlib import Path

import pulumi
import pytest

from catalog.load import load
from components.local.code import code_hash
from components.local.environment import Environment, EnvironmentArgs
from components.local.resources import Host
from planner.constraints import Constraints
from planner.planner import plan
from spec.desired import parse
from spec.keys import hashed
from spec.read import read_services
from spec.snapshot import Keys
from spec.stack import load_stack
from tests.loop import set_loop

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-tw-a-caller's-key"


class Recorder(pulumi.runtime.Mocks):
    def __init__(self):
        self.resources = {}

    def new_resource(self, args):
        self.resources[args.typ, args.name] = dict(args.inputs)
        return args.name, {**args.inputs, "pid": 1, "startTime": "1"}

    def call(self, args):
        return {}

    def of(self, type_):
        return {name: inputs for (typ, name), inputs in self.resources.items() if typ == type_}


def environment(host, *, services=("services/chat.yaml",)):
    config = load_stack(ROOT, "dev")
    specs = read_services([ROOT / s for s in services])
    planned = plan(specs, load(), Constraints.of(config), env="dev")
    keys = Keys(keys=(hashed(KEY, key_id="default"),))
    return Environment(
        "tradewind", EnvironmentArgs(host=host, config=config, specs=specs, plan=planned, keys=keys)
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    recorder = Recorder()
    set_loop()
    pulumi.runtime.set_mocks(recorder, project="tradewind", stack="dev")
    recorder.home = tmp_path_factory.mktemp("home")

    @pulumi.runtime.test
    def declare():
        recorder.environment = environment(Host(root=ROOT, home=recorder.home))

    declare()
    return recorder


def test_one_pool_per_zone_and_no_pool_carries_a_size(recorded):
    pools = recorded.of("tradewind:local:Pool")
    assert sorted(p["zone"] for p in pools.values()) == ["local-east-a", "local-east-b", "local-west-a"]
    for name, pool in pools.items():
        assert pool["poolId"] == name
        assert pool["market"] == "spot"
        assert not {"size", "desiredCapacity", "count"} & pool.keys()


def test_the_desired_state_is_what_the_controller_reads(recorded):
    [file] = [
        f for f in recorded.of("tradewind:local:File").values() if f["path"].endswith("desired/dev.json")
    ]
    desired = parse(file["content"].encode())
    assert [s.name for s in desired.services] == ["chat"]
    assert {p.id for p in desired.pools} == recorded.of("tradewind:local:Pool").keys()
    assert desired.budget.worst_usd_hour == 5
    assert desired.edges[0].endpoint == "http://127.0.0.1:18080"
    assert len(desired.generation) == 16


def test_the_bundle_that_the_desired_state_names_is_written_beside_it(recorded):
    files = recorded.of("tradewind:local:File").values()
    [desired] = [json.loads(f["content"]) for f in files if f["path"].endswith("desired/dev.json")]
    named = desired["services"][0]["bundle"]["sha256"]
    assert any(f["path"].endswith(f"bundles/{named}.tar.gz") for f in files)


def test_controller_agent_and_envoy_are_three_processes_on_loopback(recorded):
    processes = recorded.of("tradewind:local:Process")
    assert {p["kind"] for p in processes.values()} == {"controller", "edge-agent", "envoy"}
    for process in processes.values():
        assert process["readyUrl"].startswith("http://127.0.0.1:")
        assert all(address.startswith("127.0.0.1:") for address in process["listens"])


def test_no_key_and_no_token_passes_through_the_stack(recorded):
    everything = json.dumps(list(recorded.resources.values()), default=str)
    assert KEY not in everything
    for process in recorded.of("tradewind:local:Process").values():
        assert set(process["env"]) == {"PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "LANG"}


def test_envoy_restarts_for_its_bootstrap_only(recorded):
    processes = {p["kind"]: p for p in recorded.of("tradewind:local:Process").values()}
    assert processes["controller"]["codeHash"] != processes["envoy"]["codeHash"]
    [bootstrap] = [f for f in recorded.of("tradewind:local:File").values() if "bootstrap" in f["path"]]
    assert "chat" not in bootstrap["content"]


def test_outputs_have_their_documented_names(recorded):
    assert set(recorded.environment.outputs) == {"endpoint", "edges", "pools", "state_url"}


def test_the_code_hash_follows_code_and_settings_and_nothing_else(tmp_path):
    for name in ("requirements.txt", "spec/a.py", "lb/b.py", "lb/c.lua", "lb/note.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = code_hash(tmp_path, "settings")
    assert code_hash(tmp_path, "settings") == first
    assert code_hash(tmp_path, "other settings") != first
    (tmp_path / "lb/note.md").write_text("edited")
    assert code_hash(tmp_path, "settings") == first
    for name in ("requirements.txt", "spec/a.py", "lb/c.lua"):
        (tmp_path / name).write_text("edited")
        assert code_hash(tmp_path, "settings") != first
        (tmp_path / name).write_text(name)
