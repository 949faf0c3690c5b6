"""A controller's and an edge's host boot from their user data alone, in each of the three clouds, and serve.

All of it is what the components declare, and no machine may do more than the rights that they declare.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import time

import httpx
import pytest
import yaml

from cli import explain, rollout, status, wait
from cli.context import Context
from cli.outputs import Whereabouts
from cli.state import CloudState
from components.boot import pointers
from lb.mutual import believing
from spec.certificates import parse_leaf
from spec.desired import parse
from spec.errors import OutsideError
from spec.names import secret_name
from spec.status import Status
from tests.clouds import systemd
from tests.clouds.aws import Aws
from tests.clouds.azure import Azure
from tests.clouds.booting import Host, until
from tests.clouds.declared import declare
from tests.clouds.gcp import Gcp
from tests.clouds.login import User
from tests.clouds.machine import Machine
from tests.clouds.rights import Rights
from tests.ports import free_ports
from tools import archive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ENV, KEY = "test", "sk-tw-a-callers-key"
CLOUDS = {"aws": Aws, "gcp": Gcp, "azure": Azure}
PLACES = {"aws": ("eu-north-1", "L4"), "gcp": ("europe-west4", "L4"), "azure": ("eastus", "A100-80GB")}
UNITS = ("controller", "edge", "envoy", "update")
_turn = iter(range(1, 250))


def service(accelerator):
    return {
        "name": "chat",
        "resources": {"accelerators": f"{accelerator}:1", "use_spot": True, "ports": 8000},
        "service": {
            "readiness_probe": {"path": "/v1/models", "initial_delay_seconds": 60},
            "replicas": 1,
        },
        "run": "exec serve",
        "tradewind": {"engine": "vllm", "model": "tiny", "interval_seconds": 1},
    }


class World:
    """A cloud, filled with what a stack has declared in it, and the hosts."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        region, accelerator = PLACES[name]
        self.declared = declare(name, region, service(accelerator), env=ENV, caller_key=KEY, files=folder)
        self.ca = self.declared.authority
        self.cloud = CLOUDS[name](bucket=self.declared.bucket.rpartition("/")[2], region=region)
        self.stack = contextlib.ExitStack()
        self.stack.callback(self.cloud.close)
        self.controller_port, self.agent_port, self.public_port = free_ports(3)
        self.address = f"127.77.{os.getpid() % 250}.{next(_turn)}"
        self._fill()
        self.boots = {}
        self.controller, self.edge = (self._host(n) for n in sorted(self.declared.hosts))

    def _fill(self):
        cloud, declared = self.cloud, self.declared
        cloud.rights = Rights(declared)
        cloud.secrets |= declared.secrets
        for key, content in declared.objects.items():
            cloud.put(key, content)
        if self.name == "azure":
            cloud.identities, cloud.container_id = declared.identities, declared.container_id
            cloud.vault_id = declared.vault_id
        key, endpoint = f"desired/{ENV}.json", f"https://127.0.0.1:{self.public_port}"
        desired = parse(declared.objects[key])
        assert [edge.endpoint for edge in desired.edges] == ["https://127.0.0.1"]
        cloud.put(key, declared.objects[key].replace(b'"https://127.0.0.1"', f'"{endpoint}"'.encode()))
        [self.pool], [self.wanted] = desired.pools, desired.services
        cloud.group(self.pool)
        cloud.addresses.append(self.address)
        self.point("controller")
        self.point("edge")

    def _host(self, name):
        user_data, identity = self.declared.hosts[name]
        host = Host(self.folder / name, self._here(user_data), self.cloud.machine(identity), units=UNITS)
        self.stack.callback(host.close)
        return host

    def _here(self, text):
        """A vault's URL is the one place that no variable of the environment moves."""
        return text.replace(self.declared.vault_url, self.cloud.url) if self.declared.vault_url else text

    def point(self, role, **changed):
        """Writes the pointer of a role as it was declared, but for the ports and turns of several hosts on one computer."""
        told = json.loads(self._here(self.declared.objects[f"hosts/{role}.json"].decode()))
        here = {
            "controller": {"host": "127.0.0.1", "port": self.controller_port, "tick_s": 0.2},
            "edge": {
                "controller_url": f"https://127.0.0.1:{self.controller_port}",
                "port": self.agent_port,
                "public_port": self.public_port,
                "public_host": "127.0.0.1",
            },
        }[role]
        told["settings"] |= here | changed
        text = pointers.pointer(**told)
        self.cloud.put(f"hosts/{role}.json", text, at=time.time() - 3600)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def secret(self, owner, name):
        return secret_name(self.name, ENV, owner, name)

    def leaf(self, owner, name="leaf"):
        return parse_leaf(self.cloud.secrets[self.secret(owner, name)])

    def status(self):
        raw = self.cloud.objects.get("status.json")
        return None if raw is None else Status.model_validate_json(raw)

    def said(self):
        refused = f"refused by the cloud: {self.cloud.refused[:5]}\n"
        return refused + "\n".join(
            f"===== {h.root.name}\n{h.said()[-6000:]}" for h in (self.controller, self.edge)
        )


@pytest.fixture(scope="module", params=CLOUDS)
def world(request, tmp_path_factory):
    try:
        made = World(request.param, tmp_path_factory.mktemp("hosts"))
    except (archive.NoArchive, OutsideError) as e:
        pytest.skip(str(e))
    with made.stack:
        yield made


def test_an_edges_host_asks_again_when_its_bucket_fails_and_never_runs_what_is_not_named(world):
    """It starts before the controller has issued anything, as all hosts of a new environment do."""
    role, declared = "edge", world.cloud.objects["hosts/edge.json"]
    world.cloud.put(f"hosts/{role}.json", declared.replace(b'"sha256": "', b'"sha256": "0'))
    world.cloud.failing = [503]
    world.cloud.denied.add(world.secret("edge", "token"))
    world.boots["edge"] = world.edge.boot()
    until(lambda: ": 503" in world.edge.said(), world.said)
    until(lambda: "is not what hosts/edge.json names" in world.edge.said(), world.said)
    assert not (world.edge.root / "opt/tradewind/current").exists()
    world.point(role)


def test_the_controllers_host_boots_leads_and_writes_its_status(world):
    refused = len(world.cloud.refused)
    boot = world.controller.boot()
    until(lambda: world.status() and world.status().controller.leader, world.said)
    until(lambda: boot.poll() is not None, world.said)
    assert boot.returncode == 0, world.said()
    assert not [r for r in world.cloud.refused[refused:] if "edge" not in str(r)]


def test_the_controller_issues_what_hosts_and_pools_need_and_keeps_its_own(world):
    until(lambda: world.leaf(f"pool-{world.pool.id}") and world.leaf("edge", "public"), world.said)
    assert world.leaf("controller") is not None
    assert "can't be kept" not in world.controller.said()


def test_the_edges_host_waits_for_what_it_may_not_read_and_is_ready_by_tls_when_it_may(world):
    denied, boot = world.secret("edge", "token"), world.boots["edge"]
    until(lambda: f"waiting for secrets: {denied}" in world.edge.said(), world.said)
    assert boot.poll() is None
    world.cloud.denied.clear()
    until(lambda: boot.poll() is not None, world.said)
    assert boot.returncode == 0, world.said()
    with caller(world) as client:
        until(lambda: client.get("/edge/ready").status_code == 200, world.said)


def test_a_request_with_a_key_goes_through_the_edge_to_an_engine_behind_mutual_tls(world, tmp_path_factory):
    until(lambda: world.cloud.machines, world.said)
    [instance] = world.cloud.machines

    def status():
        return {
            "instance_id": instance,
            "phase": "running",
            "bundle": world.wanted.bundle.sha256,
            "message": "",
        }

    leaf = world.leaf(f"pool-{world.pool.id}")
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
    user = User(world.name, world.cloud, tmp_path)
    user.log_in()
    for name, value in user.environment.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    (tmp_path / "Pulumi.yaml").write_text("name: tradewind\n")
    settings = {"clouds": [world.name], "home": {"cloud": world.name, "region": PLACES[world.name][0]}}
    config = {f"tradewind:{name}": value for name, value in settings.items()}
    (tmp_path / f"Pulumi.{ENV}.yaml").write_text(yaml.safe_dump({"config": config}))
    endpoint = f"https://127.0.0.1:{world.public_port}"
    state = CloudState(Context(ENV, tmp_path), Whereabouts(user.bucket, endpoint, world.ca))
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
    token = world.cloud.secrets[world.secret("edge", "token")]
    key = world.leaf("edge").key
    for host in (world.controller, world.edge):
        secrets = host.root / "run/tradewind/secrets"
        assert secrets.stat().st_mode & 0o077 == 0
        assert all(p.stat().st_mode & 0o077 == 0 for p in secrets.iterdir())
        assert token not in host.said()
        assert key not in host.said()
        for path in (host.root / "etc").rglob("*"):
            assert not path.is_file() or token not in path.read_text()


def test_an_edge_reads_no_secret_but_its_own_and_neither_state_nor_assignments(world):
    state = (f"desired/{ENV}.json", f"assignments/{world.pool.id}.json", "keys.json", "status.json")
    others = (("controller", "ca-key"), ("controller", "token"), (f"pool-{world.pool.id}", "leaf"))
    own = (("edge", "token"), ("edge", "leaf"), ("edge", "public"))
    found = reads(world.edge, ("hosts/edge.json", *state), (*own, *others))
    assert {what for what, said in found.items() if said == "read"} == {"hosts/edge.json", *map(str, own)}
    for what in (*state, *map(str, others)):
        assert any(word in found[what] for word in ("403", "AccessDenied")), found


def test_an_update_reaches_the_edges_host_leaves_envoy_alone_and_no_caller_notices(world):
    envoy, agent = (systemd.pid(world.edge.root, f"tradewind-{u}") for u in ("envoy", "edge"))
    wanted = world.point("edge", controller_url=f"https://127.0.0.1:{world.controller_port}/")
    assert world.edge.current() != wanted
    with caller(world) as client:

        def updated():
            answer = client.post(
                "/v1/completions", json={"model": "tiny", "prompt": "hello", "max_tokens": 1}
            )
            assert answer.status_code == 200, answer.text
            return f"release {wanted} runs" in world.edge.said()

        until(updated, world.said)
    assert world.edge.current() == wanted
    assert systemd.pid(world.edge.root, "tradewind-edge") not in (None, agent)
    assert systemd.pid(world.edge.root, "tradewind-envoy") == envoy


AS_THE_MACHINE = """
import json, sys
import fetch, host_secrets
def told(call):
    try:
        call()
    except OSError as e:
        return str(e)
    return "read"
host, (keys, secrets) = fetch.read_host(), json.loads(sys.argv[1])
found = {key: told(lambda: fetch.get(host, key).read()) for key in keys}
found |= {str(tuple(s)): told(lambda: host_secrets.read(host, *s)) for s in secrets}
print(json.dumps(found))
"""


def reads(host, keys, secrets):
    """What comes of reading objects and secrets with a host's own programs and identity, by what was read."""
    current = (host.root / "opt/tradewind/current").resolve()
    path = f"{current / 'boot'}:{current}:{current / 'site'}"
    command = [str(host.python), "-c", AS_THE_MACHINE, json.dumps([keys, secrets])]
    done = subprocess.run(
        command, env=host.environment | {"PYTHONPATH": path}, check=True, capture_output=True
    )
    return json.loads(done.stdout)


def caller(world):
    return httpx.Client(
        base_url=f"https://127.0.0.1:{world.public_port}",
        headers={"authorization": f"Bearer {KEY}"},
        verify=believing(world.ca),
        trust_env=False,
        timeout=10,
    )
