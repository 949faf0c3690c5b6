"""Machines without containers: those of the local cloud, which are processes of your computer."""

from __future__ import annotations

from lb.agent.bundle import Bundle, BundleError
from lb.agent.steps import Step


def refuse_image(bundle: Bundle) -> list[Step]:
    """Raises BundleError when the bundle wants to run in a container: the agent runs commands."""
    if bundle.image:
        raise BundleError(
            f"the bundle wants the image {bundle.image}, and machines of the local cloud run commands, not containers; "
            "leave `image_id` out here, or start the container in `run` (docker run ...)"
        )
    return []
