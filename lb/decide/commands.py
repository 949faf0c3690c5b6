"""What a decision asks for: values that the executor carries out, checked again before they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lb.decide.memory import Memory
from lb.decide.observed import Gang


@dataclass(frozen=True, slots=True)
class Assign:
    """Machine `instance_id` of the pool shall run that bundle; None = all machines that are not named."""

    pool_id: str
    instance_id: str | None
    sha256: str
    call: Literal["assign"] = "assign"


@dataclass(frozen=True, slots=True)
class AssignGangs:
    """These are all gangs of the pool; a machine that is in none of them waits for one, if its bundle wants several."""

    pool_id: str
    gangs: tuple[Gang, ...]
    call: Literal["assign_gangs"] = "assign_gangs"


@dataclass(frozen=True, slots=True)
class SetSize:
    """The pool shall have that many machines (absolute); only ever grows it, or withdraws what did not come."""

    pool_id: str
    size: int
    call: Literal["set_size"] = "set_size"


@dataclass(frozen=True, slots=True)
class Terminate:
    """That machine shall end, and the pool shrink by one."""

    pool_id: str
    instance_id: str
    replica_id: str
    call: Literal["terminate"] = "terminate"


Command = Assign | AssignGangs | SetSize | Terminate


@dataclass(frozen=True, slots=True)
class Decision:
    """Commands in the order in which they must be carried out per pool, the memory for the next tick, and why.

    Attributes:
        because: the reason of each command, in their order.
        targets: how many replicas of each service should be ready.
        reasons: plain words, everything that was said: of commands, of what happened, and of what keeps commands from
            being given.

    """

    commands: tuple[Command, ...]
    memory: Memory
    reasons: tuple[str, ...] = ()
    targets: dict[str, int] = field(default_factory=dict)
    because: tuple[str, ...] = ()
