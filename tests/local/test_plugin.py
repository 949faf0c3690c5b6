"""The plugin as the engine meets it: a program of its own, spoken to in Pulumi's protocol."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from local import proctable
from local.cloud import LocalCloud
from tests.ports import free_port

pytestmark = pytest.mark.e2e

PLUGIN = Path(__file__).parents[2] / "local" / "plugin" / "pulumi-resource-tradewind"

SERVER = """
import http.server, sys, time
time.sleep(float(sys.argv[2]))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


class Engine:
    """As much of Pulumi's engine as one resource needs: it remembers the state between the calls."""

    def __init__(self, stub, kind):
        self.stub, self.kind, self.id, self.inputs, self.outputs = stub, kind, "", {}, {}
        self.urn = f"urn:pulumi:dev::tradewind::tradewind:edge:Edge$tradewind:local:{kind}::x"

    def check(self, **news):
        answer = self.stub.Check(proto.CheckRequest(urn=self.urn, news=struct(news)))
        return plain(answer.inputs), {f.property: f.reason for f in answer.failures}

    def diff(self, **news):
        inputs, failures = self.check(**news)
        assert failures == {}
        return self.stub.Diff(
            proto.DiffRequest(
                id=self.id,
                urn=self.urn,
                olds=struct(self.outputs),
                old_inputs=struct(self.inputs),
                news=struct(inputs),
            )
        )

    def create(self, *, preview=False, **news):
        inputs, failures = self.check(**news)
        assert failures == {}
        request = proto.CreateRequest(urn=self.urn, properties=struct(inputs), preview=preview)
        answer = self.stub.Create(request)
        self.id, self.inputs, self.outputs = answer.id, inputs, plain(answer.properties)
        return self.outputs

    def update(self, *, preview=False, **news):
        inputs, failures = self.check(**news)
        assert failures == {}
        request = proto.UpdateRequest(
            id=self.id, urn=self.urn, olds=struct(self.outputs), news=struct(inputs), preview=preview
        )
        self.inputs, self.outputs = inputs, plain(self.stub.Update(request).properties)
        return self.outputs

    def read(self):
        request = proto.ReadRequest(
            id=self.id, urn=self.urn, properties=struct(self.outputs), inputs=struct(self.inputs)
        )
        return self.stub.Read(request)

    def delete(self):
        self.stub.Delete(proto.DeleteRequest(id=self.id, urn=self.urn, properties=struct(self.outputs)))


def struct(values):
    s = Struct()
    s.update(values)
    return s


def plain(s):
    return MessageToDict(s)


def kinds(diff):
    return {path: proto.PropertyDiff.Kind.Name(d.kind) for path, d in diff.detailedDiff.items()}


@contextmanager
def plugin():
    with subprocess.Popen([PLUGIN, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel), process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def stub():
    with plugin() as (stub, _):
        yield stub


@pytest.fixture
def process(stub):
    return Engine(stub, "Process")


@pytest.fixture
def program(registry):
    """Inputs of a small HTTP server that needs `after` seconds to answer."""

    def make(*, port=None, after=0.0, **changes):
        port = port or free_port()
        return {
            "home": str(registry.home),
            "name": "controller",
            "kind": "controller",
            "argv": [sys.executable, "-I", "-S", "-c", SERVER, str(port), str(after)],
            "env": {"A": "1"},
            "cwd": "/",
            "log": str(registry.home / "logs" / "controller.log"),
            "codeHash": "one",
            "readyUrl": f"http://127.0.0.1:{port}/health",
            "readyTimeoutS": 20,
            "graceS": 0,
        } | changes

    return make


def alive(outputs):
    return proctable.read(int(outputs["pid"])) is not None and not proctable.read(int(outputs["pid"])).dead


def test_it_says_who_it_is_and_what_it_serves(stub):
    assert re.fullmatch(r"\d+\.\d+\.\d+", stub.GetPluginInfo(Empty()).version)
    schema = json.loads(stub.GetSchema(proto.GetSchemaRequest()).schema)
    assert schema["resources"]["tradewind:local:Process"]["inputProperties"]["argv"]["type"] == "array"
    configured = stub.Configure(proto.ConfigureRequest())
    assert configured.supportsPreview
    assert not configured.acceptSecrets
    assert stub.Invoke(proto.InvokeRequest(tok="x:y:z")).failures


def test_a_process_is_created_ready_read_and_deleted(process, program):
    inputs = program()
    outputs = process.create(**inputs)
    assert process.id == "controller"
    assert outputs["startTime"]
    assert alive(outputs)
    assert process.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE
    assert plain(process.read().properties) == outputs
    process.delete()
    assert not alive(outputs)
    assert process.read().id == ""
    process.delete()


def test_a_preview_starts_nothing_and_leaves_the_pid_unknown(process, program, registry):
    outputs = process.create(preview=True, **program(codeHash=UNKNOWN, env=UNKNOWN, argv=["a", UNKNOWN]))
    assert outputs["pid"] == UNKNOWN
    assert outputs["codeHash"] == UNKNOWN
    assert registry.entries() == []


def test_a_diff_names_exactly_the_inputs_that_changed(process, program):
    inputs = program()
    process.create(**inputs)
    argv = [*inputs["argv"][:-1], "0.1"]
    diff = process.diff(**inputs | {"codeHash": "two", "env": {"A": "2", "B": "3"}, "argv": argv})
    assert kinds(diff) == {'env["A"]': "UPDATE", 'env["B"]': "ADD", "codeHash": "UPDATE", "argv[6]": "UPDATE"}
    assert list(diff.diffs) == ["argv", "codeHash", "env"]
    assert list(diff.replaces) == []
    assert all(d.inputDiff for d in diff.detailedDiff.values())


def test_another_name_is_a_replacement_that_ends_the_old_process_first(process, program):
    inputs = program()
    process.create(**inputs)
    diff = process.diff(**inputs | {"name": "other"})
    assert kinds(diff) == {"name": "UPDATE_REPLACE"}
    assert list(diff.replaces) == ["name"]
    assert diff.deleteBeforeReplace


def test_a_changed_code_hash_restarts_the_process(process, program):
    inputs = program()
    before = process.create(**inputs)
    after = process.update(**inputs | {"codeHash": "two"})
    assert not alive(before)
    assert alive(after)


def test_only_a_longer_patience_restarts_nothing(process, program):
    inputs = program()
    before = process.create(**inputs)
    assert process.update(**inputs | {"readyTimeoutS": 30})["pid"] == before["pid"]


def test_a_dead_process_shows_as_a_change_of_pid_and_an_update_repairs_it(process, program):
    inputs = program()
    before = process.create(**inputs)
    os.kill(int(before["pid"]), signal.SIGKILL)
    wait_until(lambda: not alive(before))
    diff = process.diff(**inputs)
    assert kinds(diff) == {"pid": "DELETE"}
    assert list(diff.replaces) == []
    assert alive(process.update(**inputs))
    assert process.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE


def test_a_process_that_ends_before_it_is_ready_fails_with_the_end_of_its_log(process, program, registry):
    argv = [sys.executable, "-c", "raise SystemExit('no such weights')"]
    with pytest.raises(grpc.RpcError) as error:
        process.create(**program(argv=argv))
    assert "ended before it was ready" in error.value.details()
    assert "no such weights" in error.value.details()
    assert registry.entries() == []


def test_a_process_that_is_never_ready_is_ended_after_its_time(process, program, registry):
    with pytest.raises(grpc.RpcError) as error:
        process.create(**program(after=60, readyTimeoutS=0.3))
    assert "within 0.3 s" in error.value.details()
    assert registry.entries() == []


def test_a_port_of_another_program_is_refused_before_anything_starts(process, program, registry):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        _, failures = process.check(**program(port=port, portConfigKey="tradewind:local.controllerPort"))
        assert list(failures) == ["readyUrl"]
        assert f"port {port} on 127.0.0.1 is in use by another program" in failures["readyUrl"]
        assert "tradewind:local.controllerPort" in failures["readyUrl"]
        _, failures = process.check(**program(readyUrl="", listens=[f"127.0.0.1:{port}"]))
        assert "in use by another program" in failures["listens"]
    assert not registry.home.exists()


def test_two_processes_can_not_have_the_same_port(stub, process, program):
    inputs = program()
    process.create(**inputs)
    other = Engine(stub, "Process")
    with pytest.raises(grpc.RpcError, match="process controller of this stack does"):
        other.create(**inputs | {"name": "edge-agent", "kind": "edge-agent"})


def test_check_says_everything_that_is_wrong_at_once(process, program):
    inputs = program(argv="python", kind="controler", redyUrl="x", graceS=-1, readyTimeoutS="soon")
    del inputs["cwd"]
    _, failures = process.check(**inputs)
    assert failures == {
        "argv": "expected a list of texts, got 'python'",
        "kind": "must be one of controller, edge-agent, envoy, machine, got 'controler'; did you mean `controller`?",
        "redyUrl": "is not a property of tradewind:local:Process; did you mean `readyUrl`?",
        "graceS": "must be at least 0, got -1",
        "readyTimeoutS": "expected a number, got 'soon'",
        "cwd": "is missing: tradewind:local:Process needs it",
    }


def test_no_message_shows_a_value_of_the_environment(process, program):
    _, failures = process.check(**program(env={"KEY": 17}))
    assert failures == {"env": "expected texts by name, got a map"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "../x"}, "can't be '../x'"),
        ({"log": "x.log"}, "must be an absolute path"),
        ({"readyUrl": "ftp://x"}, "must be an http:// URL"),
        ({"readyUrl": "http://127.0.0.1:99999/"}, "must be an http:// URL"),
        ({"argv": []}, "is empty"),
        ({"listens": ["here"]}, "must be host:port"),
    ],
)
def test_check_refuses_what_could_not_work(process, program, change, reason):
    _, failures = process.check(**program(**change))
    assert list(failures) == list(change)
    assert reason in failures[next(iter(change))]


def test_a_null_and_placeholders_of_outputs_count_as_left_out(process, program):
    inputs, failures = process.check(**program(pid=None, startTime=None, portConfigKey=None))
    assert failures == {}
    assert "pid" not in inputs
    assert inputs["portConfigKey"] == ""


def test_cancel_ends_a_waiting_create_within_a_second_and_leaves_nothing(program, registry):
    with plugin() as (stub, _):
        engine, inputs = Engine(stub, "Process"), program(after=60)
        future = stub.Create.future(
            proto.CreateRequest(urn=engine.urn, properties=struct(engine.check(**inputs)[0]))
        )
        wait_until(registry.entries)
        (entry,) = registry.entries()
        stub.Cancel(Empty())
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as error:
            future.result()
        assert time.monotonic() - began < 2
        assert "cancelled while controller was starting" in error.value.details()
        assert not registry.alive(entry)
        assert registry.entries() == []


def test_a_plugin_whose_engine_was_killed_ends_what_it_was_starting_and_itself(program, registry):
    shell = f'"{PLUGIN}" 127.0.0.1:1 & echo $!; wait'
    engine = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, text=True)
    with engine:
        pid, port = int(engine.stdout.readline()), engine.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            process, inputs = Engine(stub, "Process"), program(after=60)
            # The call lasts as long as something holds it: one that is forgotten is cancelled.
            call = stub.Create.future(
                proto.CreateRequest(urn=process.urn, properties=struct(process.check(**inputs)[0]))
            )
            try:
                wait_until(registry.entries)
            finally:
                engine.kill()
            wait_until(lambda: alive_pid(pid) is False)
            assert call.exception() is not None
        assert registry.entries() == []


def test_a_create_after_a_killed_plugin_adopts_what_it_finds(stub, process, program, registry):
    inputs = program(after=1)
    with plugin() as (doomed, server):
        engine = Engine(doomed, "Process")
        call = doomed.Create.future(
            proto.CreateRequest(urn=engine.urn, properties=struct(engine.check(**inputs)[0]))
        )
        wait_until(registry.entries)
        server.kill()
        assert call.exception() is not None
    (entry,) = registry.entries()
    assert process.create(**inputs)["pid"] == entry.pid


def test_a_process_whose_entry_is_unreadable_is_ended_and_started_again(process, program, registry):
    inputs = program()
    before = process.create(**inputs)
    (registry.home / "processes" / "controller.json").write_text("{")
    assert kinds(process.diff(**inputs)) == {"pid": "DELETE"}
    after = process.update(**inputs)
    assert not alive(before)
    assert [e.pid for e in registry.entries()] == [after["pid"]]


def test_a_create_from_other_inputs_ends_what_it_finds(process, stub, program, registry):
    before = process.create(**program())
    after = Engine(stub, "Process").create(**program(codeHash="two"))
    assert not alive(before)
    assert [e.pid for e in registry.entries()] == [after["pid"]]


def test_many_creates_wait_at_the_same_time(stub, program):
    started = []
    for i in range(8):
        engine = Engine(stub, "Process")
        inputs, _ = engine.check(**program(name=f"p{i}", after=1))
        started.append(stub.Create.future(proto.CreateRequest(urn=engine.urn, properties=struct(inputs))))
    began = time.monotonic()
    assert {f.result().id for f in started} == {f"p{i}" for i in range(8)}
    assert time.monotonic() - began < 7


def test_an_unknown_kind_of_resource_is_named(stub):
    with pytest.raises(grpc.RpcError, match="has no resource tradewind:local:Proces"):
        Engine(stub, "Proces").check()


# ---------------------------------------------------------------- files


@pytest.fixture
def file(stub):
    return Engine(stub, "File")


def test_a_file_is_written_and_repaired_and_removed(file, tmp_path):
    path = tmp_path / "deep" / "x.json"
    inputs = {"path": str(path), "content": "grüße\n", "mode": "0600"}
    assert len(file.create(**inputs)["sha256"]) == 64
    assert path.read_text() == "grüße\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE
    path.write_text("edited")
    path.chmod(0o644)
    assert kinds(file.diff(**inputs)) == {"sha256": "UPDATE", "mode": "UPDATE"}
    file.update(**inputs)
    assert path.read_text() == "grüße\n"
    path.unlink()
    assert kinds(file.diff(**inputs)) == {"sha256": "DELETE"}
    assert file.read().id == ""
    file.update(**inputs)
    file.delete()
    file.delete()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_file_of_bytes_and_a_new_path(file, tmp_path):
    inputs = {"path": str(tmp_path / "a"), "contentBase64": "AP8="}
    file.create(**inputs)
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    diff = file.diff(**inputs | {"path": str(tmp_path / "b")})
    assert kinds(diff) == {"path": "UPDATE_REPLACE"}
    assert not diff.deleteBeforeReplace


def test_a_preview_knows_the_hash_when_it_knows_the_content(file, tmp_path):
    assert file.create(preview=True, path=str(tmp_path / "a"), content=UNKNOWN)["sha256"] == UNKNOWN
    assert len(file.create(preview=True, path=str(tmp_path / "a"), content="x")["sha256"]) == 64
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "a"}, "path"),
        ({"mode": "rw"}, "mode"),
        ({"contentBase64": "AA=="}, "content"),
        ({"content": None}, "content"),
        ({"content": None, "contentBase64": "A"}, "contentBase64"),
    ],
)
def test_a_file_that_could_not_be_written_as_said_is_refused(file, tmp_path, change, field):
    _, failures = file.check(**{"path": str(tmp_path / "a"), "content": "x"} | change)
    assert list(failures) == [field]


def test_a_file_that_can_not_be_written_says_which(file, tmp_path):
    (tmp_path / "x").write_text("a file, not a folder")
    with pytest.raises(grpc.RpcError, match="x/y can't be written"):
        file.create(path=str(tmp_path / "x" / "y"), content="")


# ---------------------------------------------------------------- pools


@pytest.fixture
def pool(stub):
    return Engine(stub, "Pool")


@pytest.fixture
def declared(registry):
    def make(**changes):
        return {
            "home": str(registry.home),
            "poolId": "chat.local.local-east-a.L4x1.spot",
            "region": "local-east",
            "zone": "local-east-a",
            "market": "spot",
            "maxSize": 3,
            "argv": [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"],
            "env": {"PATH": "/usr/bin"},
            "bucket": "file:///state",
            "trace": str(PLUGIN.parents[1] / "traces" / "calm.csv"),
            "service": "chat",
            "cloud": "local",
            "instanceTypes": ["local-l4"],
            "accelerator": "L4",
            "acceleratorCount": 1,
            "capacityUnits": 0.5,
            "priceUsdHour": 0.2,
        } | changes

    return make


def test_a_pool_is_declared_keeps_its_size_through_an_update_and_is_deleted(pool, declared, registry):
    inputs = declared()
    pool.create(**inputs)
    cloud = LocalCloud(registry.home)
    cloud.set_size(pool.id, 2)
    assert pool.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE
    assert kinds(pool.diff(**inputs | {"maxSize": 5})) == {"maxSize": "UPDATE"}
    pool.update(**inputs | {"maxSize": 5})
    (view,) = cloud.observe()
    assert (view.size, len(view.machines), view.max_size) == (2, 2, 5)
    assert pool.read().id == pool.id
    pool.delete()
    pool.delete()
    assert cloud.observe() == []
    assert registry.entries() == []
    assert pool.read().id == ""


def test_a_preview_of_a_pool_declares_nothing(pool, declared, registry):
    pool.create(preview=True, **declared())
    assert LocalCloud(registry.home).pools() == []


def test_a_pool_in_another_place_is_another_pool(pool, declared):
    pool.create(**declared())
    diff = pool.diff(**declared(zone="local-west-a", region="local-west", market="on_demand"))
    assert list(diff.replaces) == ["market", "region", "zone"]
    assert diff.deleteBeforeReplace


def test_a_pool_that_the_cloud_lost_shows_and_is_declared_again(pool, declared, registry):
    inputs = declared()
    pool.create(**inputs)
    (registry.home / "cloud" / "pools" / f"{pool.id}.json").write_text("torn")
    assert kinds(pool.diff(**inputs)) == {"poolId": "DELETE"}
    pool.update(**inputs)
    (registry.home / "cloud" / "cloud.json").unlink()
    assert kinds(pool.diff(**inputs)) == {"trace": "UPDATE"}
    pool.update(**inputs)
    assert pool.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE


def test_notice_and_speed_change_live_and_a_drift_of_them_shows(pool, declared, registry):
    pool.create(**declared())
    cloud = LocalCloud(registry.home)
    cloud.set_size(pool.id, 1)
    (before,) = cloud.observe()
    inputs = declared(noticeS=5, traceSpeed=2.5)
    assert set(kinds(pool.diff(**inputs)).values()) == {"UPDATE"}
    pool.update(**inputs)
    assert (cloud.weather().notice_s, cloud.weather().speed) == (5, 2.5)
    assert cloud.observe() == [before]
    assert pool.diff(**inputs).changes == proto.DiffResponse.DIFF_NONE
    other = {**inputs, "poolId": "other", "noticeS": 7}
    Engine(pool.stub, "Pool").create(**other)
    assert kinds(pool.diff(**inputs)) == {"noticeS": "UPDATE"}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"maxSize": -1}, "maxSize", "at least 0"),
        ({"maxSize": 1.5}, "maxSize", "a whole number"),
        ({"market": "spots"}, "market", "did you mean `spot`?"),
        ({"zone": "local-east-z"}, "zone", "has no zone local-east-z"),
        ({"region": "local-west"}, "region", "is in region local-east"),
        ({"trace": "calm.csv"}, "trace", "absolute"),
        ({"trace": "/no/calm.csv"}, "trace", "no such file"),
        ({"poolId": "a/b"}, "poolId", "file name"),
        ({"argv": []}, "argv", "is empty"),
        ({"noticeS": -1}, "noticeS", "at least 0"),
        ({"noticeS": 1e300}, "noticeS", "at most 86400"),
        ({"traceSpeed": 0}, "traceSpeed", "above 0"),
        ({"traceSpeed": 1e308}, "traceSpeed", "at most 10000"),
    ],
)
def test_a_pool_that_could_not_work_is_refused(pool, declared, change, field, reason):
    _, failures = pool.check(**declared(**change))
    assert list(failures) == [field]
    assert reason in failures[field]


def test_a_bad_row_of_the_trace_is_named_by_file_and_line(pool, declared, tmp_path):
    trace = tmp_path / "bad.csv"
    trace.write_text("time_s,zone,capacity\n0,local-east-a,many\n")
    _, failures = pool.check(**declared(trace=str(trace)))
    assert failures["trace"].startswith(f"{trace}:2: capacity must be a number")


# ---------------------------------------------------------------- helpers


def alive_pid(pid):
    found = proctable.read(pid)
    return found is not None and not found.dead


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
