"""One name for each accelerator, however a user, a tutorial or a cloud spells it.

Names here are those that SkyPilot's users write (`A100` has 40 GiB, `A100-80GB` is another accelerator), so that a
service file means the same machine there and here. Memory and compute capability belong to the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spec.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class AcceleratorKind:
    """What is known of an accelerator.

    Attributes:
        memory_gib: nominal memory of one.
        vendor: `nvidia`, `amd`, `google` or `amazon`.
        capability: CUDA compute capability; None for other vendors.
        inline_ecc: whether error correction takes 1/16 of the memory, as on NVIDIA's cards with GDDR memory.

    """

    name: str
    memory_gib: float
    vendor: str = "nvidia"
    capability: tuple[int, int] | None = None
    inline_ecc: bool = False

    @property
    def usable_gib(self) -> float:
        """GiB of one that programs see: an L4 of 24 GiB shows 22.5."""
        return self.memory_gib * 15 / 16 if self.inline_ecc else self.memory_gib


KINDS: tuple[AcceleratorKind, ...] = (
    AcceleratorKind("T4", 16, capability=(7, 5), inline_ecc=True),
    AcceleratorKind("L4", 24, capability=(8, 9), inline_ecc=True),
    AcceleratorKind("A10", 24, capability=(8, 6), inline_ecc=True),
    AcceleratorKind("A10G", 24, capability=(8, 6), inline_ecc=True),
    AcceleratorKind("L40", 48, capability=(8, 9), inline_ecc=True),
    AcceleratorKind("L40S", 48, capability=(8, 9), inline_ecc=True),
    AcceleratorKind("A40", 48, capability=(8, 6), inline_ecc=True),
    AcceleratorKind("A6000", 48, capability=(8, 6), inline_ecc=True),
    AcceleratorKind("RTXPRO6000", 96, capability=(12, 0), inline_ecc=True),
    AcceleratorKind("P100", 16, capability=(6, 0)),
    AcceleratorKind("V100", 16, capability=(7, 0)),
    AcceleratorKind("V100-32GB", 32, capability=(7, 0)),
    AcceleratorKind("A100", 40, capability=(8, 0)),
    AcceleratorKind("A100-80GB", 80, capability=(8, 0)),
    AcceleratorKind("H100", 80, capability=(9, 0)),
    AcceleratorKind("H200", 141, capability=(9, 0)),
    AcceleratorKind("GH200", 96, capability=(9, 0)),
    AcceleratorKind("B200", 180, capability=(10, 0)),
    AcceleratorKind("GB200", 186, capability=(10, 0)),
    AcceleratorKind("B300", 270, capability=(10, 0)),
    AcceleratorKind("MI300X", 192, vendor="amd"),
    AcceleratorKind("TPU-v5e", 16, vendor="google"),
    AcceleratorKind("TPU-v6e", 32, vendor="google"),
    AcceleratorKind("Inferentia2", 32, vendor="amazon"),
    AcceleratorKind("Trainium", 32, vendor="amazon"),
)
"""Memory and capability as the vendors publish them. Not every kind is sold somewhere in the catalog."""

_ALIASES = {
    "A100-40GB": "A100",
    "A100-SXM4-40GB": "A100",
    "A100-80G": "A100-80GB",
    "A100-SXM4-80GB": "A100-80GB",
    "A100-SXM-80GB": "A100-80GB",
    "A100-PCIe-80GB": "A100-80GB",
    "V100-16GB": "V100",
    "V100-32G": "V100-32GB",
    "H100-80GB": "H100",
    "H100-80G": "H100",
    "H100-SXM": "H100",
    "H100-MEGA-80GB": "H100",
    "H100-NVL": "H100",
    "H200-141GB": "H200",
    "H200-SXM": "H200",
    "L4-24GB": "L4",
    "T4-16GB": "T4",
    "A10-24GB": "A10",
    "A10G-24GB": "A10G",
    "RTX-A6000": "A6000",
    "TPU-v5litepod": "TPU-v5e",
    "v5e": "TPU-v5e",
    "v5litepod": "TPU-v5e",
    "v6e": "TPU-v6e",
    "TPU-Trillium": "TPU-v6e",
    "inf2": "Inferentia2",
    "trn1": "Trainium",
    "Trainium1": "Trainium",
}

_TPU_SLICE = re.compile(r"(?:tpu-?)?(v5e|v5litepod|v6e)-(\d+)", re.IGNORECASE)
_VENDOR = re.compile(r"^(nvidia|tesla|google|aws|amd)+")


def _folded(name: str) -> str:
    """Case, dashes, blanks and the vendor's name don't tell accelerators apart."""
    return _VENDOR.sub("", re.sub(r"[^a-z0-9]", "", name.casefold()))


_BY_NAME = {k.name: k for k in KINDS}
_BY_FOLDED = {_folded(k.name): k for k in KINDS} | {_folded(a): _BY_NAME[n] for a, n in _ALIASES.items()}


class UnknownAccelerator(InputError):
    """Nobody knows an accelerator of that name; the message offers the nearest one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hint = did_you_mean(name, _BY_NAME) or did_you_mean(name, _ALIASES)
        super().__init__(f"nobody has an accelerator `{name}`. {self.hint or known_names()}")


def known_names() -> str:
    """A sentence that lists the canonical names."""
    return f"Known: {', '.join(sorted(_BY_NAME))}."


def kind_of(name: str) -> AcceleratorKind:
    """The accelerator of that name or alias. Raises UnknownAccelerator."""
    kind = _BY_NAME.get(name) or _BY_FOLDED.get(_folded(name))
    if kind is None:
        raise UnknownAccelerator(name)
    return kind


def resolve(name: str, count: int) -> tuple[str, int]:
    """Canonical name and count; `tpu-v5e-8:1`, a slice of 8 chips, is `TPU-v5e` x 8.

    Raises UnknownAccelerator.
    """
    if piece := _TPU_SLICE.fullmatch(name):
        return kind_of(piece[1]).name, count * int(piece[2])
    return kind_of(name).name, count
