"""The one right in Cloud DNS that the controller in Google Cloud has, and when."""

import pytest

from components.cloud import Scope
from components.identity.gcp import GcpController, GcpControllerArgs
from components.store.gcp import GcpStore, GcpStoreArgs
from policies.fixed import FREE_TYPES
from spec.stack import parse
from tests.components.dns.names_world import recorded, scope


def declared(tmp_path, *, owner="cloud_dns", mode="acme"):
    def declare():
        dns = {"owner": owner, "zone": "the-zone", "name": "llm.example.com"}
        project = {"project": "example-project", "projectNumber": "123456789012"}
        config = parse(
            {"gcp": project, "dns": dns, "tls": {"mode": mode, "email": "a@example.com"}}, file="f"
        )
        of = Scope(env="prod", cloud="gcp", config=config, provider=scope("cloud_dns", "latency").provider)
        store = GcpStore("store", GcpStoreArgs(scope=of, region="us-central1", files=tmp_path))
        GcpController("controller", GcpControllerArgs(scope=of, store=store))

    return recorded(declare)


def test_an_acme_authority_is_shown_a_record_in_the_name_s_own_zone_and_nothing_else_of_cloud_dns(tmp_path):
    world = declared(tmp_path)
    assert world.one("DnsManagedZoneIamMember")["managedZone"] == "the-zone"
    role = world.of("IAMCustomRole")["controller-may-proof"]
    assert set(role["permissions"]) == {
        "dns.changes.create",
        "dns.changes.get",
        "dns.resourceRecordSets.create",
        "dns.resourceRecordSets.delete",
        "dns.resourceRecordSets.list",
    }
    whole = [name for name, grant in world.of("IAMMember").items() if "condition" not in grant]
    assert whole == ["controller-pools"], "not on the whole project"
    assert "gcp:dns/dnsManagedZoneIamMember:DnsManagedZoneIamMember" in FREE_TYPES


@pytest.mark.parametrize("given", [{"owner": "route53"}, {"mode": "own_ca"}])
def test_where_nothing_is_proved_in_cloud_dns_the_controller_has_no_right_there(tmp_path, given):
    world = declared(tmp_path, **given)
    assert not world.of("DnsManagedZoneIamMember")
    assert "controller-may-proof" not in world.of("IAMCustomRole")
