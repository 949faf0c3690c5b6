"""Names in Cloud DNS and at Cloudflare live a whole life with the real engine, and change without a gap."""

from pathlib import Path

import pytest

from tests.standins import Program, types

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

RECORD = "gcp:dns/recordSet:RecordSet"
BALANCER = "cloudflare:index/loadBalancer:LoadBalancer"


def test_names_follow_the_edges_and_the_policy_in_place_and_leave_nothing_behind(tmp_path):
    program = Program(tmp_path, (Path(__file__).parent / "programs" / "names.py").read_text())
    assert set(program.up()) == {"create"}
    assert types(program.live)["cloudflare:index/loadBalancerPool:LoadBalancerPool"] == 3

    changed = program.up(POLICY="failover")
    assert changed.keys() == {"update", "same"}, "another policy is no other record"
    assert program.live.one(BALANCER).properties["steeringPolicy"] == "off"
    assert "primaryBackup" in program.live.one(RECORD).properties["routingPolicy"]
    program.refresh(POLICY="failover")
    assert program.preview(POLICY="failover").keys() == {"same"}

    program.up(POLICY="failover", EDGES="1")
    assert types(program.live)["cloudflare:index/dnsRecord:DnsRecord"] == 1
    assert BALANCER not in types(program.live)

    program.destroy(EDGES="1")
    assert program.live.objects() == []
