"""Who a machine is in Azure: a user-assigned identity that may read its own objects and its own secrets.

Rights on objects are narrowed to keys by a condition of the assignment, rights on secrets by their scope: one assignment
per secret, so secrets are declared before the identities that read them. The controller of another cloud acts as the
same kind of identity by a federated credential. Nowhere is there a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, managedidentity

from components.audiences import AZURE
from components.azure import guid, role, subscription
from components.cloud import Foreign, Identity, Network, Scope
from components.network.azure import azure_region
from components.store.azure import AzureStore
from spec import certificates
from spec.errors import InputError
from spec.names import cloud_name

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
_OBJECTS_READ = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader
_OBJECTS_WRITE = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor
_SECRETS_READ = "4633458b-17de-408a-b874-0445c86b69e6"  # Key Vault Secrets User
_SECRETS_WRITE = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"  # Key Vault Secrets Officer

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_WRITES_AWAY = (
    f"((!(ActionMatches{{'{_BLOBS}/write'}}) AND !(ActionMatches{{'{_BLOBS}/add/action'}})"
    f" AND !(ActionMatches{{'{_BLOBS}/delete'}})) OR (@Resource[{_BLOBS}:path] StringStartsWith 'assignments/'"
    f" OR @Resource[{_BLOBS}:path] StringStartsWith 'edges/'))"
)
"""Away from home, the controller writes nothing but assignments and edges' snapshots."""

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
_USES_RESERVATIONS = (
    "Microsoft.Compute/capacityReservationGroups/read",
    "Microsoft.Compute/capacityReservationGroups/deploy/action",
)
_USAGES = ("Microsoft.Compute/locations/usages/read",)
"""Quotas belong to the subscription."""


@dataclass(frozen=True, kw_only=True)
class AzureReplicaArgs:
    """`service`: whose replicas. `mounted`: containers that its `file_mounts` read, as `account/container`."""

    scope: Scope
    store: AzureStore
    service: str
    mounted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AzureEdgeArgs:
    """One identity for all edges of the environment."""

    scope: Scope
    store: AzureStore


@dataclass(frozen=True, kw_only=True)
class AzureControllerArgs:
    """`networks`: by region, those with pools. `foreign`: the controller as its own cloud shows it; None = Azure is its home."""

    scope: Scope
    store: AzureStore
    networks: Mapping[str, Network]
    foreign: Foreign | None = None


class AzureReplica(pulumi.ComponentResource):
    """`identity`: of the replicas of one service, which read what it runs and their own secrets."""

    def __init__(self, name: str, args: AzureReplicaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:AzureReplica", name, {}, opts)
        owner, pools = f"service-{args.service}", certificates.pool_owner(f"{args.service}.")
        made = _Made(self, name, args.scope, args.store, owner)
        made.reads("bundles/", "hosts/", f"assignments/{args.service}.")
        made.on_secrets(_SECRETS_READ, *(o for o in args.store.secrets if o == owner or o.startswith(pools)))
        if args.mounted:
            made.on_containers(args.service, args.mounted)
        self.identity = made.identity
        self.register_outputs({"identity": self.identity.attach})


class AzureEdge(pulumi.ComponentResource):
    """`identity`: of edge hosts, which read their code, their snapshots and their secrets."""

    def __init__(self, name: str, args: AzureEdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:AzureEdge", name, {}, opts)
        made = _Made(self, name, args.scope, args.store, "edge")
        made.reads("hosts/", "edges/")
        made.on_secrets(_SECRETS_READ, certificates.EDGE_OWNER)
        self.identity = made.identity
        self.register_outputs({"identity": self.identity.attach})


class AzureController(pulumi.ComponentResource):
    """`identity`: of its host, or what the host of another cloud acts as; `client_id`: what that host asks for it by.

    Sizes: Azure has no right to resize alone; who may set a size may edit the whole scale set. So the right ends at
    the resource groups of the regions with pools, and holds nothing that creates or deletes a group.
    """

    def __init__(
        self, name: str, args: AzureControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tradewind:identity:AzureController", name, {}, opts)
        self._scope, at_home = args.scope, args.foreign is None
        made = self._made = _Made(self, name, args.scope, args.store, "controller")
        self.identity, self.client_id = made.identity, made.client_id
        made.grant("objects", args.store.container_id, _OBJECTS_WRITE, None if at_home else _WRITES_AWAY)
        made.on_secrets(_SECRETS_WRITE, *(o for o in args.store.secrets if _is_renewed(o)))
        if at_home:
            made.on_own_secrets()
        self._reservations()
        if args.networks:
            self._sizes({region: azure_region(n).group_id for region, n in args.networks.items()})
        if args.foreign is not None:
            made.trusts(args.foreign)
        self.register_outputs({"identity": self.identity.attach, "clientId": self.client_id})

    def shown_to(self, audience: str) -> Foreign:
        """The controller as another cloud sees it. Azure signs tokens for others for one audience only."""
        if audience != AZURE:
            raise InputError(f"Azure signs tokens of its identities for {AZURE}, not for {audience}")
        issuer = f"https://login.microsoftonline.com/{subscription(self._scope).tenant_id}/v2.0"
        return Foreign(issuer=issuer, subject=self.identity.principal, audience=audience)

    def _reservations(self) -> None:
        """Who raises the size of a scale set that names a reservation needs the right to use it."""
        named = {
            reservation.name
            for where, by_type in self._scope.config.reservations.items()
            for reservation in by_type.values()
            if where.startswith("azure/")
        }
        if named:
            uses = self._made.role("reservations", _USES_RESERVATIONS, [*sorted(named)])
            for group in sorted(named):
                _, _, _, _, resource_group, *_, name = group.split("/")
                self._made.assign(f"reservation-{resource_group}-{name}", group, uses)

    def _sizes(self, groups: Mapping[str, pulumi.Input[str]]) -> None:
        whole = f"/subscriptions/{subscription(self._scope).subscription_id}"
        pools = self._made.role("pools", _POOLS, [groups[region] for region in sorted(groups)])
        for region in sorted(groups):
            self._made.assign(f"pools-{region}", groups[region], pools)
        self._made.assign("quotas", whole, self._made.role("quotas", _USAGES, [whole]))


# ---------------------------------------------------------------- what they share


class _Made:
    """An identity below a component, and its rights."""

    def __init__(
        self, parent: pulumi.Resource, name: str, scope: Scope, store: AzureStore, what: str
    ) -> None:
        self._name, self._scope, self._store, self._what = name, scope, store, what
        self._opts = scope.child(parent)
        # A right names its identity for good: with another identity it is another right of the same name.
        self._named = pulumi.ResourceOptions.merge(
            self._opts, pulumi.ResourceOptions(delete_before_replace=True)
        )
        self._resource = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=cloud_name(scope.env, what),
            resource_group_name=store.group,
            location=store.region,
            tags=scope.tags,
            opts=self._opts,
        )
        self.identity = Identity(attach=self._resource.id, principal=self._resource.principal_id)
        self.client_id = self._resource.client_id

    def reads(self, *prefixes: str) -> None:
        """Objects whose keys begin so, and no lists: a list has no key, so the condition is false for it."""
        keys = " OR ".join(f"@Resource[{_BLOBS}:path] StringStartsWith '{prefix}'" for prefix in prefixes)
        condition = f"((!(ActionMatches{{'{_BLOBS}/read'}})) OR ({keys}))"
        self.grant("objects", self._store.container_id, _OBJECTS_READ, condition)

    def on_containers(self, service: str, containers: Sequence[str]) -> None:
        """Reads and lists containers of the user's own, whose resource groups nobody has named: so the right is on the
        subscription, and a condition narrows it. The role reads blobs and nothing else, not even an account's name.
        """
        whole = f"/subscriptions/{subscription(self._scope).subscription_id}"
        reads = self.role(f"mounts-{service}", (), [whole], data=(f"{_BLOBS}/read",))
        self.assign("mounts", whole, reads, _only(containers))

    def on_secrets(self, role_guid: str, *owners: str) -> None:
        """A right on each secret of the owners."""
        for owner in sorted(owners):
            for secret, id_ in sorted(self._store.secrets[owner].items()):
                self.grant(f"{owner}-{secret}", id_, role_guid)

    def on_own_secrets(self) -> None:
        """The controller's: it reads them all, and issues its leaf itself. The right to write one holds the right to read it."""
        owner = certificates.CONTROLLER_OWNER
        for secret, id_ in sorted(self._store.secrets[owner].items()):
            issued = secret == certificates.LEAF
            self.grant(f"{owner}-{secret}", id_, _SECRETS_WRITE if issued else _SECRETS_READ)

    def grant(
        self, what: str, scope: pulumi.Input[str], role_guid: str, condition: str | None = None
    ) -> None:
        """One of Azure's own roles."""
        self.assign(what, scope, role(subscription(self._scope).subscription_id, role_guid), condition)

    def assign(
        self, what: str, scope: pulumi.Input[str], role_id: pulumi.Input[str], condition: str | None = None
    ) -> None:
        """Any role, at a scope."""
        authorization.RoleAssignment(
            f"{self._name}-{what}",
            role_assignment_name=guid(self._scope.env, self._what, what),
            scope=scope,
            principal_id=self.identity.principal,
            principal_type="ServicePrincipal",  # else Azure looks the new identity up before it is everywhere
            role_definition_id=role_id,
            condition=condition,
            condition_version="2.0" if condition else None,
            opts=self._named,
        )

    def role(
        self,
        what: str,
        actions: tuple[str, ...],
        scopes: list[pulumi.Input[str]],
        data: tuple[str, ...] = (),
    ) -> pulumi.Output[str]:
        """Id of a role of the environment's own. `data`: what it may do with data, beside what with resources."""
        env, of = self._scope.env, subscription(self._scope).subscription_id
        return authorization.RoleDefinition(
            f"{self._name}-may-{what}",
            role_definition_id=guid(of, env, "role", what),
            role_name=f"Tradewind {env} {what} ({of[:8]})",  # one such name in a tenant
            role_type="CustomRole",
            scope=f"/subscriptions/{of}",
            assignable_scopes=scopes,
            permissions=[
                authorization.PermissionArgs(actions=list(actions), data_actions=list(data) if data else None)
            ],
            opts=self._opts,
        ).id

    def trusts(self, foreign: Foreign) -> None:
        """Lets whoever shows that token act as the identity."""
        managedidentity.FederatedIdentityCredential(
            f"{self._name}-home",
            federated_identity_credential_resource_name="home",
            resource_name_=self._resource.name,
            resource_group_name=self._store.group,
            issuer=foreign.issuer,
            subject=foreign.subject,
            audiences=[foreign.audience],
            opts=self._opts,
        )


def _only(containers: Sequence[str]) -> str:
    """https://learn.microsoft.com/azure/storage/blobs/storage-auth-abac-attributes"""
    accounts = "Microsoft.Storage/storageAccounts"
    places = " OR ".join(
        f"(@Resource[{accounts}:name] StringEquals '{account}'"
        f" AND @Resource[{accounts}/blobServices/containers:name] StringEquals '{container}')"
        for account, _, container in (c.partition("/") for c in containers)
    )
    return f"((!(ActionMatches{{'{_BLOBS}/read'}})) OR ({places}))"


def _is_renewed(owner: str) -> bool:
    return owner == certificates.EDGE_OWNER or owner.startswith(certificates.pool_owner(""))
