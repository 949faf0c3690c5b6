"""What each kind of resource must be able to do; the server turns it into Pulumi's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any, ClassVar, Protocol

from local.plugin.fields import Failure, Field, Type

Properties = dict[str, Any]


class OperationError(Exception):
    """An operation could not be done; the message is for the user."""


class CancelledError(OperationError):
    """Somebody pressed Ctrl-C: what the operation had started is ended again."""

    def __init__(self, what: str) -> None:
        super().__init__(f"cancelled while {what}; nothing of it was left behind")


class Resource(Protocol):
    """One kind of resource. Inputs are checked and complete when they get here; no method keeps state.

    Attributes:
        token: the type's name; part of every stack's state, so it never changes.
        outputs: types of the properties beyond the inputs, known only once the resource is there.
        delete_first: whether a replacement can't exist beside the old one.

    """

    token: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    outputs: ClassVar[dict[str, Type]]
    delete_first: ClassVar[bool]

    def check(self, inputs: Properties) -> list[Failure]:
        """What is wrong beyond types; values may be unknown in a preview."""
        ...

    def identify(self, inputs: Properties) -> str:
        """The resource's id."""
        ...

    def preview(self, inputs: Properties) -> Properties:
        """The outputs as far as they are known before anything is done."""
        ...

    def drift(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """Where reality left the state: property path -> 'delete' | 'update'."""
        ...

    def ensure(self, inputs: Properties, cancelled: Event) -> Properties:
        """Creates or updates, idempotent; returns the outputs. Raises OperationError or OSError."""
        ...

    def read(self, outputs: Properties) -> Properties | None:
        """The outputs as they are now; None when the resource is gone."""
        ...

    def delete(self, outputs: Properties) -> None:
        """Gone already is success. Raises OperationError or OSError."""
        ...
