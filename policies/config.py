"""The policies' settings, from the stack's config: what a preview hands to the pack as its config file."""

from __future__ import annotations

from typing import Any

from policies.cost import FIGURES
from spec.policies import PARAMETERS, PolicySetting
from spec.stack import Limits, StackConfig


def policy_config(config: StackConfig) -> dict[str, dict[str, Any]]:
    """The content of the policy pack's config file (JSON): level and settings by policy name.

    Every policy is named; a limit that the stack does not set is left out, which means not limited.
    """
    limits = {figure.policy: _set(config.limits, figure.name) for figure in FIGURES}
    fresh = {"days": config.catalog.fail_days} if config.catalog.fail_days is not None else {}
    chosen = config.policies.by_name
    found: dict[str, dict[str, Any]] = {}
    for name in PARAMETERS:
        setting = chosen.get(name, PolicySetting())
        given = {**limits.get(name, {}), **(fresh if name == "prices-fresh" else {}), **setting.parameters()}
        found[name] = {"enforcementLevel": setting.level, **given}
    return found


def _set(limits: Limits, figure: str) -> dict[str, float]:
    values = {
        "usdHour": getattr(limits, f"{figure}_usd_hour"),
        "usdMonth": getattr(limits, f"{figure}_usd_month"),
    }
    return {setting: value for setting, value in values.items() if value is not None}
