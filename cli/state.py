"""The state bucket of a stack in the clouds, opened with the user's own login to its cloud."""

from __future__ import annotations

from lb.bucket import Bucket, open_bucket
from spec.errors import OutsideError


def open_state(url: str, region: str) -> Bucket:
    """As the cloud's own tools would log in. `region`: of an S3 bucket. Raises InputError, and OutsideError without a login."""
    if url.startswith("s3://"):
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            return open_bucket(url, credentials=Boto3CredentialProvider(), region=region)
        except ValueError:
            raise OutsideError(f"{url}: no login to AWS; `aws sts get-caller-identity` must work") from None
    if url.startswith("az://"):
        from obstore.auth.azure import AzureCredentialProvider

        return open_bucket(url, credentials=AzureCredentialProvider())
    return open_bucket(url)
