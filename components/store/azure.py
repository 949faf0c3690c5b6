"""The environment's container and vault in Azure, and the resource group of what it has once.

Both names are taken worldwide, so they are made of the environment and the subscription. Nothing in the container is
public, and machines reach it with their own identity. Account keys stay enabled, although nothing of ours holds one,
because azure-native uploads blobs with them: it asks for a key with the login of whoever runs the update.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi_azure_native import keyvault, resources, storage

from components.azure import SHARED, key_vault, resource_group, storage_account, subscription
from components.cloud import Scope
from spec.names import secret_name

CONTAINER = "tradewind"
_KEPT_DAYS = 7
"""For which a deleted vault or secret can be had back: the least that Azure allows, so that a destroyed environment
is really gone after a week. All values come from the stack or the controller, which can write them again."""


@dataclass(frozen=True, kw_only=True)
class AzureStoreArgs:
    """`region`: of the bytes; the controller's own where Azure is its home.

    `files`: a folder of this machine, for content that is no text: azure-native uploads that from a file only.
    `protect`: whether Pulumi refuses to delete the account with all objects.
    """

    scope: Scope
    region: str
    files: Path
    protect: bool = True


class AzureStore(pulumi.ComponentResource):
    """A `components.cloud.Store`.

    `group`, `region`: of what the environment has once. `vault_url`: of the secrets. `container_id`:
    what rights on objects are given on. `secrets`: ids by owner and name, what rights on secrets are given on.
    """

    def __init__(self, name: str, args: AzureStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:store:AzureStore", name, {}, opts)
        scope, own = args.scope, args.scope.child(self)
        kept = pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(protect=args.protect))
        self._scope, self._files, self.region = scope, args.files, args.region
        of = subscription(scope)
        account_name = storage_account(scope.env, of.subscription_id)
        vault_name = key_vault(scope.env, of.subscription_id, scope.config.incarnation)
        home = scope.config.home
        container_name = (home.bucket if home and home.cloud == "azure" else "") or CONTAINER
        self.url = f"az://{account_name}/{container_name}"
        self.vault_url = f"https://{vault_name}.vault.azure.net"
        self.secrets: defaultdict[str, dict[str, pulumi.Output[str]]] = defaultdict(dict)

        self.group = resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=resource_group(scope.env, SHARED),
            location=args.region,
            tags=scope.tags,
            opts=own,
        ).name
        self._account = storage.StorageAccount(
            f"{name}-account",
            account_name=account_name,
            resource_group_name=self.group,
            location=args.region,
            kind="StorageV2",
            sku={"name": "Standard_LRS"},
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            allow_shared_key_access=True,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            is_local_user_enabled=False,
            minimum_tls_version="TLS1_2",
            tags=scope.tags,
            opts=kept,
        )
        self._container = storage.BlobContainer(
            f"{name}-container",
            container_name=container_name,
            account_name=self._account.name,
            resource_group_name=self.group,
            public_access=storage.PublicAccess.NONE,
            opts=own,
        )
        self.container_id = self._container.id
        self._vault = keyvault.Vault(
            f"{name}-vault",
            vault_name=vault_name,
            resource_group_name=self.group,
            location=args.region,
            properties=keyvault.VaultPropertiesArgs(
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                tenant_id=of.tenant_id,
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=_KEPT_DAYS,
                public_network_access="Enabled",  # machines have no private way to it; identity decides
            ),
            tags=scope.tags,
            opts=own,
        )
        self.register_outputs({"url": self.url, "vaultUrl": self.vault_url})

    def write(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | bytes | pulumi.FileAsset,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares an object. An edit of one deletes the old blob first: readers find none for a moment, and ask again."""
        return storage.Blob(
            name,
            blob_name=key,
            container_name=self._container.name,
            account_name=self._account.name,
            resource_group_name=self.group,
            source=self._asset(content),
            content_type=mimetypes.guess_type(key)[0] or "application/octet-stream",
            opts=self._merged(opts, delete_before_replace=True),
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
        """Declares a secret.

        azure-native sends whole objects, so any later edit of a `renewed` one would bring its first value back: the
        stack creates it and never updates it.
        """
        full = secret_name("azure", self._scope.env, owner, name)
        secret = keyvault.Secret(
            full,
            secret_name=full,
            vault_name=self._vault.name,
            resource_group_name=self.group,
            properties=keyvault.SecretPropertiesArgs(value=pulumi.Output.secret(value)),
            tags=self._scope.tags,
            opts=self._merged(opts, deleted_with=self._vault, ignore_changes=["*"] if renewed else None),
        )
        self.secrets[owner][name] = secret.id
        return secret

    def _merged(self, opts: pulumi.ResourceOptions, **ours: Any) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(provider=self._scope.provider, **ours)
        return pulumi.ResourceOptions.merge(own, opts)

    def _asset(self, content: pulumi.Input[str] | bytes | pulumi.FileAsset) -> Any:
        if isinstance(content, pulumi.FileAsset):
            return content
        if isinstance(content, bytes):
            file = self._files / hashlib.sha256(content).hexdigest()
            if not file.exists():
                self._files.mkdir(parents=True, exist_ok=True)
                part = file.with_suffix(".part")
                part.write_bytes(content)
                part.rename(file)
            return pulumi.FileAsset(str(file))
        text: pulumi.Output[str] = pulumi.Output.from_input(content)
        return text.apply(pulumi.StringAsset)
