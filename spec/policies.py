"""How a stack is judged: `tradewind:policies`, by the policy's name: its level, and what it measures with.

The names and parameters stand here, because a typo in them must be told before anything is judged; what each policy
means is in docs/policies.md, and how it judges in `policies/`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from spec.base import Usd
from spec.errors import did_you_mean
from spec.quantities import Wrong
from spec.setting import Setting

Level = Literal["mandatory", "advisory", "disabled"]

PARAMETERS: dict[str, tuple[str, ...]] = {
    "cost-expected": (),
    "cost-worst": (),
    "cost-runaway": (),
    "prices-known": (),
    "prices-fresh": ("days",),
    "service-cost": ("usdHour",),
    "cloud-cost": ("usdHour",),
    "spot-share": ("min",),
    "on-demand-cap": ("usdHour",),
    "accelerator-price": ("usdHour",),
    "allowed-clouds": ("allowed",),
    "allowed-regions": ("allowed",),
    "allowed-accelerators": ("allowed",),
    "allowed-instance-types": ("allowed",),
    "max-replicas": ("max",),
    "hosted-cap": (),
    "cost-tags": ("required",),
    "replica-ingress": (),
    "open-ports": (),
    "no-ssh": (),
    "encrypted-disks": (),
    "encrypted-buckets": (),
    "private-buckets": (),
    "metadata-v2": (),
    "no-static-keys": (),
    "no-secrets-in-clear": (),
    "tls": (),
    "rules-aws": (),
    "rules-gcp": (),
    "rules-azure": (),
}
"""Every policy and the parameters that it takes. The first three have their limits in `tradewind:limits`."""


class PolicySetting(Setting):
    """One policy. `min`: a share from 0 to 1. `usd_hour`: a limit. `days`: of prices. A limit that is not set does not hold."""

    level: Level = "mandatory"
    min: float | None = Field(None, ge=0, le=1)
    max: int | None = Field(None, ge=0)
    usd_hour: Usd | None = None
    days: int | None = Field(None, ge=1)
    allowed: tuple[str, ...] | None = None
    required: tuple[str, ...] | None = None

    def parameters(self) -> dict[str, Any]:
        """Those that are set, as the pack's config names them."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"level"}, mode="json")


class PolicySettings(Setting):
    """`tradewind:policies`."""

    by_name: dict[str, PolicySetting] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """In the file the names are the keys."""
        return {"byName": value} if isinstance(value, dict) and "byName" not in value else value

    @model_validator(mode="after")
    def _known(self) -> PolicySettings:
        for name, setting in self.by_name.items():
            if name not in PARAMETERS:
                hint = did_you_mean(name, PARAMETERS) or f"There are: {', '.join(PARAMETERS)}."
                raise Wrong(f"has no policy `{name}`", hint)
            for parameter in setting.parameters():
                if parameter not in PARAMETERS[name]:
                    takes = ", ".join(PARAMETERS[name]) or "none"
                    raise Wrong(
                        f"gives {name} the parameter `{parameter}`, which it does not take (it takes: {takes})"
                    )
        return self
