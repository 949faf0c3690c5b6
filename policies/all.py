"""All policies as Pulumi knows them. Each sees the whole stack, before anything of it exists.

Pulumi asks one policy after the other about the same resources; they are read once.
"""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_policy import PolicyResource, ReportViolation, StackValidationArgs, StackValidationPolicy

from policies import data, environment, machines, network, places, provider_rules
from policies.cost import FIGURES, Figure, Stack, broken_limits
from policies.resources import read
from policies.rules import Rule, judge

RULES: tuple[Rule, ...] = (
    *places.RULES,
    *environment.RULES,
    *network.RULES,
    *data.RULES,
    *machines.RULES,
    *provider_rules.RULES,
)


class _LastRead:
    """What the resources of the running analysis cost."""

    def __init__(self) -> None:
        self._of: Sequence[PolicyResource] = ()
        self._stack = Stack(())

    def of(self, resources: Sequence[PolicyResource]) -> Stack:
        """Read anew when they are others."""
        same = len(resources) == len(self._of) and all(
            a is b for a, b in zip(resources, self._of, strict=True)
        )
        if not same:  # each policy gets a list of its own, of the same resources
            self._of, self._stack = tuple(resources), read(resources)
        return self._stack


_last = _LastRead()


def _limit(figure: Figure) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        for message in broken_limits(figure, _last.of(args.resources), args.get_config()):
            report_violation(message, None)

    return StackValidationPolicy(
        figure.policy, f"The {figure.words} of the stack stays within its limits.", validate
    )


def _prices_known(args: StackValidationArgs, report_violation: ReportViolation) -> None:
    for unpriced in _last.of(args.resources).unpriced:
        report_violation(f"{unpriced.resource}: {unpriced.reason}", unpriced.urn)


def _policy(rule: Rule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        for finding in judge(rule, _last.of(args.resources), args.resources, args.get_config()):
            report_violation(finding.message, finding.urn)

    return StackValidationPolicy(rule.name, rule.words, validate)


POLICIES = [
    *(_limit(figure) for figure in FIGURES),
    StackValidationPolicy("prices-known", "Everything in the stack has a known price.", _prices_known),
    *map(_policy, RULES),
]
"""The pack makes them mandatory; its config file may say otherwise."""
