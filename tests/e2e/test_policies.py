"""The whole pack under the real engine: a program that breaks every policy, and one that nobody can judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.config import policy_config
from spec.policies import PARAMETERS
from spec.stack import parse
from tests.standins import ROOT, Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PROGRAMS = Path(__file__).parent / "programs"
HIDDEN = "sk-live-abcdefghijklmnopqrstuvwxyz012345"
STRICT = {
    "limits": {"expectedUsdHour": 0.1, "worstUsdHour": 1, "runawayUsdHour": 1},
    "policies": {
        "prices-fresh": {"days": 1},
        "service-cost": {"usdHour": 1},
        "cloud-cost": {"usdHour": 1},
        "spot-share": {"min": 0.9},
        "on-demand-cap": {"usdHour": 1},
        "accelerator-price": {"usdHour": 0.1},
        "allowed-clouds": {"allowed": ["azure"]},
        "allowed-regions": {"allowed": ["eu-north-1"]},
        "allowed-accelerators": {"allowed": ["H100"]},
        "allowed-instance-types": {"allowed": ["p5.48xlarge"]},
        "max-replicas": {"max": 10},
    },
}


def judged(tmp_path, program, settings):
    """Messages by policy."""
    config = tmp_path / "policy-config.json"
    config.write_text(json.dumps(policy_config(parse(settings, file="Pulumi.probe.yaml"))))
    run = Program(tmp_path, (PROGRAMS / program).read_text())
    events = run.judged([str(ROOT / "policies" / "pack")], [str(config)])
    said = {}
    for event in events:
        said.setdefault(event.policy_name, []).append(event.message.splitlines()[-1])
        assert event.enforcement_level == "mandatory", event.message
    assert HIDDEN not in str(said)
    return said


def test_a_program_that_breaks_everything_hears_of_each_policy_by_name(tmp_path):
    said = judged(tmp_path, "violations.py", STRICT)
    assert set(PARAMETERS) - set(said) == set()
    assert "natGateway" in " ".join(said["prices-known"])
    assert said["no-ssh"] == [
        "door: lets somebody reach port 22. Machines are looked into through their cloud's own session service."
    ]
    assert {message.partition(":")[0] for message in said["no-static-keys"]} == {"key", "robot"}


def test_what_cannot_be_judged_is_refused_by_each_policy_that_would_have_to_know(tmp_path):
    said = judged(tmp_path, "unknowns.py", {"limits": STRICT["limits"]})
    needs_to_know = {
        "cost-expected",
        "cost-worst",
        "cost-runaway",
        "prices-known",
        "open-ports",
        "no-ssh",
        "replica-ingress",
        "encrypted-disks",
        "private-buckets",
        "metadata-v2",
        "no-secrets-in-clear",
        "cost-tags",
        "tls",
        "rules-aws",
        "rules-gcp",
        "rules-azure",
    }
    assert needs_to_know - set(said) == set()
    for name in needs_to_know - {"cost-expected", "cost-worst", "cost-runaway"}:
        assert any("known only after the update" in message for message in said[name]), (name, said[name])
