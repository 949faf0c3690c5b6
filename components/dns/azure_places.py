"""Which region of Azure is nearest to a region of another cloud: Traffic Manager measures the way to its own only."""

from __future__ import annotations

from spec.errors import InputError, did_you_mean

_NEAREST = {
    "aws": {
        "us-east-1": "eastus",
        "us-east-2": "eastus2",
        "us-west-1": "westus",
        "us-west-2": "westus2",
        "ca-central-1": "canadaeast",
        "ca-west-1": "westus2",
        "mx-central-1": "mexicocentral",
        "sa-east-1": "brazilsouth",
        "eu-west-1": "northeurope",
        "eu-west-2": "uksouth",
        "eu-west-3": "francecentral",
        "eu-central-1": "germanywestcentral",
        "eu-central-2": "switzerlandnorth",
        "eu-north-1": "swedencentral",
        "eu-south-1": "italynorth",
        "eu-south-2": "spaincentral",
        "il-central-1": "israelcentral",
        "me-central-1": "uaenorth",
        "me-south-1": "qatarcentral",
        "af-south-1": "southafricawest",
        "ap-south-1": "westindia",
        "ap-south-2": "southindia",
        "ap-southeast-1": "southeastasia",
        "ap-southeast-2": "australiaeast",
        "ap-southeast-3": "indonesiacentral",
        "ap-southeast-4": "australiasoutheast",
        "ap-southeast-5": "malaysiawest",
        "ap-southeast-7": "southeastasia",
        "ap-east-1": "eastasia",
        "ap-northeast-1": "japaneast",
        "ap-northeast-2": "koreacentral",
        "ap-northeast-3": "japanwest",
    },
    "gcp": {
        "us-central1": "centralus",
        "us-east1": "eastus",
        "us-east4": "eastus",
        "us-east5": "eastus2",
        "us-south1": "southcentralus",
        "us-west1": "westus2",
        "us-west2": "westus",
        "us-west3": "westcentralus",
        "us-west4": "westus3",
        "northamerica-northeast1": "canadaeast",
        "northamerica-northeast2": "canadacentral",
        "northamerica-south1": "mexicocentral",
        "southamerica-east1": "brazilsouth",
        "southamerica-west1": "chilecentral",
        "europe-west1": "westeurope",
        "europe-west2": "uksouth",
        "europe-west3": "germanywestcentral",
        "europe-west4": "westeurope",
        "europe-west6": "switzerlandnorth",
        "europe-west8": "italynorth",
        "europe-west9": "francecentral",
        "europe-west10": "germanynorth",
        "europe-west12": "italynorth",
        "europe-north1": "swedencentral",
        "europe-north2": "swedencentral",
        "europe-central2": "polandcentral",
        "europe-southwest1": "spaincentral",
        "me-west1": "israelcentral",
        "me-central1": "qatarcentral",
        "me-central2": "qatarcentral",
        "africa-south1": "southafricanorth",
        "asia-south1": "westindia",
        "asia-south2": "centralindia",
        "asia-southeast1": "southeastasia",
        "asia-southeast2": "indonesiacentral",
        "asia-east1": "eastasia",
        "asia-east2": "eastasia",
        "asia-northeast1": "japaneast",
        "asia-northeast2": "japanwest",
        "asia-northeast3": "koreacentral",
        "australia-southeast1": "australiaeast",
        "australia-southeast2": "australiasoutheast",
    },
}


def nearest(cloud: str, region: str) -> str:
    """The region of Azure where a place is, or is next to. Raises InputError for a place that nobody has measured."""
    if cloud == "azure":
        return region
    known = _NEAREST[cloud]
    if region not in known:
        raise InputError(
            f"tradewind:dns.policy: latency needs to know where the edge in {cloud}/{region} is, and does not. "
            f"{did_you_mean(region, known) or ''} Use `policy: failover`, or another region.".replace(
                "  ", " "
            )
        )
    return known[region]
