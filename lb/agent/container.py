"""Bundles with an image."""

from __future__ import annotations

from lb.agent.bundle import Bundle, BundleError
from lb.agent.steps import Step


def refuse_image(bundle: Bundle) -> list[Step]:
    """Raises BundleError when the bundle wants to run in a container: the agent runs commands."""
    if bundle.image:
        raise BundleError(
            f"the bundle wants the image {bundle.image}, and this machine runs commands, not containers; "
            "leave `image_id` out, or start the container in `run` (docker run ...)"
        )
    return []
