"""Google Cloud, as the bridged provider pulumi-gcp shows it: updates send only what changed."""

from tools.standins.cloud import Cloud
from tools.standins.gcp.fixed import FIXED
from tools.standins.gcp.ids import REFERENCE, canonical, identify, outputs
from tools.standins.gcp.life import HOLDS, LIVE_RULES, defaults, keeps_name, removes
from tools.standins.gcp.names import naming
from tools.standins.gcp.rules import RULES

CLOUD = Cloud(
    package="gcp",
    identify=identify,
    outputs=outputs,
    naming=naming,
    fixed=FIXED,
    rules=RULES,
    live_rules=LIVE_RULES,
    holds=HOLDS,
    defaults=defaults,
    keeps_name=keeps_name,
    removes=removes,
    reference=REFERENCE,
    canonical=canonical,
)
