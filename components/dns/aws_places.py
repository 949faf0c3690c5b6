"""Which region of AWS is nearest to a region of another cloud: Route 53 measures the way to its own only."""

from __future__ import annotations

from spec.errors import InputError, did_you_mean

_NEAREST = {
    "azure": {
        "eastus": "us-east-1",
        "eastus2": "us-east-1",
        "centralus": "us-east-2",
        "northcentralus": "us-east-2",
        "southcentralus": "us-east-2",
        "westcentralus": "us-west-2",
        "westus": "us-west-1",
        "westus2": "us-west-2",
        "westus3": "us-west-1",
        "canadacentral": "ca-central-1",
        "canadaeast": "ca-central-1",
        "mexicocentral": "mx-central-1",
        "brazilsouth": "sa-east-1",
        "chilecentral": "sa-east-1",
        "northeurope": "eu-west-1",
        "westeurope": "eu-central-1",
        "uksouth": "eu-west-2",
        "ukwest": "eu-west-2",
        "francecentral": "eu-west-3",
        "germanywestcentral": "eu-central-1",
        "switzerlandnorth": "eu-central-2",
        "swedencentral": "eu-north-1",
        "norwayeast": "eu-north-1",
        "polandcentral": "eu-central-1",
        "austriaeast": "eu-central-1",
        "italynorth": "eu-south-1",
        "spaincentral": "eu-south-2",
        "israelcentral": "il-central-1",
        "uaenorth": "me-central-1",
        "qatarcentral": "me-south-1",
        "southafricanorth": "af-south-1",
        "centralindia": "ap-south-1",
        "southindia": "ap-south-2",
        "westindia": "ap-south-1",
        "southeastasia": "ap-southeast-1",
        "indonesiacentral": "ap-southeast-3",
        "malaysiawest": "ap-southeast-5",
        "eastasia": "ap-east-1",
        "japaneast": "ap-northeast-1",
        "japanwest": "ap-northeast-3",
        "koreacentral": "ap-northeast-2",
        "koreasouth": "ap-northeast-2",
        "australiaeast": "ap-southeast-2",
        "australiasoutheast": "ap-southeast-4",
        "australiacentral": "ap-southeast-2",
        "newzealandnorth": "ap-southeast-6",
    },
    "gcp": {
        "us-central1": "us-east-2",
        "us-east1": "us-east-1",
        "us-east4": "us-east-1",
        "us-east5": "us-east-2",
        "us-south1": "us-east-2",
        "us-west1": "us-west-2",
        "us-west2": "us-west-1",
        "us-west3": "us-west-2",
        "us-west4": "us-west-1",
        "northamerica-northeast1": "ca-central-1",
        "northamerica-northeast2": "ca-central-1",
        "northamerica-south1": "mx-central-1",
        "southamerica-east1": "sa-east-1",
        "southamerica-west1": "sa-east-1",
        "europe-west1": "eu-west-3",
        "europe-west2": "eu-west-2",
        "europe-west3": "eu-central-1",
        "europe-west4": "eu-central-1",
        "europe-west6": "eu-central-2",
        "europe-west8": "eu-south-1",
        "europe-west9": "eu-west-3",
        "europe-west10": "eu-central-1",
        "europe-west12": "eu-south-1",
        "europe-north1": "eu-north-1",
        "europe-north2": "eu-north-1",
        "europe-central2": "eu-central-1",
        "europe-southwest1": "eu-south-2",
        "me-west1": "il-central-1",
        "me-central1": "me-south-1",
        "me-central2": "me-south-1",
        "africa-south1": "af-south-1",
        "asia-south1": "ap-south-1",
        "asia-south2": "ap-south-1",
        "asia-southeast1": "ap-southeast-1",
        "asia-southeast2": "ap-southeast-3",
        "asia-east1": "ap-east-2",
        "asia-east2": "ap-east-1",
        "asia-northeast1": "ap-northeast-1",
        "asia-northeast2": "ap-northeast-3",
        "asia-northeast3": "ap-northeast-2",
        "australia-southeast1": "ap-southeast-2",
        "australia-southeast2": "ap-southeast-4",
    },
}


def nearest(cloud: str, region: str) -> str:
    """The region of AWS where a place is, or is next to. Raises InputError for a place that is not in the table."""
    if cloud == "aws":
        return region
    known = _NEAREST.get(cloud, {})
    if region not in known:
        hint = did_you_mean(region, known)
        raise InputError(
            f"tradewind:dns.policy: latency needs to know where the edge in {cloud}/{region} is, and does not. "
            f"{hint + ' ' if hint else ''}Use `policy: failover`, or another region."
        )
    return known[region]
