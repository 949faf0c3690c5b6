"""Azure, as pulumi-azure-native shows it: an update is one PUT of the whole object, with what the arguments say."""

from tools.standins.azure.deployment import deployed
from tools.standins.azure.fixed import FIXED
from tools.standins.azure.ids import REFERENCE, client_config, identify, outputs
from tools.standins.azure.life import HOLDS, KEPT, LIVE_RULES, UNCHANGEABLE, keeps_name, removes, takes_back
from tools.standins.azure.names import naming
from tools.standins.azure.rules import RULES
from tools.standins.cloud import Cloud

CLOUD = Cloud(
    package="azure-native",
    whole=True,
    identify=identify,
    outputs=outputs,
    naming=naming,
    fixed=FIXED,
    kept=KEPT,
    unchangeable=UNCHANGEABLE,
    rules=RULES,
    live_rules=LIVE_RULES,
    holds=HOLDS,
    removes=removes,
    keeps_name=keeps_name,
    takes_back=takes_back,
    deployed=deployed,
    reference=REFERENCE,
    answers={"azure-native:authorization:getClientConfig": client_config},
)
