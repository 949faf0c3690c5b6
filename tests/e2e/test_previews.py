"""`make preview` of the shipped environments, as a newcomer runs it: no login, no plugins, no key."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.checkout import ROOT, private_checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    with private_checkout(tmp_path_factory.mktemp("p")) as place:
        place.stack = "staging"
        yield place
        place.stack = "dev"


def tw(place, *args):
    nobody = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")}
    nobody |= {
        "HOME": str(place.root),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    return subprocess.run(
        [place.root / "tw", *args],
        cwd=place.root,
        env=nobody,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def files(place, stack):
    folder = place.root / ".tradewind" / "preview" / stack
    resources, cost = (json.loads((folder / f"{n}.json").read_text()) for n in ("resources", "cost"))
    return resources, cost, (folder / "comment.md").read_text()


@pytest.mark.parametrize(
    ("stack", "clouds"), [("staging", {"aws"}), ("prod", {"aws", "gcp", "azure-native"})]
)
def test_a_shipped_environment_is_previewed_priced_and_judged_without_credentials(checkout, stack, clouds):
    committed = (checkout.root / f"Pulumi.{stack}.yaml").read_bytes()
    done = tw(checkout, "preview", "--stack", stack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no credentials: stand-ins for" in done.stdout
    resources, cost, comment = files(checkout, stack)
    hint = f"no forecast: ./tw plan --stack {stack} --forecast makes it; on demand $"
    assert hint in done.stdout
    assert hint in comment
    assert [s["forecast"]["spot"] for s in cost["services"]] == [None]
    assert {r["type"].partition(":")[0] for r in resources} >= clouds
    assert {r["op"] for r in resources} == {"create"}
    assert not [r["urn"] for r in resources if "pulumi:providers:" in r["urn"] and "::default" in r["urn"]]
    assert all(p["passed"] for p in cost["policies"])
    assert (
        cost["total"]["expected_usd_hour"]
        < cost["total"]["worst_usd_hour"]
        < cost["total"]["runaway_usd_hour"]
    )
    assert cost["total"]["idle_usd_month"] > 0
    assert comment.startswith(f"<!-- tradewind preview {stack} -->")
    assert (checkout.root / f"Pulumi.{stack}.yaml").read_bytes() == committed


def test_machines_of_gangs_reach_each_other_in_every_cloud_and_the_policies_agree(checkout):
    path = checkout.root / "services" / "llama-70b.yaml"
    single = path.read_text()
    path.write_text(f"num_nodes: 2\n{single}")
    try:
        done = tw(checkout, "preview", "--stack", "prod")
        resources, cost, _ = files(checkout, "prod")
    finally:
        path.write_text(single)
    assert done.returncode == 0, done.stdout + done.stderr
    between = {r["type"].partition(":")[0] for r in resources if "peers-" in r["urn"].rpartition("::")[2]}
    assert between == {"aws", "gcp", "azure-native"}
    ingress = [p for p in cost["policies"] if p["name"] in ("open-ports", "no-ssh", "replica-ingress")]
    assert [p["passed"] for p in ingress] == [True] * 3


def test_what_is_reserved_in_three_clouds_is_declared_and_counted_and_no_provider_refuses_it(checkout):
    group = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/llm"
    reserved = {
        "aws/use1-az4": {"p4d.24xlarge": {"machines": 1, "name": "cr-0123456789abcdef0"}},
        "gcp/us-central1-a": {"a2-ultragpu-4g": {"machines": 1, "name": "llm"}},
        "azure/eastus": {"Standard_NC96ads_A100_v4": {"machines": 1, "name": group}},
    }
    path, lock = checkout.root / "Pulumi.prod.yaml", checkout.root / "pools.prod.lock"
    whole, held = path.read_text(), lock.read_text()
    lock.unlink()  # it holds the pools of before
    settings = yaml.safe_load(whole)
    settings["config"]["tradewind:reservations"] = reserved
    high = dict.fromkeys(("expectedUsdHour", "worstUsdHour", "runawayUsdHour"), 10_000)
    settings["config"]["tradewind:limits"] = high  # reserved machines are dear, and used first
    path.write_text(yaml.safe_dump(settings))
    try:
        done = tw(checkout, "preview", "--stack", "prod")
        resources, cost, _ = files(checkout, "prod")
    finally:
        path.write_text(whole)
        lock.write_text(held)
    assert done.returncode == 0, done.stdout + done.stderr
    pools = {r["urn"].rpartition("::")[2] for r in resources if r["urn"].endswith(".reserved")}
    assert {pool.split(".")[1] for pool in pools} == {"aws", "gcp", "azure"}
    assert all(p["passed"] for p in cost["policies"])


def test_an_environment_of_several_stacks_is_previewed_stack_by_stack(checkout):
    path = checkout.root / "Pulumi.prod.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("config:\n", "config:\n  tradewind:apart: [azure]\n", 1))
    part = "config: {'tradewind:part': {of: prod, cloud: azure}, 'pulumi:disable-default-providers': ['*']}\n"
    (checkout.root / "Pulumi.prod-azure.yaml").write_text(part)
    try:
        found = {}
        for stack in ("prod", "prod-azure"):
            done = tw(checkout, "preview", "--stack", stack)
            assert done.returncode == 0, done.stdout + done.stderr
            resources, cost, _ = files(checkout, stack)
            found[stack] = {r["type"].partition(":")[0] for r in resources} & {"aws", "gcp", "azure-native"}
            assert all(p["passed"] for p in cost["policies"])
        assert found == {"prod": {"aws", "gcp"}, "prod-azure": {"azure-native"}}
        assert (checkout.root / "Pulumi.prod-azure.yaml").read_text() == part
    finally:
        path.write_text(whole)


def test_the_policies_count_to_the_cent_what_the_plan_counts(checkout):
    if not (checkout.root / ".tradewind" / "preview" / "staging" / "cost.json").exists():
        tw(checkout, "preview", "--stack", "staging")
    _, cost, _ = files(checkout, "staging")
    figures = {f: cost["total"][f"{f}_usd_hour"] for f in ("expected", "worst", "runaway")}
    limits = checkout.configured("limits")
    checkout.configure(limits={f"{name}UsdHour": usd + 0.001 for name, usd in figures.items()})
    assert tw(checkout, "preview", "--stack", "staging").returncode == 0
    checkout.configure(limits={f"{name}UsdHour": usd - 0.001 for name, usd in figures.items()})
    refused = tw(checkout, "preview", "--stack", "staging")
    checkout.configure(limits=limits)
    assert refused.returncode == 4
    for name in figures:
        assert f"cost-{name}: " in refused.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_nothing_is_ever_deployed_with_stand_ins(checkout, command):
    done = tw(checkout, command, "--stack", "staging")
    assert done.returncode == 3
    assert "can only be previewed from here: it needs your own Pulumi" in done.stderr
    assert (ROOT / "docs" / "first-real-deployment.md").exists()
