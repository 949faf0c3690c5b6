"""Resource templates (`azure-native:resources:Deployment`): a PUT of each resource that the template names.

learn.microsoft.com/azure/azure-resource-manager/templates/deployment-modes: incremental mode writes the resources of
the template and leaves all others. Only templates without parameters and formulas are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.standins.check import Failure
from tools.standins.cloud import Made, items
from tools.standins.live import Live, Session
from tools.standins.wire import Values, sealed

TYPE = "azure-native:resources:Deployment"


def deployed(made: Made, session: Session) -> Iterator[tuple[Live, Values]]:
    """The live objects that a template writes, with the body as azure-native would have sent it."""
    if made.type != TYPE:
        return
    for resource in items(made.get("properties.template.resources")):
        live = _target(made, resource, session)
        if live is not None:
            body = {k: v for k, v in resource.items() if k not in ("type", "apiVersion", "name", "dependsOn")}
            yield live, sealed(_raised(body))


def template(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/azure-resource-manager/templates/syntax."""
    text = made.get("properties.template")
    if isinstance(text, dict):
        for name in ("$schema", "contentVersion", "resources"):
            if name not in text:
                yield Failure(f"properties.template.{name}", "is required in a template")
    for number, resource in enumerate(items(made.get("properties.template.resources"))):
        for name in ("type", "apiVersion", "name"):
            if name not in resource:
                yield Failure(f"properties.template.resources[{number}].{name}", "is required in a template")


def target_exists(made: Made, session: Session) -> Iterator[Failure]:
    """A template may create a resource too; the stand-in only knows how to write to one that is there."""
    for resource in items(made.get("properties.template.resources")):
        if _target(made, resource, session) is None:
            yield Failure(
                "properties.template",
                f"{resource.get('type')} {resource.get('name')} does not exist, and a stand-in creates nothing by template",
            )


def _target(made: Made, resource: Values, session: Session) -> Live | None:
    group = f"/resourceGroups/{made.get('resourceGroupName')}/providers/{resource.get('type')}/{resource.get('name')}"
    return next((live for live in session.objects() if live.id.lower().endswith(group.lower())), None)


def _raised(value: Any) -> Any:
    """As azure-native takes it: what the API has below `properties` one level higher, identities as a list."""
    if isinstance(value, list):
        return [_raised(v) for v in value]
    if not isinstance(value, dict):
        return value[1:] if isinstance(value, str) and value.startswith("[[") else value  # an escaped bracket
    raised = {k: _raised(v) for k, v in value.items()}
    if isinstance(inside := raised.pop("properties", None), dict):
        raised |= inside
    if isinstance(identities := raised.get("userAssignedIdentities"), dict):
        raised["userAssignedIdentities"] = sorted(identities)
    return raised
