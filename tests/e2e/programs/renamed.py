"""Components of three clouds under a name that the test chooses, with an alias for the name before. Run by Pulumi."""

import os

import pulumi
import pulumi_aws
import pulumi_azure_native
import pulumi_gcp
import pulumi_tls

from components.certificates import Certificates, CertificatesArgs
from components.cloud import NetworkArgs, Scope
from components.network.aws import AwsNetwork
from components.network.azure import AzureNetwork
from components.network.gcp import GcpNetwork
from components.store.aws import AwsStore, AwsStoreArgs
from spec.stack import parse

NAME, BEFORE = os.environ["NAME"], os.environ.get("BEFORE")
AZURE = {
    "subscriptionId": "00000000-1111-2222-3333-444444444444",
    "tenantId": "55555555-6666-7777-8888-999999999999",
}
GCP = {"project": "acme-llm", "projectNumber": "123456789012"}

config = parse({"aws": {"accountId": "123456789012"}, "gcp": GCP, "azure": AZURE}, file="Pulumi.probe.yaml")
providers = {
    "aws": pulumi_aws.Provider("aws", region="us-east-1", allowed_account_ids=["123456789012"]),
    "gcp": pulumi_gcp.Provider("gcp", project=GCP["project"]),
    "azure": pulumi_azure_native.Provider("azure", subscription_id=AZURE["subscriptionId"]),
}
PLACES = {
    "aws": (AwsNetwork, "us-east-1", ("use1-az1", "use1-az2"), "10.1.0.0/16"),
    "gcp": (GcpNetwork, "us-central1", ("us-central1-a",), "10.2.0.0/16"),
    "azure": (AzureNetwork, "eastus", (), "10.3.0.0/16"),
}


def known_as(kind):
    """Options of a component that was renamed."""
    aliases = [pulumi.Alias(name=f"{BEFORE}-{kind}")] if BEFORE else []
    return pulumi.ResourceOptions(aliases=aliases)


scopes = {c: Scope(env="probe", cloud=c, config=config, provider=p) for c, p in providers.items()}
for cloud, (network, region, zones, cidr) in PLACES.items():
    args = NetworkArgs(
        scope=scopes[cloud], region=region, zones=zones, cidr=cidr, callers={"edge": "198.51.100.7/32"}
    )
    network(f"{NAME}-{cloud}", args, known_as(cloud))
store = AwsStore(
    f"{NAME}-store", AwsStoreArgs(scope=scopes["aws"], region="us-east-1", protect=False), known_as("store")
)
Certificates(
    f"{NAME}-certificates",
    CertificatesArgs(
        env="probe",
        home="aws",
        stores={"aws": store},
        edges={"aws"},
        pools=(),
        public=True,
        protect=False,
        provider=pulumi_tls.Provider("tls"),
    ),
    known_as("certificates"),
)
