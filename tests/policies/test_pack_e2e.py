"""The pack under the real engine, called as the command line calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi import automation as auto

from policies.config import policy_config
from spec.stack import Limits, StackConfig
from tools import pulumi_cli

ROOT = Path(__file__).parent.parent.parent
PACK = ROOT / "policies" / "pack"

pytestmark = pytest.mark.e2e

PROJECT = "name: judged\nruntime: python\n"

PROGRAM = """
import pulumi
from pulumi import dynamic


class Group(pulumi.ComponentResource):
    def __init__(self, type_, name, props, opts=None):
        super().__init__(type_, name, props, opts)
        self.register_outputs(props)


def service(**scaling):
    limits = {"min_replicas": 2, "max_replicas": 2, "surge": 1, "num_overprovision": 0}
    limits |= {"base_ondemand_fallback_replicas": 0, "dynamic_ondemand_fallback": False}
    limits |= {"upscale_delay_s": 300, "downscale_delay_s": 1200, "slo": 99, **scaling}
    return Group("tradewind:service:Service", "chat", {"service": "chat", "scaling": limits, "numNodes": 1})


def pool(zone, price):
    name = f"chat.local.{zone}.L4x1.spot"
    props = {"poolId": name, "service": "chat", "cloud": "local", "region": zone[:-2], "zone": zone}
    props |= {"market": "spot", "accelerator": "L4", "acceleratorCount": 1, "instanceTypes": ["local-l4"]}
    props |= {"capacityUnits": 1, "maxSize": 3, "priceUsdHour": price, "token": pulumi.Output.secret("hush")}
    Group("tradewind:local:Pool", name, props)

"""

TWO_POOLS = 'service()\npool("local-east-a", 2.4)\npool("local-east-b", 1.4)\n'

UNKNOWNS = """
class Meter(dynamic.ResourceProvider):
    def create(self, props):
        return dynamic.CreateResult("id", {"usd": 1.0})


class Price(dynamic.Resource):
    usd: pulumi.Output[float]

    def __init__(self, name):
        super().__init__(Meter(), name, {"usd": None})


service()
pool("local-east-a", 2.4)
pool("local-east-b", Price("meter").usd)
pool("local-west-a", Price("other").usd)
"""


@pytest.fixture
def preview(tmp_path, monkeypatch):
    """Previews a program under the pack; gives whether it passed, and its policy events."""
    folder = pulumi_cli.find()
    if folder is None:
        pytest.skip("no Pulumi CLI; `make setup` gets one")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name in ("program", "backend", "home"):
        (tmp_path / name).mkdir()
    env = {
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }

    def run(program, limits):
        (tmp_path / "program" / "Pulumi.yaml").write_text(PROJECT)
        (tmp_path / "program" / "__main__.py").write_text(PROGRAM + program)
        config = tmp_path / "policy-config.json"
        config.write_text(json.dumps(policy_config(StackConfig(limits=limits))))
        options = auto.LocalWorkspaceOptions(env_vars=env)
        stack = auto.create_or_select_stack("dev", work_dir=str(tmp_path / "program"), opts=options)
        events = []
        try:
            stack.preview(
                policy_packs=[str(PACK)],
                policy_pack_configs=[str(config)],
                on_event=lambda e: events.append(e.policy_event) if e.policy_event else None,
            )
        except auto.CommandError:
            if not events:  # it failed for another reason
                raise
            return False, events
        return True, events

    return run


def test_a_stack_beyond_its_limits_is_refused_with_figure_limit_and_pool(preview):
    passed, events = preview(TWO_POOLS, Limits(expected_usd_hour=3, worst_usd_hour=5, runaway_usd_hour=12))
    assert not passed
    [event] = events
    assert (event.policy_pack_name, event.policy_name, event.enforcement_level) == (
        "tradewind",
        "cost-worst",
        "mandatory",
    )
    assert event.message.splitlines()[-1] == (
        "worst case is 7.20 USD/hour, limit 5.00 (tradewind:limits.worstUsdHour): service chat, 3 replicas "
        "(max_replicas 2 + surge 1) x 2.40 in pool chat.local.local-east-a.L4x1.spot. "
        "Lower max_replicas or raise the limit."
    )


def test_a_stack_within_its_limits_passes_in_silence(preview):
    limits = Limits(expected_usd_hour=2.8, worst_usd_hour=7.2, worst_usd_month=5256, runaway_usd_hour=11.4)
    assert preview(TWO_POOLS, limits) == (True, [])


def test_unknown_prices_and_unknown_types_are_each_refused_even_without_limits(preview):
    passed, events = preview(UNKNOWNS, Limits())
    assert not passed
    assert {(e.policy_name, e.enforcement_level) for e in events} == {("prices-known", "mandatory")}
    said = {e.resource_urn.split("::")[-1]: e.message for e in events}
    assert set(said) == {
        "chat.local.local-east-b.L4x1.spot",
        "chat.local.local-west-a.L4x1.spot",
        "meter",
        "other",
    }
    assert "price unknown at preview: its priceUsdHour" in said["chat.local.local-east-b.L4x1.spot"]
    assert "pulumi-python:dynamic:Resource" in said["meter"]
    assert not any("hush" in message for message in said.values())


def test_the_folder_is_a_pack_too_wherever_it_is_started(tmp_path):
    """As the language host of a current CLI starts it; it answers with its port."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(PACK.parent)]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as pack:
        try:
            assert pack.stdout
            assert int(pack.stdout.readline()) > 0
        finally:
            pack.kill()
