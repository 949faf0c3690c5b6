"""Who a machine is in Azure: a user-assigned identity that may read its own objects and its own secrets.

Rights on objects are narrowed to keys by a condition of the assignment, rights on secrets by the scope: one assignment per
secret. Nothing here lists: a machine knows the keys that it asks for. The controller of another cloud acts as the same
kind of identity by a federated credential, so that there is no key anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, managedidentity

from components.azure import guid, role, subscription
from components.cloud import Foreign, Identity, Scope
from components.store.azure import AzureStore
from spec.names import cloud_name

AUDIENCE = "api://AzureADTokenExchange"
"""Fixed by Azure for tokens that its identities and others exchange."""

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
_OBJECTS_READ = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader
_OBJECTS_WRITE = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor
_SECRETS_READ = "4633458b-17de-408a-b874-0445c86b69e6"  # Key Vault Secrets User
_SECRETS_WRITE = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"  # Key Vault Secrets Officer

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

_POOLS = (
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
    "Microsoft.Compute/virtualMachineScaleSets/instanceView/read",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/publicIPAddresses/read",
    # A machine that Azure makes for a scale set is made with the rights of whoever raised the size.
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
)
"""What the driver calls, and nothing that creates or deletes a group."""
_USAGES = ("Microsoft.Compute/locations/usages/read",)
"""Quotas belong to the subscription."""


@dataclass(frozen=True, kw_only=True)
class AzureIdentityArgs:
    """`what`: `service-chat`, `edge`, `controller`. `region`: of the identity's record; it is valid everywhere.

    `objects`: beginnings of keys that it reads; None = it reads and writes all. `secrets`: owners whose secrets it
    reads. `renews`: owners whose secrets it also writes. Declare secrets before the identities that read them.
    """

    scope: Scope
    what: str
    region: str
    store: AzureStore
    objects: tuple[str, ...] | None
    secrets: tuple[str, ...] = ()
    renews: tuple[str, ...] = ()


class AzureIdentity(pulumi.ComponentResource):
    """`identity`: for machines. `client_id`: what a program that has several identities asks for one by."""

    def __init__(
        self, name: str, args: AzureIdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tradewind:identity:AzureIdentity", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        scope = args.scope
        made = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=cloud_name(scope.env, args.what),
            resource_group_name=args.store.group,
            location=args.region,
            tags=scope.tags,
            opts=self._opts,
        )
        self.resource_name, self.client_id = made.name, made.client_id
        self.identity = Identity(attach=made.id, principal=made.principal_id)
        self._objects()
        for owner in args.secrets:
            self._secrets(owner, "reads", _SECRETS_READ)
        for owner in args.renews:
            self._secrets(owner, "renews", _SECRETS_WRITE)
        self.register_outputs({"clientId": self.client_id})

    def _objects(self) -> None:
        args = self._args
        if args.objects is None:
            self._grant("objects", args.store.container_id, _OBJECTS_WRITE)
        else:
            self._grant("objects", args.store.container_id, _OBJECTS_READ, _only_below(args.objects))

    def _secrets(self, owner: str, verb: str, role_guid: str) -> None:
        for number, secret in enumerate(self._args.store.secrets[owner]):
            self._grant(f"{verb}-{owner}-{number}", secret, role_guid)

    def _grant(
        self, what: str, scope: pulumi.Input[str], role_guid: str, condition: str | None = None
    ) -> None:
        args = self._args
        authorization.RoleAssignment(
            f"{self._name}-{what}",
            role_assignment_name=guid(args.scope.env, args.what, what),
            scope=scope,
            principal_id=self.identity.principal,
            principal_type="ServicePrincipal",  # else Azure looks the new identity up before it is everywhere
            role_definition_id=role(subscription(args.scope).subscription_id, role_guid),
            condition=condition,
            condition_version="2.0" if condition else None,
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(delete_before_replace=True)),
        )


def _only_below(prefixes: tuple[str, ...]) -> str:
    """Reads one object whose key begins so. Listing has no key, so the condition is false for it."""
    keys = " OR ".join(f"@Resource[{_BLOBS}:path] StringStartsWith '{prefix}'" for prefix in prefixes)
    return f"((!(ActionMatches{{'{_BLOBS}/read'}})) OR ({keys}))"


# ---------------------------------------------------------------- the controller


@dataclass(frozen=True, kw_only=True)
class AzureControllerArgs:
    """`groups`: ids of resource groups by region, where its pools are. `foreign`: who it is at home, if that is elsewhere."""

    scope: Scope
    controller: AzureIdentity
    store: AzureStore
    groups: Mapping[str, pulumi.Input[str]]
    foreign: Foreign | None = None


class AzureController(pulumi.ComponentResource):
    """What the controller may do with pools: resize them and delete their machines, in the groups of their regions.

    Azure has no right to resize alone: who may set a size may edit the whole scale set. The region's group is the fence.
    """

    def __init__(
        self, name: str, args: AzureControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tradewind:identity:AzureController", name, {}, opts)
        self._name, self._args = name, args
        self._opts = args.scope.child(self)
        whole = f"/subscriptions/{subscription(args.scope).subscription_id}"
        if args.groups:
            pools = self._role("pools", _POOLS, list(args.groups.values()))
            for region, group in sorted(args.groups.items()):
                self._assign(f"pools-{region}", group, pools)
            self._assign("quotas", whole, self._role("quotas", _USAGES, [whole]))
        if args.foreign is not None:
            managedidentity.FederatedIdentityCredential(
                f"{name}-home",
                federated_identity_credential_resource_name="home",
                resource_name_=args.controller.resource_name,
                resource_group_name=args.store.group,
                issuer=args.foreign.issuer,
                subject=args.foreign.subject,
                audiences=[args.foreign.audience],
                opts=self._opts,
            )
        self.register_outputs({})

    def _role(
        self, what: str, actions: tuple[str, ...], scopes: list[pulumi.Input[str]]
    ) -> pulumi.Output[str]:
        env, of = self._args.scope.env, subscription(self._args.scope).subscription_id
        return authorization.RoleDefinition(
            f"{self._name}-{what}",
            role_definition_id=guid(of, env, "role", what),
            role_name=f"Tradewind {env} {what} ({of[:8]})",  # one such name in a tenant
            role_type="CustomRole",
            scope=f"/subscriptions/{of}",
            assignable_scopes=scopes,
            permissions=[authorization.PermissionArgs(actions=list(actions))],
            opts=self._opts,
        ).id

    def _assign(self, what: str, scope: pulumi.Input[str], role_id: pulumi.Input[str]) -> None:
        args = self._args
        authorization.RoleAssignment(
            f"{self._name}-may-{what}",
            role_assignment_name=guid(args.scope.env, "controller", "role", what),
            scope=scope,
            principal_id=args.controller.identity.principal,
            principal_type="ServicePrincipal",
            role_definition_id=role_id,
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(delete_before_replace=True)),
        )


def foreign(scope: Scope, controller: AzureIdentity) -> Foreign:
    """The controller of an Azure home as the other clouds see it."""
    tenant = subscription(scope).tenant_id
    return Foreign(
        issuer=f"https://login.microsoftonline.com/{tenant}/v2.0",
        subject=controller.identity.principal,
        audience=AUDIENCE,
    )
