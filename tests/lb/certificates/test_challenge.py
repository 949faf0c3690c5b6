"""TXT records through the three owners of zones: AWS emulated, Google's and Cloudflare's as their interfaces answer."""

import json

import boto3
import httpx
import pytest
from moto import mock_aws

from lb.certificates import challenge
from lb.certificates.challenge import CloudDns, Cloudflare, Route53
from spec.errors import OutsideError

NAME, VALUE = "_acme-challenge.llm.example.com", "the-value"


class Google:
    """A zone whose changes take two looks."""

    def __init__(self):
        self.records, self.looks = {}, 0

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        path = request.url.path.removeprefix("/dns/v1/projects/acme/managedZones/zone")
        if path == "/rrsets":
            found = self.records.get(request.url.params["name"])
            return httpx.Response(200, json={"rrsets": [found] if found else []})
        if path == "/changes":
            change = json.loads(request.content)
            for record in change.get("deletions", []):
                assert self.records.pop(record["name"]) == record
            for record in change.get("additions", []):
                assert record["name"] not in self.records, "it exists already"
                self.records[record["name"]] = record
            return httpx.Response(200, json={"id": "7", "status": "pending"})
        assert path == "/changes/7"
        self.looks += 1
        return httpx.Response(200, json={"id": "7", "status": "done" if self.looks > 1 else "pending"})

    def values(self):
        return [v.strip('"') for r in self.records.values() for v in r["rrdatas"]]


class Flare:
    """A zone."""

    def __init__(self):
        self.records, self.made = {}, 0

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        number = request.url.path.removeprefix("/client/v4/zones/zone/dns_records").strip("/")
        if request.method == "POST":
            self.made += 1
            self.records[str(self.made)] = {"id": str(self.made), **json.loads(request.content)}
        elif request.method == "DELETE":
            del self.records[number]
        else:
            wanted = request.url.params["name"]
            return httpx.Response(
                200, json={"result": [r for r in self.records.values() if r["name"] == wanted]}
            )
        return httpx.Response(200, json={"success": True, "result": {}})

    def values(self):
        return [r["content"].strip('"') for r in self.records.values()]


@pytest.fixture
def route53(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("route53", region_name="us-east-1")
        zone = client.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]

        def values():
            found = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
            return [v["Value"].strip('"') for r in found if r["Type"] == "TXT" for v in r["ResourceRecords"]]

        yield Route53(lambda: client, zone=zone), values


@pytest.fixture
def cloud_dns(monkeypatch):
    monkeypatch.setattr(challenge, "_LOOK_EVERY_S", 0.0)
    google = Google()
    client = httpx.Client(transport=httpx.MockTransport(google))
    return CloudDns(lambda: "t0ken", project="acme", zone="zone", client=client), google.values


@pytest.fixture
def cloudflare():
    flare = Flare()
    client = httpx.Client(transport=httpx.MockTransport(flare))
    return Cloudflare(lambda: "t0ken", zone="zone", client=client), flare.values


@pytest.mark.parametrize("owner", ["route53", "cloud_dns", "cloudflare"])
def test_a_record_comes_takes_the_place_of_an_older_one_and_goes(owner, request):
    records, values = request.getfixturevalue(owner)
    records.put(NAME, "of an attempt that broke off")
    records.put(NAME, VALUE)
    assert values() == [VALUE]
    records.remove(NAME, VALUE)
    assert values() == []


def test_a_record_that_does_not_come_into_force_is_given_up(cloud_dns, monkeypatch):
    monkeypatch.setattr(challenge, "IN_FORCE_WITHIN_S", -1.0)
    with pytest.raises(OutsideError, match="was not in force within"):
        cloud_dns[0].put(NAME, VALUE)


def test_a_refusal_names_the_owner_and_what_it_said():
    def refuses(_request):
        return httpx.Response(403, json={"errors": [{"message": "Authentication error"}]})

    client = httpx.Client(transport=httpx.MockTransport(refuses))
    with pytest.raises(OutsideError, match=r"Cloudflare answers 403: .*Authentication error"):
        Cloudflare(lambda: "t0ken", zone="zone", client=client).put(NAME, VALUE)
