"""Targets of load for a comparison to which nobody gives any: what the engine model itself can take of the mean request.

One basis for all: each target says "four fifths of what a replica can do", so that no policy is given more room than another.
"""

from __future__ import annotations

from sim.engine import Rates
from sim.requests import Requests
from spec.scaling import Scaling

USED = 0.8
MOST_REPLICAS = 100
TTFT_MS = 2000.0
MOST_QPS = 1e6
"""Of requests that are no work at all."""


def suggested(requests: Requests, rates: Rates) -> Scaling:
    """Requests per second for all policies, and beside it the time to first byte for those that look at it."""
    prompt, output = requests.mean_tokens
    qps = min(MOST_QPS, USED * rates.capacity(prompt, output))
    return Scaling(
        min_replicas=1,
        max_replicas=MOST_REPLICAS,
        target_qps_per_replica=float(f"{qps:.3g}"),
        target_ttft_ms=TTFT_MS,
    )
