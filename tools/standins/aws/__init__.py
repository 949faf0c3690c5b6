"""Amazon Web Services, as the bridged provider pulumi-aws shows it: updates send only what changed."""

from tools.standins.aws.fixed import FIXED, FIXED_WHEN
from tools.standins.aws.ids import REFERENCE, get_parameter, identify, outbound_federation, outputs
from tools.standins.aws.life import HOLDS, LIVE_RULES, defaults, keeps_name, removes, updated
from tools.standins.aws.names import naming
from tools.standins.aws.rules import RULES
from tools.standins.cloud import Cloud

CLOUD = Cloud(
    package="aws",
    identify=identify,
    outputs=outputs,
    naming=naming,
    fixed=FIXED,
    fixed_when=FIXED_WHEN,
    renewed={"aws:ec2/launchTemplate:LaunchTemplate": frozenset({"latestVersion"})},
    secret={"aws:secretsmanager/secretVersion:SecretVersion": frozenset({"secretString", "secretBinary"})},
    rules=RULES,
    live_rules=LIVE_RULES,
    holds=HOLDS,
    defaults=defaults,
    updated=updated,
    keeps_name=keeps_name,
    removes=removes,
    reference=REFERENCE,
    answers={
        "aws:ssm/getParameter:getParameter": get_parameter,
        "aws:iam/getOutboundWebIdentityFederation:getOutboundWebIdentityFederation": outbound_federation,
    },
)
