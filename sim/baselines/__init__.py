"""The published policies that every comparison shows, by their own rules: no cleverer and no worse than they are.

None of them looks at a notice: a replica that will be preempted is one until it is gone. What is missing is asked for again
at every tick, by one call per zone.
"""
