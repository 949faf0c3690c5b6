"""Which region of Google Cloud is nearest to a region of another cloud: Cloud DNS knows places by its own names only."""

from __future__ import annotations

from spec.errors import InputError, did_you_mean

_NEAREST = {
    "aws": {
        "us-east-1": "us-east4",
        "us-east-2": "us-east5",
        "us-west-1": "us-west2",
        "us-west-2": "us-west1",
        "ca-central-1": "northamerica-northeast1",
        "ca-west-1": "us-west1",
        "mx-central-1": "northamerica-south1",
        "sa-east-1": "southamerica-east1",
        "eu-west-1": "europe-west2",
        "eu-west-2": "europe-west2",
        "eu-west-3": "europe-west9",
        "eu-central-1": "europe-west3",
        "eu-central-2": "europe-west6",
        "eu-north-1": "europe-north2",
        "eu-south-1": "europe-west8",
        "eu-south-2": "europe-southwest1",
        "il-central-1": "me-west1",
        "me-central-1": "me-central1",
        "me-south-1": "me-central2",
        "af-south-1": "africa-south1",
        "ap-south-1": "asia-south1",
        "ap-south-2": "asia-south1",
        "ap-southeast-1": "asia-southeast1",
        "ap-southeast-2": "australia-southeast1",
        "ap-southeast-3": "asia-southeast2",
        "ap-southeast-4": "australia-southeast2",
        "ap-southeast-5": "asia-southeast1",
        "ap-southeast-6": "australia-southeast1",
        "ap-southeast-7": "asia-southeast1",
        "ap-east-1": "asia-east2",
        "ap-east-2": "asia-east1",
        "ap-northeast-1": "asia-northeast1",
        "ap-northeast-2": "asia-northeast3",
        "ap-northeast-3": "asia-northeast2",
    },
    "azure": {
        "eastus": "us-east4",
        "eastus2": "us-east4",
        "centralus": "us-central1",
        "northcentralus": "us-central1",
        "southcentralus": "us-south1",
        "westcentralus": "us-west3",
        "westus": "us-west2",
        "westus2": "us-west1",
        "westus3": "us-west4",
        "canadacentral": "northamerica-northeast2",
        "canadaeast": "northamerica-northeast1",
        "mexicocentral": "northamerica-south1",
        "brazilsouth": "southamerica-east1",
        "chilecentral": "southamerica-west1",
        "northeurope": "europe-west2",
        "westeurope": "europe-west4",
        "uksouth": "europe-west2",
        "ukwest": "europe-west2",
        "francecentral": "europe-west9",
        "germanywestcentral": "europe-west3",
        "switzerlandnorth": "europe-west6",
        "swedencentral": "europe-north2",
        "norwayeast": "europe-north2",
        "polandcentral": "europe-central2",
        "austriaeast": "europe-west3",
        "italynorth": "europe-west8",
        "spaincentral": "europe-southwest1",
        "israelcentral": "me-west1",
        "uaenorth": "me-central1",
        "qatarcentral": "me-central1",
        "southafricanorth": "africa-south1",
        "centralindia": "asia-south1",
        "southindia": "asia-south1",
        "westindia": "asia-south1",
        "southeastasia": "asia-southeast1",
        "indonesiacentral": "asia-southeast2",
        "malaysiawest": "asia-southeast1",
        "eastasia": "asia-east2",
        "japaneast": "asia-northeast1",
        "japanwest": "asia-northeast2",
        "koreacentral": "asia-northeast3",
        "koreasouth": "asia-northeast3",
        "australiaeast": "australia-southeast1",
        "australiasoutheast": "australia-southeast2",
        "australiacentral": "australia-southeast1",
        "newzealandnorth": "australia-southeast1",
    },
}


def nearest(cloud: str, region: str) -> str:
    """The region of Google Cloud where a place is, or is next to. Raises InputError for a place that is not in the table."""
    if cloud == "gcp":
        return region
    known = _NEAREST.get(cloud, {})
    if region not in known:
        hint = did_you_mean(region, known)
        raise InputError(
            f"tradewind:dns: Cloud DNS needs to know where the edge in {cloud}/{region} is, and does not. "
            f"{hint + ' ' if hint else ''}Use another region, or another owner of the name."
        )
    return known[region]
