"""A service as the rest of the program sees it, whatever dialect its file was written in.

`spec.read` makes these from YAML. Everything is normalised here: names of accelerators as the user wrote them (the
catalog knows aliases), numbers in the units that the field names say, alternatives spelled out one by one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spec.base import Port, Written
from spec.desired import Budget, Probe, Routing, Scaling
from spec.names import Market


class Accelerator(Written):
    """`A100-80GB:2`, as written."""

    name: str
    count: int = Field(1, ge=1)


class Amount(Written):
    """`32`, `32+` or `320Gi`: a number of vCPUs or of GiB, at least or exactly."""

    value: float = Field(gt=0)
    at_least: bool = False

    def allows(self, have: float) -> bool:
        """Whether a machine that has this much will do."""
        return have >= self.value if self.at_least else have == self.value


class ResourceOption(Written):
    """One alternative of `resources`; None means that anything will do.

    `accelerators` are alternatives in turn; empty means that the planner sizes the machine from `model_size`.
    """

    accelerators: tuple[Accelerator, ...] = ()
    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    cpus: Amount | None = None
    memory_gib: Amount | None = None
    market: Market = Market.ON_DEMAND


class ModelSize(Written):
    """A model by its size, from which the planner computes what can hold it.

    `parameters_b`: billions of parameters. `quantization`: how weights are stored (`fp16`, `bf16`, `fp8`, `int8`,
    `int4`, `awq`, `gptq`, ...). `max_model_len`: tokens of one sequence; `max_num_seqs`: sequences at the same time.
    The shape of the attention may be given; otherwise the planner estimates it from the size and says so.
    """

    name: str | None = None
    parameters_b: float = Field(gt=0)
    quantization: str = "bf16"
    max_model_len: int = Field(8192, ge=1)
    max_num_seqs: int = Field(16, ge=1)
    layers: int | None = Field(None, ge=1)
    kv_heads: int | None = Field(None, ge=1)
    head_dim: int | None = Field(None, ge=1)


class Mount(Written):
    """One entry of `file_mounts`: where it appears on the machine, and where it comes from."""

    target: str
    source: str
    mode: Literal["MOUNT", "COPY"] = "COPY"


class Tls(Written):
    """Files of the certificate that callers of the service see; paths as written."""

    keyfile: str
    certfile: str


class ServiceSpec(Written):
    """One service file, understood.

    `options` are alternatives; `ordered` says that an earlier one is preferred whatever it costs, both for
    `options` and for the accelerators of one option. `leaving`: whether the stack has no such service any more, and it is
    here only until its replicas have left. `not_acted_on` holds a sentence for each field that is known
    and that nothing acts on yet; `assumed` one for each value that the file leaves out and that was filled in.
    """

    name: str
    file: str
    leaving: bool = False
    options: tuple[ResourceOption, ...]
    ordered: bool = False
    model_size: ModelSize | None = None
    throughput: str | None = None
    """The user's own table of measured speeds, as written: beside the service file."""
    num_nodes: int = Field(1, ge=1)
    disk_size_gib: int | None = Field(None, ge=1)
    disk_tier: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    image: str | None = None
    setup: str = ""
    run: str
    envs: dict[str, str] = Field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    port: Port
    workdir: str | None = None
    file_mounts: tuple[Mount, ...] = ()
    tls: Tls | None = None
    model: str | None = None
    engine: str | None = None

    probe: Probe = Probe()
    scaling: Scaling = Scaling()
    routing: Routing = Routing()
    budget: Budget = Budget()
    not_acted_on: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
