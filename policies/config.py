"""The policies' settings, from the stack's config: what a preview hands to the pack as its config file."""

from __future__ import annotations

from typing import Any

from policies.cost import FIGURES
from spec.stack import Limits


def policy_config(limits: Limits) -> dict[str, dict[str, Any]]:
    """The content of the policy pack's config file (JSON): settings by policy name, USD.

    Every policy is named and mandatory; a limit that the stack does not set is left out, which means not limited.
    """
    config: dict[str, dict[str, Any]] = {
        figure.policy: {"enforcementLevel": "mandatory", **_set(limits, figure.name)} for figure in FIGURES
    }
    config["prices-known"] = {"enforcementLevel": "mandatory"}
    return config


def _set(limits: Limits, figure: str) -> dict[str, float]:
    values = {
        "usdHour": getattr(limits, f"{figure}_usd_hour"),
        "usdMonth": getattr(limits, f"{figure}_usd_month"),
    }
    return {setting: value for setting, value in values.items() if value is not None}
