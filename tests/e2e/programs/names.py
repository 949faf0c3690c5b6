"""Names of an environment at owners that are no cloud of its machines; run by `test_names`."""

import os

import pulumi
import pulumi_cloudflare
from pulumi_gcp import Provider

from components.cloud import Scope
from components.dns import DnsArgs, Site
from components.dns.cloud_dns import CloudDns
from components.dns.cloudflare import Cloudflare
from spec.stack import parse

POLICY, EDGES = os.environ.get("POLICY", "latency"), int(os.environ.get("EDGES", "3"))
SITES = (
    Site(id="edge-a", cloud="aws", region="us-east-1", address="198.51.100.1", more=("198.51.100.2",)),
    Site(id="edge-b", cloud="gcp", region="europe-west4", address="198.51.100.3"),
    Site(id="edge-c", cloud="azure", region="eastasia", address="198.51.100.4"),
)


def args(owner, provider):
    dns = {"owner": owner, "zone": "the-zone", "name": "llm.example.com", "policy": POLICY}
    project = {"project": "example-project", "projectNumber": "123456789012"}
    config = parse({"gcp": project, "dns": dns}, file="f")
    scope = Scope(env="prod", cloud="gcp", config=config, provider=provider)
    return DnsArgs(scope=scope, dns=config.dns, sites=SITES[-EDGES:])


CloudDns("google", args("cloud_dns", Provider("gcp", project="example-project")))
token = pulumi.Output.secret("t" * 40)
Cloudflare("cloudflare", args("cloudflare", pulumi_cloudflare.Provider("cloudflare", api_token=token)))
