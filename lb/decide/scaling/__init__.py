"""How many replicas a service needs: what its load asks for, and when the number may follow.

`signals` say how many replicas each measure wants, the largest wins; `pace` says since when that has been so and how
fast the number may move; `schedule` and `forecast` set floors by the clock; `spike` does not wait; `follow` puts them together.
"""

from lb.decide.scaling.follow import target, with_spares
from lb.decide.scaling.signals import View
from lb.decide.scaling.supply import Supply

__all__ = ["Supply", "View", "target", "with_spares"]
