"""The parts of each cloud that an environment uses; others are not loaded, because their SDKs take seconds."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi

from components.cloud import Scope
from components.parts import Parts, PartsArgs
from spec.errors import InputError
from spec.stack import StackConfig


def scopes(env: str, config: StackConfig, clouds: Iterable[str], parent: pulumi.Resource) -> dict[str, Scope]:
    """An explicit provider for each cloud. Raises InputError when an account is missing."""
    return {cloud: scope(env, config, cloud, parent) for cloud in clouds}


def scope(env: str, config: StackConfig, cloud: str, parent: pulumi.Resource) -> Scope:
    """One cloud's."""
    return Scope(env=env, cloud=cloud, config=config, provider=_provider(config, cloud, parent))


def open_parts(args: PartsArgs) -> Parts:
    """The cloud's class."""
    if args.scope.cloud == "aws":
        from components.parts.aws import AwsParts

        return AwsParts(args)
    if args.scope.cloud == "azure":
        from components.parts.azure import AzureParts

        return AzureParts(args)
    if args.scope.cloud == "gcp":
        from components.parts.gcp import GcpParts

        return GcpParts(args)
    raise InputError(f"nothing declares an environment in the cloud `{args.scope.cloud}` yet")


def _provider(config: StackConfig, cloud: str, parent: pulumi.Resource) -> pulumi.ProviderResource:
    opts = pulumi.ResourceOptions(parent=parent)
    account = getattr(config, cloud, None)
    if account is None:
        raise InputError(
            f"tradewind:{cloud} is missing: it names the account in which everything of {cloud} is declared"
        )
    if cloud == "aws":
        import pulumi_aws

        region = config.home.region if config.home and config.home.cloud == "aws" else account.region or None
        return pulumi_aws.Provider(
            "aws", allowed_account_ids=[account.account_id], region=region or "us-east-1", opts=opts
        )
    if cloud == "azure":
        import pulumi_azure_native

        return pulumi_azure_native.Provider(
            "azure", subscription_id=account.subscription_id, tenant_id=account.tenant_id, opts=opts
        )
    if cloud == "gcp":
        import pulumi_gcp

        return pulumi_gcp.Provider("gcp", project=account.project, opts=opts)
    raise InputError(f"nothing declares an environment in the cloud `{cloud}` yet")
