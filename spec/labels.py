"""What everything that an environment declares in a cloud carries, so that machines, drivers and policies know it.

Tags on AWS and Azure, labels and instance metadata on GCP: the names are such that all of them take them.
"""

import re

ENV_TAG = "tradewind-env"
SERVICE_TAG = "tradewind-service"
POOL_TAG = "tradewind-pool"
"""Tells a machine, and the policies, which pool it is of."""
MAX_SIZE_TAG = "tradewind-max-size"
"""How many machines a pool may have, where the cloud's groups have no such limit of their own (GCP, Azure): the controller
holds it, the policies count with it, and only the account's quota is a bound that nobody can break."""

_LABEL_LENGTH = 63


def as_label(text: str) -> str:
    """A tag's name or value as a label of Google Cloud, which takes fewer letters."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:_LABEL_LENGTH]
