"""What the modules of AWS share: the account, images by their public parameters, and names of AWS's own.

Images are named by parameters that AWS and Canonical keep up to date in every region, so nothing here holds the id of
one, and a preview needs none.
"""

from __future__ import annotations

from components.cloud import Scope
from spec.errors import InputError

HOST_IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
"""Ubuntu 24.04, which has Python 3.12. https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/"""

_NVIDIA_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
"""Driver, Docker with its container toolkit, Python 3.12."""
_NEURON_IMAGE = "/aws/service/neuron/dlami/multi-framework/ubuntu-24.04/latest/image_id"
_NEURON = ("Inferentia2", "Trainium", "Trainium2")

ROOT_DEVICE = "/dev/sda1"
"""What all of these images call their disk."""


def account_id(scope: Scope) -> str:
    """Where everything of a scope is. Raises InputError when the stack names none."""
    if scope.config.aws is None:
        raise InputError(
            "tradewind:aws is missing. Add `accountId`, as `aws sts get-caller-identity` prints it."
        )
    return scope.config.aws.account_id


def replica_image(accelerator: str) -> str:
    """The parameter of the image that machines with this accelerator run."""
    return _NEURON_IMAGE if accelerator in _NEURON else _NVIDIA_IMAGE


def resolved_at_launch(parameter: str) -> str:
    """How a launch template names an image that AWS looks up at each launch."""
    return f"resolve:ssm:{parameter}"
