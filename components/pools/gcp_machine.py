"""What the machines of a pool in Google Cloud are made of: image, GPUs, disk, and how they are bought.

Machine types of the A and G series bring their GPUs; N1 machines are given some, so that one N1 type serves several
accelerators.
"""

from __future__ import annotations

from typing import Any

from pulumi_gcp import compute

from spec.desired import Pool
from spec.errors import InputError
from spec.names import Market

IMAGE = (
    "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2404-amd64-with-nvidia-580"
)
"""Canonical's: Ubuntu 24.04 with Python 3.12 and NVIDIA's driver, of the kind for Turing and later. It has no Docker."""
_ATTACHED = {"T4": "nvidia-tesla-t4"}
"""GPUs of N1 machines: https://cloud.google.com/compute/docs/gpus#n1-gpus"""

_HYPERDISK_ONLY = ("a3-ultragpu", "a4-", "a4x-", "g4-")
"""https://cloud.google.com/compute/docs/disks/hyperdisks#machine-type-support"""


def accelerators(pool: Pool) -> list[Any]:
    """GPUs that the machine type does not bring itself. Raises InputError for some that no machine can be given."""
    if not pool.instance_types[0].startswith("n1-"):
        return []
    if pool.accelerator not in _ATTACHED:
        raise InputError(
            f"pool {pool.id}: nobody knows what Google Cloud calls the {pool.accelerator} of an N1 machine. "
            f"Name others in the service's `resources.accelerators`: {', '.join(_ATTACHED)}."
        )
    attached = _ATTACHED[pool.accelerator]
    return [compute.RegionInstanceTemplateGuestAcceleratorArgs(type=attached, count=pool.accelerator_count)]


def disk_type(pool: Pool) -> str:
    """The fast kind that the machine type takes: balanced disks would load 100 GB of weights in 10 minutes."""
    return "hyperdisk-balanced" if pool.instance_types[0].startswith(_HYPERDISK_ONLY) else "pd-ssd"


def shielded() -> Any:
    """What a machine boots is measured, and Google tells when it is not what it was before.

    Not refused: under secure boot the kernel loads no module that isn't signed. Of the image's own nobody says in writing that
    all are, and those that a service's `setup` builds for itself (DKMS) are not.
    """
    return compute.RegionInstanceTemplateShieldedInstanceConfigArgs(
        enable_secure_boot=False, enable_vtpm=True, enable_integrity_monitoring=True
    )


def scheduling(market: Market) -> Any:
    """Machines with GPUs can't be moved while they run, so Google ends them for its maintenance."""
    if market is not Market.SPOT:
        return compute.RegionInstanceTemplateSchedulingArgs(
            provisioning_model="STANDARD",
            preemptible=False,
            automatic_restart=True,
            on_host_maintenance="TERMINATE",
        )
    return compute.RegionInstanceTemplateSchedulingArgs(
        provisioning_model="SPOT",
        preemptible=True,
        automatic_restart=False,
        on_host_maintenance="TERMINATE",
        instance_termination_action="DELETE",
    )
