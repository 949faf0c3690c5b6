"""Who a machine is in Google Cloud: a service account that may read its own objects and its own secrets.

Rights are narrowed by conditions of their grants, on objects' keys and on secrets' names: one grant holds for all pools of a
service. Grants on each secret would be three resources a pool. The controller of another cloud shows a token of its home to
a workload identity pool that believes that one subject, and acts as the account. Nowhere is there a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import dns, iam, projects, serviceaccount, storage

from components.audiences import GCP_PROVIDER, LONGEST_GCP_POOL, gcp_pool
from components.cloud import Foreign, Identity, Scope
from components.gcp import account_name, project
from components.store.gcp import GcpStore
from spec import certificates
from spec.names import cloud_name, secret_name

ISSUER = "https://accounts.google.com"
"""Of the tokens that Google's metadata server signs for a machine."""

_OBJECTS_READ = "roles/storage.objectViewer"
_OBJECTS_WRITE = "roles/storage.objectUser"
_SECRETS_READ = "roles/secretmanager.secretAccessor"
_SECRETS_WRITE = "roles/secretmanager.secretVersionManager"
"""Adds versions and destroys old ones, and reads none."""
_ACT_AS = "roles/iam.workloadIdentityUser"

_POOLS = (
    "compute.instanceGroupManagers.get",
    "compute.instanceGroupManagers.list",
    "compute.instanceGroupManagers.update",
    "compute.instances.list",
    "compute.regions.list",
)
"""What the driver calls; nothing that creates or deletes a group, a template or, but through its group, a machine."""

_PROOF = (
    "dns.changes.create",
    "dns.changes.get",
    "dns.resourceRecordSets.create",
    "dns.resourceRecordSets.delete",
    "dns.resourceRecordSets.list",
)
"""What proving a name to an ACME authority takes, in the one zone: rights of Cloud DNS don't end at a record."""


@dataclass(frozen=True, kw_only=True)
class GcpReplicaArgs:
    """`service`: whose replicas. `mounted`: buckets that its `file_mounts` read, by name."""

    scope: Scope
    store: GcpStore
    service: str
    mounted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GcpEdgeArgs:
    """One identity for all edges of the environment."""

    scope: Scope
    store: GcpStore


@dataclass(frozen=True, kw_only=True)
class GcpControllerArgs:
    """`foreign`: the controller as its own cloud shows it; None = GCP is its home."""

    scope: Scope
    store: GcpStore
    foreign: Foreign | None = None


class GcpReplica(pulumi.ComponentResource):
    """`identity`: of the replicas of one service, which read what it runs and their own secrets."""

    def __init__(self, name: str, args: GcpReplicaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:GcpReplica", name, {}, opts)
        owner, pools = f"service-{args.service}", certificates.pool_owner(f"{args.service}.*")
        made = _Made(self, name, args.scope, args.store, owner)
        made.on_objects(_OBJECTS_READ, "bundles/", "hosts/", f"assignments/{args.service}.")
        made.on_secrets(_SECRETS_READ, owner, pools)
        made.on_buckets(args.mounted)
        self.identity = made.identity
        self.register_outputs({"account": self.identity.attach})


class GcpEdge(pulumi.ComponentResource):
    """`identity`: of edge hosts, which read their code, their snapshots and their secrets."""

    def __init__(self, name: str, args: GcpEdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:GcpEdge", name, {}, opts)
        made = _Made(self, name, args.scope, args.store, "edge")
        made.on_objects(_OBJECTS_READ, "hosts/", "edges/")
        made.on_secrets(_SECRETS_READ, certificates.EDGE_OWNER)
        self.identity = made.identity
        self.register_outputs({"account": self.identity.attach})


class GcpController(pulumi.ComponentResource):
    """`identity`: of its host, or what the host of another cloud acts as; `service_account`: its email.

    Sizes: conditions of Google's grants know no instance groups, and its rights no size: who may resize a group may
    edit it. So the right is good for every group of the project, and holds nothing that creates or deletes one.
    """

    def __init__(
        self, name: str, args: GcpControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tradewind:identity:GcpController", name, {}, opts)
        self._name, self._scope, self._opts = name, args.scope, args.scope.child(self)
        at_home = args.foreign is None
        made = self._made = _Made(self, name, args.scope, args.store, "controller")
        self.identity, self.service_account = made.identity, made.identity.attach
        if at_home:
            made.on_objects(_OBJECTS_WRITE)
        else:
            made.on_objects(_OBJECTS_WRITE, "assignments/", "edges/", lists=True)
        if args.scope.config.part is not None:
            made.on_objects(_OBJECTS_READ, "desired/", what="fragment")
        renewed = (certificates.EDGE_OWNER, certificates.pool_owner("*"))
        made.on_secrets(_SECRETS_READ, *((certificates.CONTROLLER_OWNER,) if at_home else ()), *renewed)
        own_leaf = f"{certificates.CONTROLLER_OWNER}/{certificates.LEAF}"
        made.on_secrets(_SECRETS_WRITE, *((own_leaf,) if at_home else ()), *renewed)
        made.on_project("pools", _POOLS)
        self._proof()
        if args.foreign is not None:
            self._trust(args.foreign)
        self.register_outputs({"account": self.service_account})

    def shown_to(self, audience: str) -> Foreign:
        """The controller as another cloud sees it. Google signs for any audience."""
        return Foreign(issuer=ISSUER, subject=self._made.number, audience=audience)

    def _proof(self) -> None:
        """The controller asks an ACME authority for the certificate that callers see, where Cloud DNS owns the name."""
        config = self._scope.config
        if config.tls.mode != "acme" or config.dns.owner != "cloud_dns":
            return
        dns.DnsManagedZoneIamMember(
            f"{self._name}-proof",
            managed_zone=config.dns.zone,
            role=self._made.role("proof", _PROOF),
            member=self.identity.principal,
            opts=self._opts,
        )

    def _trust(self, foreign: Foreign) -> None:
        """Lets whoever shows that issuer's token for that subject act as the account, and nobody else."""
        env, of = self._scope.env, project(self._scope)
        pool = iam.WorkloadIdentityPool(
            f"{self._name}-home",
            workload_identity_pool_id=gcp_pool(env, self._scope.config),
            display_name=f"Tradewind {env}"[:LONGEST_GCP_POOL],
            description="The controller, whose host is in another cloud",
            opts=self._opts,
        )
        subject: pulumi.Output[str] = pulumi.Output.from_input(foreign.subject)
        iam.WorkloadIdentityPoolProvider(
            f"{self._name}-home",
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=GCP_PROVIDER,
            attribute_mapping={"google.subject": "assertion.sub"},
            attribute_condition=subject.apply(lambda text: f"assertion.sub == {_quoted(text)}"),
            oidc=iam.WorkloadIdentityPoolProviderOidcArgs(
                issuer_uri=foreign.issuer, allowed_audiences=[foreign.audience]
            ),
            opts=self._opts,
        )
        serviceaccount.IAMMember(
            f"{self._name}-home",
            service_account_id=self._made.account,
            role=_ACT_AS,
            member=pulumi.Output.concat(
                f"principal://iam.googleapis.com/projects/{of.project_number}/locations/global/workloadIdentityPools/",
                pool.workload_identity_pool_id,
                "/subject/",
                subject,
            ),
            opts=self._opts,
        )


# ---------------------------------------------------------------- what they share


class _Made:
    """A service account below a component, and its rights. `account`: its full name; `number`: its unique id."""

    def __init__(self, parent: pulumi.Resource, name: str, scope: Scope, store: GcpStore, what: str) -> None:
        self._name, self._scope, self._store = name, scope, store
        self._opts = scope.child(parent)
        made = serviceaccount.Account(
            name,
            account_id=account_name(scope.env, what),
            display_name=f"Tradewind {scope.env}: {what}",
            opts=self._opts,
        )
        self.identity = Identity(attach=made.email, principal=made.member)
        self.account, self.number = made.name, made.unique_id

    def on_objects(self, role: str, *prefixes: str, lists: bool = False, what: str = "objects") -> None:
        """A role for objects whose keys begin so; no prefix = for all. `lists`: also lists the whole bucket's keys.

        A list asks for the bucket, which is no object, so a condition about keys is false for it.
        """
        condition = None
        if prefixes:
            keys = f"projects/_/buckets/{self._store.bucket}/objects/"
            parts = [f"resource.name.startsWith({_quoted(keys + prefix)})" for prefix in prefixes]
            if lists:
                parts.insert(0, 'resource.type == "storage.googleapis.com/Bucket"')
            condition = storage.BucketIAMMemberConditionArgs(title="keys", expression=" || ".join(parts))
        storage.BucketIAMMember(
            f"{self._name}-{what}",
            bucket=self._store.made,
            role=role,
            member=self.identity.principal,
            condition=condition,
            opts=self._opts,
        )

    def on_buckets(self, buckets: Sequence[str]) -> None:
        """Reads and lists buckets of the user's own."""
        for bucket in buckets:
            storage.BucketIAMMember(
                f"{self._name}-mounts-{bucket}",
                bucket=bucket,
                role=_OBJECTS_READ,
                member=self.identity.principal,
                opts=self._opts,
            )

    def on_secrets(self, role: str, *owners: str) -> None:
        """A role on the secrets of the owners; one with `*` at its end stands for all that begin so, `owner/name` for one."""
        of = project(self._scope)
        beginnings = (
            f"projects/{of.project_number}/secrets/{_beginning(self._scope.env, o)}" for o in owners
        )
        expression = " || ".join(f"resource.name.startsWith({_quoted(text)})" for text in beginnings)
        projects.IAMMember(
            f"{self._name}-{'reads' if role == _SECRETS_READ else 'renews'}-secrets",
            project=of.project,
            role=role,
            member=self.identity.principal,
            condition=projects.IAMMemberConditionArgs(title="secrets", expression=expression),
            opts=self._opts,
        )

    def on_project(self, what: str, permissions: Sequence[str]) -> None:
        """A role of the environment's own, on the project."""
        projects.IAMMember(
            f"{self._name}-{what}",
            project=project(self._scope).project,
            role=self.role(what, permissions),
            member=self.identity.principal,
            opts=self._opts,
        )

    def role(self, what: str, permissions: Sequence[str]) -> pulumi.Output[str]:
        """The full name of a role of the environment's own."""
        env = self._scope.env
        return projects.IAMCustomRole(
            f"{self._name}-may-{what}",
            role_id=cloud_name(env, what).replace("-", "_"),
            title=f"Tradewind {env}: {what}",
            permissions=list(permissions),
            opts=self._opts,
        ).name


def _beginning(env: str, owner: str) -> str:
    """What the names of an owner's secrets begin with."""
    whose, _, name = owner.removesuffix("*").partition("/")
    named = secret_name("gcp", env, whose, name)
    return named.removesuffix("_") if owner.endswith("*") else named


def _quoted(text: str) -> str:
    """As Google's expressions write a text."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
