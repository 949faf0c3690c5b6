"""For whom the tokens are that the controller shows to each cloud: known before anything is there, and without a cloud's SDK."""

from __future__ import annotations

from spec.errors import InputError
from spec.names import cloud_name
from spec.stack import StackConfig

AWS = "sts.amazonaws.com"
AZURE = "api://AzureADTokenExchange"
"""Fixed by Azure for tokens that its identities and others exchange."""

GCP_PROVIDER = "home"
LONGEST_GCP_POOL = 32


def audience(cloud: str, env: str, config: StackConfig) -> str:
    """Of the tokens that this cloud takes from the controller of another one."""
    return {"aws": AWS, "azure": AZURE}.get(cloud) or f"https:{gcp_provider(env, config)}"


def gcp_pool(env: str, config: StackConfig) -> str:
    """Of the workload identity pool: 4 to 32 of a-z, 0-9 and -. Google keeps the name of a deleted one for 30 days."""
    what = "home" if config.incarnation == 1 else f"home-{config.incarnation}"
    return cloud_name(env, what, limit=LONGEST_GCP_POOL)


def gcp_provider(env: str, config: StackConfig) -> str:
    """The full name of the provider that believes the controller of another cloud. Raises InputError without a project."""
    if config.gcp is None:
        raise InputError("tradewind:gcp is missing. Add `project` and `projectNumber`.")
    place = f"projects/{config.gcp.project_number}/locations/global/workloadIdentityPools"
    return f"//iam.googleapis.com/{place}/{gcp_pool(env, config)}/providers/{GCP_PROVIDER}"
