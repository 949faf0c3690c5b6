"""What Pulumi runs. Only this file constructs the pack: constructing it serves for ever."""

import sys
from pathlib import Path

from pulumi_policy import EnforcementLevel, PolicyPack

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # Pulumi knows this folder, not the checkout

from policies import all as every

PolicyPack("tradewind", [*every.POLICIES], enforcement_level=EnforcementLevel.MANDATORY)
