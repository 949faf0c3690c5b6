"""All policies as Pulumi knows them. Each sees the whole stack, before anything of it exists.

Pulumi asks one policy after the other, and hands each its own copy of the resources.
"""

from __future__ import annotations

from pulumi_policy import ReportViolation, StackValidationArgs, StackValidationPolicy

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


def _limit(figure: Figure) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        for message in broken_limits(figure, read(args.resources), args.get_config()):
            report_violation(message, None)

    return StackValidationPolicy(
        figure.policy, f"The {figure.words} of the stack stays within its limits.", validate
    )


def _prices_known(args: StackValidationArgs, report_violation: ReportViolation) -> None:
    for unpriced in read(args.resources).unpriced:
        report_violation(f"{unpriced.resource}: {unpriced.reason}", unpriced.urn)


def _policy(rule: Rule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        stack = read(args.resources) if rule.whole else Stack(())
        for finding in judge(rule, stack, args.resources, args.get_config()):
            report_violation(finding.message, finding.urn)

    return StackValidationPolicy(rule.name, rule.words, validate)


POLICIES = [
    *(_limit(figure) for figure in FIGURES),
    StackValidationPolicy("prices-known", "Everything in the stack has a known price.", _prices_known),
    *map(_policy, RULES),
]
"""The pack makes them mandatory; its config file may say otherwise."""
