"""A replica's machine boots from its user data alone in each of the three clouds, and answers behind mutual TLS."""

import contextlib
import hashlib
import json
import os
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from components.boot import cloud_init, pointers
from lb.certificates.authority import Wish
from lb.mutual import Mutual
from spec.certificates import CONTROLLER, EDGE, NOT_ISSUED, Leaf, pool_name
from spec.names import Market, pool_id, secret_name
from tests.clouds import systemd
from tests.clouds.aws import Aws
from tests.clouds.azure import Azure
from tests.clouds.booting import PYTHON, Host, until
from tests.clouds.docker import Docker
from tests.clouds.gcp import Gcp
from tests.lb.agent.machine import archive as bundle_of
from tests.lb.certificates.authority import an_authority
from tests.ports import free_ports
from tools import archive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ENV, SERVICE = "test", "chat"
ROOT = Path(__file__).parents[2]
CLOUDS = {"aws": Aws, "gcp": Gcp, "azure": Azure}
PLACES = {"aws": "euw1-az1", "gcp": "europe-west4-a", "azure": "westeurope"}
INSTANCES = {"aws": "i-0123456789abcdef0", "gcp": "1234567890123456789", "azure": "tw-chat_1a2b3c4d"}
SIM = f'cd {ROOT}; exec {sys.executable} -m engines.sim --model tiny --port "$TRADEWIND_PORT"'
ENGINE = f'echo "token: ${{#HF_TOKEN}} letters, pool of $SKYPILOT_NODE_IPS"\n{SIM}'
_turn = iter(range(1, 250))


class World:
    """A cloud, what the stack and the controller would have put there, and one machine."""

    def __init__(self, name, folder, made, *, pool=True):
        self.name, self.folder, self.made = name, folder, made
        self.cloud = CLOUDS[name]()
        self.stack = contextlib.ExitStack()
        self.stack.callback(self.cloud.close)
        self.pool = pool_id(
            service=SERVICE,
            cloud=name,
            place=PLACES[name],
            accelerator="L4",
            count=1,
            market=Market.SPOT,
        )
        self.address = f"127.78.{os.getpid() % 250}.{next(_turn)}"
        self.agent_port, self.port = free_ports(2)
        self.cloud.be(INSTANCES[name], pool=self.pool if pool else None, address="127.0.0.1")
        self.authority = an_authority()
        self.cloud.secrets[self.secret(f"pool-{self.pool}", "leaf")] = NOT_ISSUED
        self.cloud.secrets[self.secret(f"service-{SERVICE}", "HF_TOKEN")] = "hf_a_secret_value"
        self.cloud.put(made.key, made.path.read_bytes())
        self.point(made.sha256)
        own = {"pool": self.pool} if name == "azure" and pool else {}
        data = cloud_init.node(
            cloud=name,
            env=ENV,
            region=self.cloud.region,
            bucket=self.cloud.bucket_url,
            store=self.cloud.store,
            service=SERVICE,
            **own,
        )
        self.host = Host(folder, data, self.cloud.environment, units=("node",))
        self.stack.callback(self.host.close)

    def secret(self, owner, name):
        return secret_name(self.name, ENV, owner, name)

    def point(self, sha256):
        settings = pointers.node_settings() | {"agent_port": self.agent_port, "poll_s": 1}
        settings["sidecar"] |= {"address": self.address, "user": None}
        text = pointers.pointer(archive=self.made.key, sha256=sha256, settings=settings)
        self.cloud.put("hosts/node.json", text)

    def assign(self, **manifest):
        data = bundle_of(**{"run": ENGINE, "port": self.port, "secrets": ["HF_TOKEN"]} | manifest)
        sha256 = hashlib.sha256(data).hexdigest()
        self.cloud.put(f"bundles/{sha256}.tar.gz", data)
        content = {"schema": 1, "pool_id": self.pool, "default": sha256, "instances": {}}
        self.cloud.put(f"assignments/{self.pool}.json", json.dumps(content))
        return sha256

    def issue(self):
        """What the controller does soon after it has heard of a pool."""
        made = self.authority.issue(Wish((pool_name(self.pool),), server=True), time.time())
        leaf = Leaf(cert=made.cert, key=made.key, ca=self.authority.pem)
        self.cloud.secrets[self.secret(f"pool-{self.pool}", "leaf")] = leaf.model_dump_json()
        return leaf

    def caller(self, name=CONTROLLER):
        made = self.authority.issue(Wish((name,), client=True), time.time())
        leaf = Leaf(cert=made.cert, key=made.key, ca=self.authority.pem)
        return httpx.Client(
            base_url=f"https://{self.address}:9443",
            verify=Mutual(leaf).client,
            trust_env=False,
            timeout=10,
        )

    def ask(self, client, method, path, **more):
        """The answer; None where there is none."""
        with contextlib.suppress(httpx.TransportError):
            return client.request(method, path, extensions={"sni_hostname": pool_name(self.pool)}, **more)
        return None

    def node(self, client):
        answer = self.ask(client, "GET", "/.tradewind/node")
        return answer.json() if answer is not None and answer.status_code == 200 else {}

    def pid(self):
        return systemd.pid(self.host.root, "tradewind-node")

    def said(self):
        work = self.host.root / "var/lib/tradewind/node"
        logs = [f"--- {p.name}\n{p.read_text(errors='replace')[-2000:]}" for p in work.glob("*.log")]
        return f"refused: {self.cloud.refused[:5]}\n{self.host.said()[-6000:]}\n" + "\n".join(logs)


@pytest.fixture(scope="module")
def made():
    try:
        return archive.build("node", python=PYTHON)
    except archive.NoArchive as e:
        pytest.skip(str(e))


@pytest.fixture
def boot(made):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tw-"))  # a socket's path is short

        def start(name, **given):
            world = World(name, Path(folder) / name, made, **given)
            stack.push(world.stack)
            return world

        yield start


@pytest.mark.parametrize("name", CLOUDS)
def test_a_machine_boots_becomes_a_ready_replica_tells_its_end_and_leaves_nothing(boot, name):
    world = boot(name)
    sha256 = world.assign(setup="echo installed > installed")
    started = world.host.boot()
    until(lambda: started.poll() is not None, world.said)
    assert started.returncode == 0, world.said()
    leaf = world.issue()
    with world.caller() as client:
        told = until(
            lambda: (found := world.node(client)).get("phase") == "running" and found, world.said, limit_s=60
        )
        assert (told["instance_id"], told["pool_id"]) == (INSTANCES[name], world.pool)
        assert (told["bundle"], told["message"], told["preempt_at"]) == (sha256, "", None)
        with world.caller(EDGE) as edge:
            until(lambda: (a := world.ask(edge, "GET", "/v1/models")) and a.status_code == 200, world.said)
            asked = {"model": "tiny", "prompt": "hello", "max_tokens": 4}
            assert world.ask(edge, "POST", "/v1/completions", json=asked).json()["choices"]
        assert world.node(client)["active_requests"] == 0
        log = (world.host.root / "var/lib/tradewind/node/engine.log").read_text()
        assert "token: 17 letters, pool of 127.0.0.1" in log

        world.cloud.announce(time.time() + 120)
        until(lambda: world.node(client)["preempt_at"], world.said)
        assert world.node(client)["phase"] == "running"
    assert world.cloud.refused == []

    root = world.host.root
    private = root / "run/tradewind/node/sidecar"
    assert private.stat().st_mode & 0o077 == 0
    for value in ("hf_a_secret_value", leaf.key):
        assert value not in world.said()
        for path in root.rglob("*"):
            if path.is_file() and path.parent != private and path.stat().st_size < 1 << 20:
                assert value.encode() not in path.read_bytes(), path
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                assert value.encode() not in cmdline.read_bytes(), cmdline

    below = systemd.below(world.pid())
    os.kill(world.pid(), signal.SIGTERM)
    until(lambda: not any(systemd.alive(pid) for pid in below), world.said)


def test_a_machine_copies_what_its_service_names_of_a_bucket_before_its_engine_starts(boot, tmp_path):
    world = boot("gcp")
    for key in ("weights/a.bin", "weights/sub/b.bin"):
        world.cloud.put(key, key * 1000)
    world.cloud.put("beside/c.bin", "not asked for")
    target, denied = tmp_path / "models", "weights/sub/b.bin"
    mount = {"target": str(target), "source": f"{world.cloud.bucket_url}/weights", "mode": "COPY"}
    world.cloud.denied.add(denied)
    world.assign(mounts=[mount], setup=f"find {target} -name '*.bin' | wc -l", secrets=[])
    world.issue()
    world.host.boot()
    with world.caller() as client:
        told = until(
            lambda: (n := world.node(client)).get("phase") == "copying" and "denied" in n["message"] and n,
            world.said,
        )
        assert denied in told["message"]
        world.cloud.denied.clear()
        until(lambda: world.node(client).get("phase") == "running", world.said, limit_s=60)
    found = {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()}
    assert found == {"a.bin": "weights/a.bin" * 1000, "sub/b.bin": "weights/sub/b.bin" * 1000}
    assert "2\n" in (world.host.root / "var/lib/tradewind/node/engine.log").read_text()


def test_an_engine_finishes_its_stream_when_the_machine_is_shut_down(boot):
    world = boot("gcp")
    world.assign(run=SIM + " --time-per-token-ms 250", secrets=[])
    world.host.boot()
    world.issue()
    with world.caller(EDGE) as edge:
        until(lambda: (a := world.ask(edge, "GET", "/v1/models")) and a.status_code == 200, world.said)
        asked = {"model": "tiny", "prompt": "hello", "max_tokens": 8, "stream": True}
        with edge.stream(
            "POST", "/v1/completions", json=asked, extensions={"sni_hostname": pool_name(world.pool)}
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            with world.caller() as client:
                assert world.node(client)["active_requests"] == 1
                os.kill(world.pid(), signal.SIGTERM)
                assert until(lambda: world.node(client)["preempt_at"], world.said) < time.time() + 26
                assert world.node(client)["leaving"] is True
            assert [line for line in lines if line][-1] == "data: [DONE]"
    until(lambda: world.pid() is None, world.said)


def test_a_machine_pulls_an_image_and_serves_from_a_container_which_no_end_of_the_agent_leaves_behind(boot):
    world = boot("gcp")
    docker = Docker(world.folder / "docker", world.host.root / "var/lib/tradewind/engine/bin")
    world.stack.callback(docker.close)
    docker.registry({"acme/engine:1": {"layers": 4, "fails": ["net/http: TLS handshake timeout"]}})
    world.assign(
        image="acme/engine:1",
        setup="echo installed > ~/installed",
        run=f'cat ~/installed; echo "token: ${{#HF_TOKEN}} letters"\n{SIM} --time-per-token-ms 250',
    )
    world.host.boot()
    world.issue()
    with world.caller() as client, world.caller(EDGE) as edge:
        until(lambda: world.node(client).get("phase") == "running", world.said, limit_s=60)
        until(lambda: (a := world.ask(edge, "GET", "/v1/models")) and a.status_code == 200, world.said)
        log = world.host.root / "var/lib/tradewind/node/engine.log"
        assert "installed\ntoken: 17 letters" in log.read_text()
        assert "TLS handshake timeout; trying again" in world.host.said()
        assert "hf_a_secret_value" not in json.dumps(docker.calls())
        [name] = docker.containers()
        assert INSTANCES["gcp"] in name

        os.kill(world.pid(), signal.SIGKILL)
        until(lambda: docker.containers() == [], world.said)
        again = world.host.boot()
        until(lambda: again.poll() == 0, world.said)
        until(lambda: (a := world.ask(edge, "GET", "/v1/models")) and a.status_code == 200, world.said)
        assert docker.containers() == [name]
        assert [call[1] for call in docker.calls() if call[0] == "pull"] == ["acme/engine:1"] * 2

        asked = {"model": "tiny", "prompt": "hello", "max_tokens": 8, "stream": True}
        with edge.stream(
            "POST", "/v1/completions", json=asked, extensions={"sni_hostname": pool_name(world.pool)}
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            os.kill(world.pid(), signal.SIGTERM)
            assert [line for line in lines if line][-1] == "data: [DONE]"
    until(lambda: world.pid() is None, world.said)
    assert docker.containers() == []


def test_an_archive_that_is_not_what_the_pointer_names_is_never_run(boot):
    world = boot("aws")
    world.point("0" * 64)
    boot_process = world.host.boot()
    until(lambda: "is not what hosts/node.json names" in world.host.said(), world.said)
    assert not (world.host.root / "opt/tradewind/current").exists()
    world.point(world.made.sha256)
    until(lambda: boot_process.poll() == 0, world.said)


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_a_machine_without_a_pool_waits_and_says_why(boot, name):
    world = boot(name, pool=False)
    world.host.boot()
    until(lambda: "has no tag tradewind-pool" in world.host.said(), world.said)
    world.assign()
    world.issue()
    world.cloud.be(INSTANCES[name], pool=world.pool)
    with world.caller() as client:
        until(lambda: world.node(client).get("phase") == "running", world.said)


@pytest.mark.parametrize("name", CLOUDS)
def test_a_machine_tells_what_it_may_not_read_and_goes_on_when_it_may(boot, name):
    world = boot(name)
    world.assign()
    world.issue()
    hidden = world.secret(f"service-{SERVICE}", "HF_TOKEN")
    world.cloud.denied |= {f"assignments/{world.pool}.json", hidden}
    world.host.boot()
    with world.caller() as client:
        told = until(
            lambda: "denied" in (t := world.node(client)).get("message", "") and t["message"], world.said
        )
        assert f"assignments/{world.pool}.json: denied" in told
        world.cloud.denied.discard(f"assignments/{world.pool}.json")
        until(lambda: f"the secret {hidden}: denied" in world.node(client)["message"], world.said)
        assert world.node(client)["phase"] == "fetching"
        world.cloud.denied.clear()
        until(lambda: world.node(client)["phase"] == "running", world.said, limit_s=60)


def test_a_machine_whose_clock_is_an_hour_late_boots_and_serves(boot):
    """Its first signature is refused with the moment of AWS, and the next ones go by that."""
    world = boot("aws")
    world.cloud.skew_s = 3600
    world.assign()
    world.issue()
    world.host.boot()
    with world.caller() as client:
        until(lambda: world.node(client).get("phase") == "running", world.said)


def test_slow_metadata_and_a_store_that_fails_at_first_only_take_longer(boot):
    world = boot("gcp")
    world.cloud.slow_s = 0.3
    world.cloud.failing = [503, None, 500]
    world.assign()
    world.issue()
    world.host.boot()
    with world.caller() as client:
        until(lambda: world.node(client).get("phase") == "running", world.said)


def test_a_machine_keeps_its_release_when_it_starts_again_whatever_is_named_meanwhile(boot):
    world = boot("gcp")
    world.assign()
    world.issue()
    first = world.host.boot()
    until(lambda: first.poll() == 0, world.said)
    release, pid = world.host.current(), until(world.pid, world.said)
    world.cloud.put("hosts/node.json", pointers.pointer(archive="hosts/node-another.tar", sha256="0" * 64))
    os.kill(pid, signal.SIGKILL)
    again = world.host.boot()
    until(lambda: again.poll() == 0, world.said)
    assert world.host.current() == release
    assert until(world.pid, world.said) != pid
    with world.caller() as client:
        until(lambda: world.node(client).get("phase") == "running", world.said)


def test_nobody_without_a_certificate_of_the_environment_is_answered(boot):
    world = boot("azure")
    world.assign()
    world.issue()
    world.host.boot()
    with world.caller() as client:
        until(lambda: world.node(client).get("phase") == "running", world.said)
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(base_url=f"https://{world.address}:9443", verify=stranger, trust_env=False) as client:
        assert world.ask(client, "GET", "/v1/models") is None
    with world.caller(pool_name("other.aws.euw1-az1.L4x1.spot")) as client:
        assert world.ask(client, "GET", "/v1/models") is None
