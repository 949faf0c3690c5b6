"""The environment's bucket and secrets in Google Cloud.

The bucket's name is taken worldwide, so it is made of the environment and the project. What can not be had back easily
is guarded by Pulumi's `protect`, not by Google: an unprotected environment is gone whole when it is destroyed, with
the objects that the controller wrote.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi_gcp import secretmanager, storage

from components.cloud import Scope
from components.gcp import labels, project
from spec.names import cloud_name, secret_name

_CHURN = ("status.json", "lease/", "edges/", "history.jsonl.gz")
"""Written every few seconds: their old versions are worth a day."""
_KEPT_DAYS = 30
"""For which a version of anything else that was overwritten or deleted can be had back."""


@dataclass(frozen=True, kw_only=True)
class GcpStoreArgs:
    """`region`: of bucket and secrets; the controller's own where GCP is its home.

    `files`: a folder of this machine, for content that is no text: the provider uploads that from a file only.
    `protect`: whether Pulumi refuses to delete the bucket.
    """

    scope: Scope
    region: str
    files: Path
    protect: bool = True


class GcpStore(pulumi.ComponentResource):
    """A `components.cloud.Store`. `bucket`: its name, `made`: the same once it is there."""

    def __init__(self, name: str, args: GcpStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:store:GcpStore", name, {}, opts)
        self._scope, self._files = args.scope, args.files
        self._labels = labels(args.scope)
        self.bucket = bucket_name(args.scope)
        self.url = f"gs://{self.bucket}"
        kept = pulumi.ResourceOptions(protect=args.protect)
        self.made = storage.Bucket(
            name,
            name=self.bucket,
            location=args.region,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,  # also what rights on single keys need
            public_access_prevention="enforced",
            versioning=storage.BucketVersioningArgs(enabled=True),
            # Old versions are kept already. What is deleted for good would be paid for a week more.
            soft_delete_policy=storage.BucketSoftDeletePolicyArgs(retention_duration_seconds=0),
            lifecycle_rules=[_old_versions(_CHURN, days=1), _old_versions((), days=_KEPT_DAYS), _leftovers()],
            force_destroy=True,
            labels=self._labels,
            opts=pulumi.ResourceOptions.merge(args.scope.child(self), kept),
        ).name
        self.register_outputs({"url": self.url})

    def write(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | bytes | pulumi.FileAsset,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares an object of the bucket."""
        text = None if isinstance(content, bytes | pulumi.FileAsset) else content
        return storage.BucketObject(
            name,
            name=key,
            bucket=self.made,
            content=text,
            source=self._file(content) if isinstance(content, bytes | pulumi.FileAsset) else None,
            content_type=mimetypes.guess_type(key)[0] or "application/octet-stream",
            # The next object of a key has the key of the one before: deleted afterwards, both would be gone.
            opts=self._below(opts, delete_before_replace=True),
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
        """Declares the secret `spec.names.secret_name("gcp", env, owner, name)`.

        `renewed`: the controller writes later versions, so that the declared value is only the first.
        """
        called = secret_name("gcp", self._scope.env, owner, name)
        secret = secretmanager.Secret(
            f"{owner}-{name}-gcp",
            secret_id=called,
            # Wherever Google likes: machines of all regions read it, also when one region is gone.
            replication=secretmanager.SecretReplicationArgs(auto=secretmanager.SecretReplicationAutoArgs()),
            labels=self._labels,
            opts=self._below(opts),
        )
        return secretmanager.SecretVersion(
            f"{owner}-{name}-gcp-value",
            secret=secret.id,
            secret_data=pulumi.Output.secret(value),
            opts=self._below(opts, ignore_changes=["secretData"] if renewed else None),
        )

    def _below(self, opts: pulumi.ResourceOptions, **ours: Any) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(provider=self._scope.provider, **ours)
        return pulumi.ResourceOptions.merge(opts, own)

    def _file(self, content: bytes | pulumi.FileAsset) -> pulumi.FileAsset:
        if isinstance(content, pulumi.FileAsset):
            return content
        file = self._files / hashlib.sha256(content).hexdigest()
        if not file.exists():
            self._files.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_bytes(content)
            part.rename(file)
        return pulumi.FileAsset(str(file))


def bucket_name(scope: Scope) -> str:
    """As `tradewind:home.bucket` says where GCP is home; else of environment and project."""
    home = scope.config.home
    chosen = home.bucket if home is not None and home.cloud == "gcp" else ""
    return chosen or cloud_name(scope.env, project(scope).project)


def _old_versions(prefixes: tuple[str, ...], *, days: int) -> Any:
    return storage.BucketLifecycleRuleArgs(
        action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
        condition=storage.BucketLifecycleRuleConditionArgs(
            days_since_noncurrent_time=days, matches_prefixes=list(prefixes) or None, with_state="ARCHIVED"
        ),
    )


def _leftovers() -> Any:
    return storage.BucketLifecycleRuleArgs(
        action=storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
        condition=storage.BucketLifecycleRuleConditionArgs(age=1),
    )
