"""What machines of AWS may do, as statements of IAM policies. Pure: names are computed, so that a preview shows all of it.

Nobody lists a bucket but the controller: a machine knows the keys that it asks for. S3 answers 403 where there is no
object of that key, because a 404 would tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.cloud import ENV_TAG, Foreign
from spec import certificates
from spec.names import secret_name

Statement = dict[str, Any]

GOOGLE = "https://accounts.google.com"
"""IAM knows this issuer by itself; one must not be declared for it."""

TOKEN_S = 300
"""For which a token that the controller shows to another cloud is valid."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the names of a grant are made of. `region`: of bucket and secrets."""

    env: str
    account: str
    region: str
    bucket: str

    def objects(self, *patterns: str) -> list[str]:
        """ARNs of objects."""
        return [f"arn:aws:s3:::{self.bucket}/{pattern}" for pattern in patterns]

    def secrets(self, owner: str, name: str = "") -> str:
        """The ARN of one secret of an owner, or of all; `*` in it stands for anything. AWS adds six letters to each name."""
        named = secret_name("aws", self.env, owner, f"{name}-??????" if name else "*")
        return f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:{named}"


def replica(place: Place, service: str, mounted: Sequence[tuple[str, str]] = ()) -> list[Statement]:
    """Reads what its service runs and its own secrets. `mounted`: buckets of its `file_mounts`, each with the path in it, "" for all."""
    objects = ["bundles/*", "hosts/*", f"assignments/{service}.*"]
    return [
        _allow("Objects", ["s3:GetObject"], place.objects(*objects)),
        _allow(
            "Secrets",
            ["secretsmanager:GetSecretValue"],
            [place.secrets(f"service-{service}"), place.secrets(certificates.pool_owner(f"{service}.*"))],
        ),
        *(_mounted(mounted) if mounted else ()),
    ]


def edge(place: Place) -> list[Statement]:
    """Reads its code, its snapshots and its secrets."""
    return [
        _allow("Objects", ["s3:GetObject"], place.objects("hosts/*", "edges/*")),
        _allow("Secrets", ["secretsmanager:GetSecretValue"], [place.secrets(certificates.EDGE_OWNER)]),
    ]


def controller(place: Place, *, home: bool, fragment: bool = False) -> list[Statement]:
    """Sizes of this environment's groups, assignments, edges' snapshots and certificates; at home also the state and its own secrets.

    `fragment`: whether a part of the desired state is in this bucket.
    """
    written = place.objects("*") if home else place.objects("assignments/*", "edges/*")
    renewed = [
        place.secrets(certificates.EDGE_OWNER),
        place.secrets(certificates.pool_owner("*")),
    ]
    own = [place.secrets(certificates.CONTROLLER_OWNER)] if home else []
    own_leaf = [place.secrets(certificates.CONTROLLER_OWNER, certificates.LEAF)] if home else []
    return [
        _allow(
            "Sizes",
            ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            [f"arn:aws:autoscaling:*:{place.account}:autoScalingGroup:*:autoScalingGroupName/tw-*"],
            {"StringEquals": {f"autoscaling:ResourceTag/{ENV_TAG}": place.env}},
        ),
        _allow(
            "Look",  # none of these can be narrowed to a resource
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeScalingActivities",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeSpotPriceHistory",
                "servicequotas:ListServiceQuotas",
            ],
            ["*"],
        ),
        _allow("Objects", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], written),
        *([_allow("Fragment", ["s3:GetObject"], place.objects("desired/*"))] if fragment else []),
        _allow("List", ["s3:ListBucket"], [f"arn:aws:s3:::{place.bucket}"]),
        _allow("Secrets", ["secretsmanager:GetSecretValue"], [*own, *renewed]),
        _allow("Renew", ["secretsmanager:PutSecretValue"], [*own_leaf, *renewed]),
    ]


def tokens_for(audiences: Sequence[str]) -> Statement:
    """Signed tokens that say who the controller is, for these audiences of other clouds alone."""
    return _allow(
        "Tokens",
        ["sts:GetWebIdentityToken"],
        ["*"],
        {
            "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": list(audiences)},
            "NumericLessThanEquals": {"sts:DurationSeconds": TOKEN_S},
        },
    )


def proof_of_name(zone: str, name: str) -> list[Statement]:
    """The one record by which an ACME authority sees that the environment's name is its own."""
    record = f"_acme-challenge.{name}"
    only = {
        "ForAllValues:StringEquals": {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [record],
            "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
        }
    }
    return [
        _allow("Proof", ["route53:ChangeResourceRecordSets"], [f"arn:aws:route53:::hostedzone/{zone}"], only),
        _allow("ProofSeen", ["route53:GetChange"], ["arn:aws:route53:::change/*"]),
    ]


def for_machines() -> str:
    """Who may be a machine's role: machines of EC2."""
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    )


def for_foreign(foreign: Foreign, provider_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
    """Who may be the controller's role when its host is in another cloud. `provider_arn`: None for Google's issuer.

    In a Google token `aud` of IAM is the claim `azp`, the account that asked for it, and `oaud` its audience:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """
    return pulumi.Output.all(issuer=foreign.issuer, subject=foreign.subject, provider=provider_arn).apply(
        lambda of: _trust(of["issuer"], of["subject"], foreign.audience, of["provider"])
    )


def _trust(issuer: str, subject: str, audience: str, provider: str | None) -> str:
    key = issuer.removeprefix("https://")
    told = {f"{key}:aud": audience, f"{key}:sub": subject}
    if issuer == GOOGLE:
        told = {f"{key}:aud": subject, f"{key}:oaud": audience, f"{key}:sub": subject}
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider or key},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": told},
            }
        ]
    )


def document(statements: Sequence[Statement]) -> str:
    """A policy's text; the same statements give the same text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _mounted(mounted: Sequence[tuple[str, str]]) -> list[Statement]:
    """Objects below a path, or of that key, and lists of them alone: a list without a path is of everything."""
    paths = [(f"arn:aws:s3:::{bucket}", key) for bucket, key in mounted]
    objects = [f"{arn}/{p}" for arn, key in paths for p in ([key, f"{key}/*"] if key else ["*"])]
    lists = [
        _allow(
            f"MountedList{number}",
            ["s3:ListBucket"],
            [arn],
            {"StringLike": {"s3:prefix": [key, f"{key}/*"]}} if key else None,
        )
        for number, (arn, key) in enumerate(paths, 1)
    ]
    return [_allow("Mounted", ["s3:GetObject"], objects), *lists]


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Statement | None = None
) -> Statement:
    allowed = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**allowed, "Condition": condition} if condition else allowed
