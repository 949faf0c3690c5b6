"""The base of everything that a stack can configure: camelCase in the file, and nothing that is not known."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, field_validator
from pydantic.alias_generators import to_camel

from spec.base import Written
from spec.quantities import Wrong


class Setting(Written):
    """One map of settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, alias_generator=to_camel, populate_by_name=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any) -> Any:
        """No setting is one, and `true` would pass for the number 1."""
        if isinstance(value, bool):
            raise Wrong("must be a number, a text, a list or a map")
        return value
