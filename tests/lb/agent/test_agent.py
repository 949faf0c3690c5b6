"""The agent's decisions, with an engine that the test ends and a clock that the test moves."""

import pytest

from lb.agent import agent as agent_module
from lb.agent.agent import Agent
from lb.agent.bundle import BundleStore
from lb.agent.containers.refuse import refuse_image
from lb.agent.secrets import FolderSecrets
from lb.agent.status import Phase, StatusBoard
from lb.agent.steps import Step
from tests.lb.agent.machine import archive


class Engine:
    def __init__(self, script, env):
        self.script, self.env = script, env
        self.code = None
        self.stopped = False

    def poll(self):
        return self.code

    def stop(self):
        self.stopped = True
        self.code = 143


class Machine:
    def __init__(self, node, bucket):
        self.node, self.bucket = node, bucket
        self.engines: list[Engine] = []
        self.phases = []
        self.clock = 1000.0
        self.board = StatusBoard(
            now=lambda: self.clock, on_change=lambda s: self.phases.append(s.phase.value)
        )
        self.agent = self.boot()

    def boot(self, **node):
        return Agent(
            type(self.node)(**{**vars(self.node), **node}),
            bucket=self.bucket.door,
            store=BundleStore(self.node.work_dir / "bundles", self.bucket.door, check=lambda: None),
            secrets=FolderSecrets(node.get("secrets_dir", self.node.secrets_dir)),
            board=self.board,
            launch=self.launch,
            prepare=refuse_image,
            base_env={"PATH": "/bin"},
            clock=lambda: self.clock,
        )

    def launch(self, script, *, bundle, env):
        assert bundle.workdir.is_dir()
        self.engines.append(Engine(script, env))
        return self.engines[-1]

    def run(self, **manifest):
        sha256 = self.bucket.put(archive(**manifest))
        self.bucket.assign(sha256)
        self.agent.step()
        return sha256

    @property
    def told(self):
        return self.board.as_json(instance_id="i", pool_id="p")


@pytest.fixture
def machine(node, bucket):
    return Machine(node, bucket)


def test_without_an_assignment_it_waits_and_says_why(machine):
    machine.agent.step()

    assert machine.told["phase"] == "waiting"
    assert "not there" in machine.told["message"]
    assert machine.told["bundle"] is None


def test_the_assigned_bundle_runs_with_the_variables_of_its_kind(machine):
    sha256 = machine.run(run="serve", envs={"MODEL": "m", "TRADEWIND_PORT": "1"})

    assert machine.told["phase"] == "running"
    assert machine.told["bundle"] == sha256
    assert machine.phases == ["fetching", "running"]
    (engine,) = machine.engines
    assert engine.script == "serve"
    assert engine.env == {
        "PATH": "/bin",
        "MODEL": "m",
        "TRADEWIND_PORT": "18100",
        "SKYPILOT_NUM_GPUS_PER_NODE": "1",
        "SKYPILOT_NODE_RANK": "0",
        "SKYPILOT_NODE_IPS": "127.0.0.1",
        "SKYPILOT_NUM_NODES": "1",
        "SKYPILOT_TASK_ID": f"i-0123456789-{sha256[:12]}",
    }


def test_the_machine_knows_its_accelerators_better_than_the_bundle(machine):
    machine.run(num_gpus=4)
    machine.agent = machine.boot(accelerator_count=8)
    machine.run(num_gpus=4)

    assert [e.env["SKYPILOT_NUM_GPUS_PER_NODE"] for e in machine.engines] == ["4", "8"]


PAIR = {"nodes": ["i-9999999999", "i-0123456789"], "ips": ["10.0.0.9", "127.0.0.1"]}


def test_one_of_several_machines_starts_nothing_before_it_knows_the_others(machine):
    sha256 = machine.run(setup="install", num_nodes=2)

    assert (machine.told["phase"], machine.told["bundle"]) == ("waiting", sha256)
    assert "2 machines" in machine.told["message"]
    assert not machine.engines
    assert (machine.node.work_dir / "bundles" / sha256).is_dir()

    machine.bucket.assign(sha256, gangs=[PAIR])
    machine.agent.step()
    machine.engines[0].code = 0
    machine.agent.watch()
    assert [e.script for e in machine.engines] == ["install", "sleep 60"]
    for engine in machine.engines:
        assert engine.env["SKYPILOT_NODE_RANK"] == "1"
        assert engine.env["SKYPILOT_NODE_IPS"] == "10.0.0.9\n127.0.0.1"
        assert engine.env["SKYPILOT_NUM_NODES"] == "2"
        assert engine.env["SKYPILOT_TASK_ID"] == f"i-9999999999-{sha256[:12]}"


def test_another_gang_starts_the_engine_anew_and_the_same_one_does_not(machine):
    sha256 = machine.bucket.put(archive(num_nodes=2))
    machine.bucket.assign(sha256, gangs=[PAIR])
    machine.agent.step()
    machine.bucket.assign(sha256, gangs=[{"nodes": ["i-5", "i-6"], "ips": ["a", "b"]}, PAIR])
    machine.agent.step()
    assert len(machine.engines) == 1

    machine.bucket.assign(sha256, gangs=[PAIR | {"ips": ["10.0.0.7", "127.0.0.1"]}])
    machine.agent.step()
    assert machine.engines[0].stopped
    assert machine.engines[1].env["SKYPILOT_NODE_IPS"] == "10.0.0.7\n127.0.0.1"

    machine.bucket.assign(sha256)
    machine.agent.step()
    assert machine.engines[1].stopped
    assert machine.told["phase"] == "waiting"


def test_a_gang_of_another_size_than_the_bundle_wants_is_not_enough(machine):
    sha256 = machine.bucket.put(archive(num_nodes=3))
    machine.bucket.assign(sha256, gangs=[PAIR])
    machine.agent.step()

    assert machine.told["phase"] == "waiting"


def test_a_bundle_for_one_machine_does_not_care_for_gangs(machine):
    sha256 = machine.run()
    machine.bucket.assign(sha256, gangs=[PAIR])
    machine.agent.step()

    assert len(machine.engines) == 1
    assert machine.engines[0].env["SKYPILOT_NUM_NODES"] == "1"


def test_setup_runs_once_before_run(machine):
    machine.run(setup="install", run="serve")
    assert machine.told["phase"] == "setup"
    machine.engines[0].code = 0
    machine.agent.watch()
    assert machine.told["phase"] == "running"
    assert [e.script for e in machine.engines] == ["install", "serve"]

    machine.agent = machine.boot()
    machine.agent.step()
    assert [e.script for e in machine.engines] == ["install", "serve", "serve"]


def test_a_failed_setup_runs_nothing_and_is_tried_again_only_for_another_bundle(machine):
    machine.run(setup="install")
    machine.engines[0].code = 7
    machine.agent.step()
    machine.agent.step()

    assert (machine.told["phase"], machine.told["exit_code"]) == ("failed", 7)
    assert "setup has ended with exit code 7" in machine.told["message"]
    assert len(machine.engines) == 1


def test_an_engine_that_ends_is_failed_and_stays_so(machine):
    sha256 = machine.run()
    machine.engines[0].code = 0
    machine.clock += 10
    machine.agent.step()
    machine.agent.step()

    assert (machine.told["phase"], machine.told["exit_code"], machine.told["bundle"]) == ("failed", 0, sha256)
    assert machine.told["since"] == 1010.0
    assert "engine.log" in machine.told["message"]
    assert len(machine.engines) == 1


def test_another_bundle_is_fetched_first_and_then_replaces_the_engine(machine):
    machine.run(run="old")
    new = machine.run(run="new")

    assert [e.script for e in machine.engines] == ["old", "new"]
    assert [e.stopped for e in machine.engines] == [True, False]
    assert machine.phases == ["fetching", "running", "stopping", "running"]
    assert machine.told["bundle"] == new


def test_a_broken_bundle_is_failed_while_the_old_engine_serves_and_taking_it_back_restarts_nothing(machine):
    good = machine.run(run="old")
    broken = machine.bucket.put(archive(run="new"), name="f" * 64)
    machine.bucket.assign(broken)
    machine.agent.step()
    assert (machine.told["phase"], machine.told["bundle"]) == ("failed", broken)
    assert "another content" in machine.told["message"]
    assert not machine.engines[0].stopped

    machine.bucket.assign(good)
    machine.agent.step()
    assert (machine.told["phase"], machine.told["bundle"]) == ("running", good)
    assert len(machine.engines) == 1


@pytest.mark.parametrize("text", ["{", '{"schema": 2}', '{"schema": 1, "pool_id": "other"}'])
def test_an_assignment_that_is_not_understood_changes_nothing_and_is_told(machine, text):
    machine.run()
    machine.bucket.write(text)
    machine.agent.step()

    assert machine.told["phase"] == "running"
    assert "what runs goes on" in machine.told["message"]
    assert not machine.engines[0].stopped

    machine.run()
    assert machine.told["message"] == ""


def test_a_missing_bundle_is_tried_again_with_growing_pauses(machine):
    data = archive(run="late")
    sha256 = machine.bucket.put(data)
    path = machine.bucket.root / f"bundles/{sha256}.tar.gz"
    path.unlink()
    machine.bucket.assign(sha256)
    machine.agent.step()
    assert machine.told["phase"] == "fetching"
    assert "not there; trying again in 1 s" in machine.told["message"]
    machine.clock += 1
    machine.agent.step()
    assert "trying again in 2 s" in machine.told["message"]

    path.write_bytes(data)
    machine.clock += 1
    machine.agent.step()
    assert machine.told["phase"] == "fetching"
    machine.clock += 1
    machine.agent.step()
    assert (machine.told["phase"], machine.told["message"]) == ("running", "")


def test_an_image_is_refused_with_the_way_out(machine):
    machine.run(image="docker:vllm/vllm-openai")

    assert machine.told["phase"] == "failed"
    assert "docker run" in machine.told["message"]
    assert machine.engines == []


def test_secrets_are_read_from_files_and_a_missing_one_is_named(machine, tmp_path):
    machine.run(secrets=["HF_TOKEN"])
    assert (machine.told["phase"], machine.engines) == ("failed", [])
    assert "HF_TOKEN" in machine.told["message"]

    (tmp_path / "HF_TOKEN").write_text("hf_123\n")
    machine.agent = machine.boot(secrets_dir=tmp_path)
    machine.run(secrets=["HF_TOKEN"])
    assert machine.engines[0].env["HF_TOKEN"] == "hf_123"

    machine.run(secrets=["../HF_TOKEN"])
    assert "not the name of a secret" in machine.told["message"]


def test_what_cannot_be_started_is_failed(machine, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(machine.agent, "_launch", refuse)
    machine.run()
    assert machine.told["phase"] == "failed"
    assert "No such file" in machine.told["message"]


def test_the_last_two_bundles_stay_on_the_disk(machine):
    machine.run(run="1")
    second, third = machine.run(run="2"), machine.run(run="3")

    kept = {p.name for p in (machine.node.work_dir / "bundles").iterdir()}
    assert kept == {second, third}


def test_shutting_down_ends_the_engine(machine):
    machine.run()
    machine.agent.shut_down()

    assert machine.engines[0].stopped
    assert machine.told["phase"] == "stopping"


def test_the_agent_leaves_itself_time_beside_the_grace_of_the_engine():
    from lb.agent import engine

    assert agent_module.AGENT_MARGIN_S > engine._GUARD_MARGIN_S


def test_going_back_to_the_bundle_before_fetches_nothing_and_sets_nothing_up_again(machine):
    good = machine.run(setup="pip install x", run="serve 1")
    machine.engines[-1].code = 0
    machine.agent.step()
    machine.run(run="serve 2")
    machine.engines[-1].code = 1
    machine.agent.step()
    assert machine.told["phase"] == "failed"
    (machine.bucket.root / f"bundles/{good}.tar.gz").unlink()

    machine.bucket.assign(good)
    machine.agent.step()

    assert (machine.told["phase"], machine.told["bundle"]) == ("running", good)
    assert machine.engines[-1].script == "serve 1"


class Beside:
    """A program that stays beside the engine."""

    def __init__(self, machine):
        self.engine, self.told, self.is_ready = Engine("beside", {}), "", False
        step = Step(
            phase=Phase.MOUNTING,
            what="mounting",
            start=lambda: self.engine,
            ready=lambda: self.is_ready,
            progress=lambda: self.told,
        )
        machine.agent = Agent(
            machine.node,
            bucket=machine.bucket.door,
            store=BundleStore(machine.node.work_dir / "bundles", machine.bucket.door, check=lambda: None),
            secrets=FolderSecrets(None),
            board=machine.board,
            launch=machine.launch,
            base_env={},
            prepare=lambda _bundle: [step],
        )


def test_the_engine_waits_for_what_stays_beside_it_and_ends_with_it(machine):
    beside = Beside(machine)
    machine.run(run="serve")
    beside.told = "half of it"
    machine.agent.step()
    assert (machine.board.status.phase, machine.board.status.message) == (Phase.MOUNTING, "half of it")
    assert machine.engines == []
    beside.is_ready, beside.told = True, ""
    machine.agent.step()
    assert machine.board.status.phase is Phase.RUNNING
    beside.engine.code = 137
    machine.agent.watch()
    assert machine.engines[0].stopped
    assert machine.board.status.phase is Phase.FAILED
    assert machine.board.status.message.startswith("mounting has ended with exit code 137; its output is in")


def test_a_step_that_fails_says_what_it_said_last(machine):
    beside = Beside(machine)
    machine.run(run="serve")
    beside.engine.code, beside.told = 1, "s3://weights: nothing is there"
    machine.agent.watch()
    assert (
        "mounting has ended with exit code 1: s3://weights: nothing is there; its"
        in machine.board.status.message
    )


def test_what_stays_beside_an_engine_ends_after_it(machine):
    beside = Beside(machine)
    beside.is_ready = True
    machine.run(run="serve")
    machine.agent.watch()
    beside.engine.stop = lambda: machine.phases.append(f"engine stopped: {machine.engines[0].stopped}")
    machine.agent.shut_down()
    assert machine.phases[-1] == "engine stopped: True"
