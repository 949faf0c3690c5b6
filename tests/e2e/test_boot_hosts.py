"""A controller's and an edge's host boot from their user data alone, on a cloud that answers as AWS does, and serve."""

import contextlib
import hashlib
import os
import time

import httpx
import pytest
import yaml

from cli import explain, rollout, status, wait
from cli.context import Context
from cli.outputs import Whereabouts
from cli.state import CloudState
from components.boot import cloud_init, pointers
from lb.mutual import believing
from spec.certificates import NOT_ISSUED, parse_leaf
from spec.desired import Edge, dump
from spec.keys import hashed
from spec.names import PoolKind, secret_name
from spec.snapshot import Keys
from spec.stack import parse
from spec.status import Status
from tests.clouds import systemd
from tests.clouds.aws import Aws
from tests.clouds.booting import PYTHON, Host, until
from tests.clouds.login import User
from tests.clouds.machine import Machine
from tests.lb.certificates.authority import authority_pems
from tests.lb.world import a_desired, a_pool, a_service
from tests.ports import free_ports
from tools import archive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ENV, REGION, KEY, GROUP = "test", "eu-west-1", "sk-tw-a-callers-key", "tw-test-chat"
CONFIG = parse(
    {"home": {"cloud": "aws", "region": REGION}, "tls": {"mode": "own_ca"}}, file="Pulumi.test.yaml"
)
POOL = a_pool("euw1-az1", cloud="aws").model_copy(
    update={"kind": PoolKind.VM, "region": REGION, "resource": {"group": GROUP}}
)


class World:
    """The cloud, what the stack would have put there, and the hosts."""

    def __init__(self, folder, archives):
        self.folder, self.archives = folder, archives
        self.cloud = Aws()
        self.stack = contextlib.ExitStack()
        self.stack.callback(self.cloud.close)
        self.controller_port, self.agent_port, self.public_port = free_ports(3)
        self.address = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
        self._declare()
        common = {"cloud": "aws", "env": ENV, "region": REGION, "bucket": "s3://state", "store": REGION}
        self.controller = self._host("controller", cloud_init.controller(**common))
        self.edge = self._host("edge", cloud_init.edge(**common, edge_id="edge-test-1", number=1))

    def _host(self, name, user_data):
        host = Host(
            self.folder / name, user_data, self.cloud, units=("controller", "edge", "envoy", "update")
        )
        self.stack.callback(host.close)
        return host

    def _declare(self):
        ca, key = authority_pems()
        self.ca = ca
        for owner, name, value in (
            ("controller", "token", "a token"),
            ("controller", "ca", ca),
            ("controller", "ca-key", key),
            ("controller", "leaf", NOT_ISSUED),
            ("edge", "token", "a token"),
            ("edge", "leaf", NOT_ISSUED),
            ("edge", "public", NOT_ISSUED),
            (f"pool-{POOL.id}", "leaf", NOT_ISSUED),
        ):
            self.cloud.secrets[secret_name("aws", ENV, owner, name)] = value
        self.cloud.groups[GROUP] = 0
        self.cloud.addresses.append(self.address)
        endpoint = f"https://127.0.0.1:{self.public_port}"
        desired = a_desired([a_service(replicas=1)], [POOL]).model_copy(
            update={"env": ENV, "edges": (Edge(id="edge-test-1", endpoint=endpoint),)}
        )
        self.bundle = desired.services[0].bundle.sha256
        self.cloud.put(f"desired/{ENV}.json", dump(desired))
        self.cloud.put("keys.json", Keys(keys=(hashed(KEY, key_id="tester"),)).model_dump_json())
        for made in self.archives.values():
            self.cloud.put(made.key, made.path.read_bytes())
        self.name("controller")
        self.name("edge")

    def name(self, role, **changed):
        """Writes the pointer of a role, as an update of the stack does."""
        clouds = {"aws": {"regions": [REGION], "private_in": [REGION], "secrets": REGION}}
        if role == "controller":
            settings = pointers.controller_settings(
                CONFIG, env=ENV, home=("aws", REGION), bucket="s3://state", clouds=clouds, edges=["aws"]
            ) | {"host": "127.0.0.1", "port": self.controller_port, "tick_s": 0.2}
        else:
            url = f"https://127.0.0.1:{self.controller_port}"
            settings = pointers.edge_settings(CONFIG, cloud="aws", controller_url=url) | {
                "port": self.agent_port,
                "public_port": self.public_port,
                "public_host": "127.0.0.1",
            }
        made = self.archives[role]
        text = pointers.pointer(archive=made.key, sha256=made.sha256, settings=settings | changed)
        self.cloud.put(f"hosts/{role}.json", text, at=time.time() - 3600)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def leaf(self, owner, name="leaf"):
        return parse_leaf(self.cloud.secrets[secret_name("aws", ENV, owner, name)])

    def status(self):
        raw = self.cloud.objects.get("status.json")
        return None if raw is None else Status.model_validate_json(raw)

    def said(self):
        refused = f"refused by the cloud: {self.cloud.refused[:5]}\n"
        return refused + "\n".join(
            f"===== {h.root.name}\n{h.said()[-6000:]}" for h in (self.controller, self.edge)
        )


@pytest.fixture(scope="module")
def archives():
    try:
        return {role: archive.build(role, python=PYTHON) for role in ("controller", "edge")}
    except archive.NoArchive as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def world(archives, tmp_path_factory):
    made = World(tmp_path_factory.mktemp("hosts"), archives)
    with made.stack:
        yield made


def test_the_controllers_host_boots_leads_and_writes_its_status(world):
    boot = world.controller.boot()
    until(lambda: world.status() and world.status().controller.leader, world.said)
    until(lambda: boot.poll() is not None, world.said)
    assert boot.returncode == 0, world.said()
    assert world.cloud.refused == []


def test_the_controller_issues_what_edges_and_pools_need(world):
    until(lambda: world.leaf(f"pool-{POOL.id}") and world.leaf("edge", "public"), world.said)


def test_the_edges_host_boots_and_is_ready_by_tls(world):
    boot = world.edge.boot()
    until(lambda: boot.poll() is not None, world.said)
    assert boot.returncode == 0, world.said()
    with caller(world) as client:
        until(lambda: client.get("/edge/ready").status_code == 200, world.said)


def test_a_request_with_a_key_goes_through_the_edge_to_an_engine_behind_mutual_tls(world, tmp_path_factory):
    until(lambda: world.cloud.machines, world.said)
    [instance] = world.cloud.machines

    def status():
        return {"instance_id": instance, "phase": "running", "bundle": world.bundle, "message": ""}

    leaf = world.leaf(f"pool-{POOL.id}")
    machine = Machine(world.address, leaf, tmp_path_factory.mktemp("machine"), status)
    world.stack.callback(machine.close)
    with caller(world) as client:
        asked = {"model": "tiny", "prompt": "hello", "max_tokens": 4}
        until(lambda: client.post("/v1/completions", json=asked).status_code == 200, world.said)
        assert (
            client.post("/v1/completions", json=asked, headers={"authorization": "none"}).status_code == 401
        )
    assert [s.ready for s in world.status().services] == [1] or until(
        lambda: [r.state for s in world.status().services for r in s.replicas] == ["ready"], world.said
    )


def test_somebody_far_away_waits_for_it_and_has_a_say_with_nothing_but_a_login_to_the_bucket(
    world, tmp_path, monkeypatch, capsys
):
    user = User("aws", world.cloud, tmp_path)
    user.log_in()
    for name, value in user.environment.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    (tmp_path / "Pulumi.yaml").write_text("name: tradewind\n")
    settings = {"clouds": ["aws"], "home": {"cloud": "aws", "region": REGION}}
    config = {f"tradewind:{name}": value for name, value in settings.items()}
    (tmp_path / f"Pulumi.{ENV}.yaml").write_text(yaml.safe_dump({"config": config}))
    endpoint = f"https://127.0.0.1:{world.public_port}"
    state = CloudState(Context(ENV, tmp_path), Whereabouts("s3://state", endpoint, world.ca))
    wait.wait_until_ready(state, timeout_s=45)
    for module in (wait, rollout, explain, status):
        monkeypatch.setattr(module, "there", lambda _: None)
        monkeypatch.setattr(module, "state_of", lambda _: state)
    status.status(ENV)
    rollout.pause(ENV)
    explain.explain(ENV)
    said = " ".join(capsys.readouterr().out.split())
    assert f"chat 1/1 ready {endpoint}" in said
    assert "controller: leading" in said
    assert "edge:" not in said
    assert "chat: no rollout is going on" in said
    assert "decided again from this entry: the same" in said


def test_no_secret_is_where_others_could_read_it(world):
    token, key = "a token", world.leaf("edge").key
    for host in (world.controller, world.edge):
        secrets = host.root / "run/tradewind/secrets"
        assert secrets.stat().st_mode & 0o077 == 0
        assert all(p.stat().st_mode & 0o077 == 0 for p in secrets.iterdir())
        assert token not in host.said()
        assert key not in host.said()
        for path in (host.root / "etc").rglob("*"):
            assert not path.is_file() or token not in path.read_text()


def test_an_update_reaches_the_edges_host_and_leaves_envoy_alone(world):
    envoy, agent = (systemd.pid(world.edge.root, f"tradewind-{u}") for u in ("envoy", "edge"))
    wanted = world.name("edge", controller_url=f"https://127.0.0.1:{world.controller_port}/")
    assert world.edge.current() != wanted
    until(lambda: f"release {wanted} runs" in world.edge.said(), world.said)
    assert world.edge.current() == wanted
    assert systemd.pid(world.edge.root, "tradewind-edge") not in (None, agent)
    assert systemd.pid(world.edge.root, "tradewind-envoy") == envoy


def caller(world):
    return httpx.Client(
        base_url=f"https://127.0.0.1:{world.public_port}",
        headers={"authorization": f"Bearer {KEY}"},
        verify=believing(world.ca),
        trust_env=False,
        timeout=10,
    )
