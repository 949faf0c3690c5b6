"""What to do: pure functions of (desired, observed, memory, now). No input or output, no clock, no network."""

from lb.decide.commands import Assign, AssignGangs, Command, Decision, SetSize, Terminate
from lb.decide.decide import decide
from lb.decide.memory import Memory
from lb.decide.observed import Health, Observed, Outcome

__all__ = [
    "Assign",
    "AssignGangs",
    "Command",
    "Decision",
    "Health",
    "Memory",
    "Observed",
    "Outcome",
    "SetSize",
    "Terminate",
    "decide",
]
