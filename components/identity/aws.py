"""Who a machine is in AWS: a role of its own, with what `aws_grants` says and nothing else.

IAM knows no regions, so an identity serves all of them. The controller of another cloud shows a token of its home
and takes on a role; the controller at home asks AWS for tokens that other clouds take. Nowhere is there an access key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from components.aws import account_id
from components.cloud import Foreign, Identity, Scope
from components.identity import aws_grants as grants
from components.store.aws import AwsStore
from spec.errors import InputError
from spec.names import cloud_name


@dataclass(frozen=True, kw_only=True)
class AwsReplicaArgs:
    """`service`: whose replicas. `mounted`: buckets that its `file_mounts` read, each with the path in it."""

    scope: Scope
    store: AwsStore
    service: str
    mounted: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class AwsEdgeArgs:
    """One identity for all edges of the environment."""

    scope: Scope
    store: AwsStore


@dataclass(frozen=True, kw_only=True)
class AwsControllerArgs:
    """`foreign`: the controller as its own cloud shows it; None = AWS is its home.

    `audiences`: at home, of the tokens that it shows to other clouds.
    """

    scope: Scope
    store: AwsStore
    foreign: Foreign | None = None
    audiences: tuple[str, ...] = ()


class AwsReplica(pulumi.ComponentResource):
    """`identity`: of the replicas of one service."""

    def __init__(self, name: str, args: AwsReplicaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:AwsReplica", name, {}, opts)
        statements = grants.replica(_place(args.scope, args.store), args.service, args.mounted)
        self.identity = _machine(self, name, args.scope, f"service-{args.service}", statements)
        self.register_outputs({"role": self.identity.principal})


class AwsEdge(pulumi.ComponentResource):
    """`identity`: of edge hosts."""

    def __init__(self, name: str, args: AwsEdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:identity:AwsEdge", name, {}, opts)
        statements = grants.edge(_place(args.scope, args.store))
        self.identity = _machine(self, name, args.scope, "edge", statements)
        self.register_outputs({"role": self.identity.principal})


class AwsController(pulumi.ComponentResource):
    """`role_arn`: what the controller acts as. `identity`: of its host; None where another cloud is its home."""

    def __init__(
        self, name: str, args: AwsControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tradewind:identity:AwsController", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        self.identity: Identity | None = None
        self._issuer: pulumi.Input[str] | None = None
        statements = [
            *grants.controller(
                _place(args.scope, args.store),
                home=args.foreign is None,
                fragment=args.scope.config.part is not None,
            ),
            *_proof(args.scope),
        ]
        if args.foreign is not None:
            trust = grants.for_foreign(args.foreign, self._believed(args.foreign))
            role = _role(self, name, args.scope, "controller", statements, trust=trust)
            self.role_arn = role.arn
        else:
            if args.audiences:
                self._issuer = self._federation()
                statements.append(grants.tokens_for(args.audiences))
            self.identity = _machine(self, name, args.scope, "controller", statements)
            self.role_arn = self.identity.principal
        self.register_outputs({"role": self.role_arn})

    def shown_to(self, audience: str) -> Foreign:
        """The controller as another cloud sees it. The audience must be one of the arguments'."""
        if self._issuer is None or audience not in self._args.audiences:
            raise InputError(f"the controller's role may not ask for tokens for {audience}")
        return Foreign(issuer=self._issuer, subject=self.role_arn, audience=audience)

    def _federation(self) -> pulumi.Input[str]:
        """The account's own issuer. An account has one: it stays on when one of its environments is destroyed."""
        if _account_wide_is_there(self._args.scope):
            return iam.get_outbound_web_identity_federation_output(
                opts=pulumi.InvokeOutputOptions(parent=self, provider=self._args.scope.provider)
            ).issuer_identifier
        kept = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(retain_on_delete=True))
        return iam.OutboundWebIdentityFederation(f"{self._name}-issuer", opts=kept).issuer_identifier

    def _believed(self, foreign: Foreign) -> pulumi.Input[str] | None:
        """The foreign issuer as IAM knows it. An account knows each once."""
        scope = self._args.scope
        if foreign.issuer == grants.GOOGLE:
            return None
        if _account_wide_is_there(scope):
            url: pulumi.Output[str] = pulumi.Output.from_input(foreign.issuer)
            known = url.apply(lambda text: text.removeprefix("https://"))
            return pulumi.Output.concat(f"arn:aws:iam::{account_id(scope)}:oidc-provider/", known)
        return iam.OpenIdConnectProvider(
            f"{self._name}-issuer",
            url=foreign.issuer,
            client_id_lists=[foreign.audience],
            tags=scope.tags,
            opts=self._opts,
        ).arn


def _place(scope: Scope, store: AwsStore) -> grants.Place:
    return grants.Place(env=scope.env, account=account_id(scope), region=store.region, bucket=store.bucket)


def _account_wide_is_there(scope: Scope) -> bool:
    return scope.config.aws is not None and scope.config.aws.account_wide == "existing"


def _proof(scope: Scope) -> Sequence[grants.Statement]:
    """The controller asks an ACME authority for the certificate that callers see, where Route 53 owns the name."""
    config = scope.config
    if config.tls.mode != "acme" or config.dns.owner != "route53":
        return ()
    return grants.proof_of_name(config.dns.zone, config.dns.name)


def _machine(
    parent: pulumi.Resource, name: str, scope: Scope, what: str, statements: Sequence[grants.Statement]
) -> Identity:
    role = _role(parent, name, scope, what, statements, trust=grants.for_machines())
    profile = iam.InstanceProfile(
        name, name=cloud_name(scope.env, what), role=role.name, tags=scope.tags, opts=scope.child(parent)
    )
    return Identity(attach=profile.name, principal=role.arn)


def _role(
    parent: pulumi.Resource,
    name: str,
    scope: Scope,
    what: str,
    statements: Sequence[grants.Statement],
    *,
    trust: pulumi.Input[str],
) -> iam.Role:
    role = iam.Role(
        name,
        name=cloud_name(scope.env, what),
        description=f"Tradewind {scope.env}: {what}",
        assume_role_policy=trust,
        tags=scope.tags,
        opts=scope.child(parent),
    )
    iam.RolePolicy(
        name, name="tradewind", role=role.name, policy=grants.document(statements), opts=scope.child(parent)
    )
    return role
