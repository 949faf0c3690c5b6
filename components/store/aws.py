"""The environment's bucket and secrets in AWS.

The bucket's name is computed, because machines, rights and the desired state name it before it is there. What can not
be had back easily is guarded by Pulumi's `protect`, not by AWS: an unprotected environment is gone whole when it is
destroyed, with the objects that the controller wrote.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import s3, secretsmanager

from components.aws import account_id
from components.cloud import Scope
from spec.names import cloud_name, secret_name

_CHURN = ("status.json", "lease/", "edges/", "history.jsonl.gz")
"""Written every few seconds: their old versions are worth a day."""
_KEPT_DAYS = 30
"""For which a version of anything else that was overwritten or deleted can be had back."""


@dataclass(frozen=True, kw_only=True)
class AwsStoreArgs:
    """`region`: of bucket and secrets; the controller's own where AWS is its home.

    `protect`: whether Pulumi refuses to delete the bucket.
    """

    scope: Scope
    region: str
    protect: bool = True


class AwsStore(pulumi.ComponentResource):
    """A `components.cloud.Store`. `bucket`: its name, `region`: of it and of the secrets."""

    def __init__(self, name: str, args: AwsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:store:AwsStore", name, {}, opts)
        self._name, self._scope, self._opts = name, args.scope, args.scope.child(self)
        self.region = args.region
        self.bucket = bucket_name(args.scope, args.region)
        self.url = f"s3://{self.bucket}"
        made = s3.Bucket(
            name,
            region=args.region,
            bucket=self.bucket,
            force_destroy=True,
            tags=args.scope.tags,
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(protect=args.protect)),
        )
        self._made = made.bucket
        self._closed()
        self._versions()
        self.register_outputs({"url": self.url})

    def write(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | bytes | pulumi.FileAsset,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares an object of the bucket."""
        as_file = content if isinstance(content, pulumi.FileAsset) else None
        as_bytes = base64.b64encode(content).decode() if isinstance(content, bytes) else None
        return s3.BucketObjectv2(
            name,
            region=self.region,
            bucket=self._made,
            key=key,
            source=as_file,
            content_base64=as_bytes,
            content=None if isinstance(content, bytes | pulumi.FileAsset) else content,
            opts=self._below(opts),
        )

    def secret(
        self,
        name: str,
        *,
        owner: str,
        value: pulumi.Input[str],
        renewed: bool = False,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares the secret `spec.names.secret_name("aws", env, owner, name)`.

        `renewed`: the controller writes later versions, so that the declared value is only the first.
        """
        called = secret_name("aws", self._scope.env, owner, name)
        secret = secretsmanager.Secret(
            f"{owner}-{name}-aws",
            region=self.region,
            name=called,
            # A deleted secret would keep its name for a week at least, and the environment could not come back.
            recovery_window_in_days=0,
            tags=self._scope.tags,
            opts=self._below(opts),
        )
        first_only = pulumi.ResourceOptions(ignore_changes=["secretString"] if renewed else [])
        return secretsmanager.SecretVersion(
            f"{owner}-{name}-aws-value",
            region=self.region,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(value),
            opts=pulumi.ResourceOptions.merge(self._below(opts), first_only),
        )

    def _below(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=self._scope.provider))

    def _closed(self) -> None:
        """To the public, to other accounts' ownership, and to anything but TLS; encrypted at rest."""
        private = s3.BucketPublicAccessBlock(
            f"{self._name}-private",
            region=self.region,
            bucket=self._made,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._opts,
        )
        s3.BucketOwnershipControls(
            f"{self._name}-owner",
            region=self.region,
            bucket=self._made,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._opts,
        )
        s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            region=self.region,
            bucket=self._made,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self._opts,
        )
        s3.BucketPolicy(
            f"{self._name}-tls",
            region=self.region,
            bucket=self._made,
            policy=tls_only(self.bucket),
            # S3 refuses the two at the same moment.
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[private])),
        )

    def _versions(self) -> None:
        """What was overwritten can be had back for a while, and then is gone by itself."""
        versioned = s3.BucketVersioning(
            f"{self._name}-versions",
            region=self.region,
            bucket=self._made,
            versioning_configuration={"status": "Enabled"},
            opts=self._opts,
        )
        s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            region=self.region,
            bucket=self._made,
            rules=[
                *(_old_versions_of(prefix, days=1) for prefix in _CHURN),
                _old_versions_of("", days=_KEPT_DAYS),
                {
                    "id": "leftovers",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"expired_object_delete_marker": True},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                },
            ],
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[versioned])),
        )


def bucket_name(scope: Scope, region: str) -> str:
    """As `tradewind:home.bucket` says where AWS is home; else of environment, account and region."""
    home = scope.config.home
    chosen = home.bucket if home is not None and home.cloud == "aws" else ""
    return chosen or cloud_name(scope.env, f"{account_id(scope)}-{region}")


def tls_only(bucket: str) -> str:
    """A bucket's policy: nothing without TLS, for anybody."""
    arn = f"arn:aws:s3:::{bucket}"
    deny = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [deny]})


def _old_versions_of(prefix: str, *, days: int) -> Any:
    return {
        "id": f"old-{prefix or 'all'}",
        "status": "Enabled",
        "filter": {"prefix": prefix},
        "noncurrent_version_expiration": {"noncurrent_days": days},
    }
