"""User data: small, plain, the same through updates, and whole when cloud-init has read it."""

import json
from pathlib import Path

import pytest
import yaml

from components.boot import cloud_init

BOOT = Path(cloud_init.__file__).parent
COMMON = {"cloud": "aws", "env": "prod", "region": "eu-west-1", "bucket": "s3://state", "store": "eu-west-1"}
TEXTS = {
    "node": cloud_init.node(**COMMON, service="chat"),
    "edge": cloud_init.edge(**COMMON, edge_id="edge-prod-1", number=2),
    "controller": cloud_init.controller(**COMMON),
}


def written(text):
    return {file["path"]: file["content"] for file in yaml.safe_load(text)["write_files"]}


@pytest.mark.parametrize("role", TEXTS)
def test_every_role_fits_into_the_smallest_limit_of_the_clouds(role):
    text = TEXTS[role]
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) <= 16 * 1024


@pytest.mark.parametrize("role", TEXTS)
def test_the_machine_gets_the_program_byte_for_byte_and_a_unit_that_runs_it_at_each_start(role):
    files = written(TEXTS[role])
    assert files["/opt/tradewind/fetch.py"] == (BOOT / "fetch.py").read_text()
    assert (
        "ExecStart=/usr/bin/python3 /opt/tradewind/fetch.py"
        in files["/etc/systemd/system/tradewind-boot.service"]
    )
    assert ["systemctl", "enable", "--now", "--no-block", "tradewind-boot.service"] in yaml.safe_load(
        TEXTS[role]
    )["runcmd"]


def test_a_machine_is_told_who_it_is_and_where_its_bucket_is_and_nothing_of_the_code():
    facts = {role: json.loads(written(text)["/etc/tradewind/host.json"]) for role, text in TEXTS.items()}
    same = {"schema": 1, **COMMON}
    assert facts["node"] == {**same, "role": "node", "service": "chat"}
    assert facts["edge"] == {**same, "role": "edge", "edge_id": "edge-prod-1", "number": 2}
    assert facts["controller"] == {**same, "role": "controller", "number": 1}


def test_a_machine_whose_template_is_its_pools_alone_is_told_its_pool_and_others_ask_their_metadata():
    def host(**pool):
        return json.loads(
            written(cloud_init.node(**COMMON, service="chat", **pool))["/etc/tradewind/host.json"]
        )

    assert host(pool="chat.azure.eastus.T4x1.spot")["pool"] == "chat.azure.eastus.T4x1.spot"
    assert "pool" not in host()
