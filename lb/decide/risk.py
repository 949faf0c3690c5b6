"""What a place's past says of its future: the longer it has been seen up, the longer it stays up, and so for down.

A place's hazard falls with its age, `h(age) = SHAPE / (age + SCALE_S)`, which is the hazard of the Lomax distribution; the
same law holds for how long it stays down. Measured on public availability traces (docs/policy.md).
"""

from __future__ import annotations

SHAPE = 0.9
SCALE_S = 2700.0
"""Of the law: 1.1 losses an hour at 5 minutes, 0.7 at half an hour, 0.3 at two hours, 0.04 at a day."""


def hazard(age_s: float) -> float:
    """Losses per second of a place that has been up for so long."""
    return SHAPE / (age_s + SCALE_S)


def stays(age_s: float, span_s: float) -> float:
    """The probability that a place which has been up, or down, for `age_s` is so for `span_s` more without a break."""
    return ((age_s + SCALE_S) / (age_s + span_s + SCALE_S)) ** SHAPE


def loss(age_s: float, span_s: float) -> float:
    """The probability that a place which has been up for `age_s` is lost within `span_s`."""
    return 1.0 - stays(age_s, span_s)


def mean_stay_s(age_s: float, most_s: float) -> float:
    """For how long a place that has been up for `age_s` stays up on average, where what comes after `most_s` does not count."""
    scale_s = age_s + SCALE_S
    return scale_s / (1.0 - SHAPE) * ((1.0 + most_s / scale_s) ** (1.0 - SHAPE) - 1.0)
