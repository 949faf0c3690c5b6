import pytest

from catalog.load import Offer, load
from spec.desired import Scaling
from spec.service import Accelerator, ResourceOption, ServiceSpec

MIXTRAL = ("L4:8", "A10g:8", "A100:4", "A100:8", "A100-80GB:2", "A100-80GB:4", "A100-80GB:8")


def accelerators(*words):
    pairs = (word.split(":") for word in words)
    return tuple(Accelerator(name=name, count=int(count)) for name, count in pairs)


@pytest.fixture(scope="session")
def catalog():
    return load()


@pytest.fixture
def service():
    """Makes services; `shapes` and `option` are for one alternative, `options` for several."""

    def make(*shapes, name="svc", options=None, scaling=None, option=None, **fields):
        options = options or (ResourceOption(accelerators=accelerators(*shapes), **(option or {})),)
        return ServiceSpec(
            **{
                "name": name,
                "file": f"{name}.yaml",
                "options": options,
                "run": "serve",
                "port": 8000,
                "scaling": Scaling(**(scaling or {"min_replicas": 2, "max_replicas": 2})),
                **fields,
            }
        )

    return make


@pytest.fixture
def mixtral(service):
    return service(*MIXTRAL, name="mixtral", model="mistralai/Mixtral-8x7B-Instruct-v0.1")


@pytest.fixture
def option():
    """Makes one alternative of a service's resources."""

    def make(*shapes, **fields):
        return ResourceOption(accelerators=accelerators(*shapes), **fields)

    return make


@pytest.fixture
def offer():
    """Makes catalog rows."""

    def make(zone="use1-az1", price=1.0, spot=0.3, **changes):
        return Offer(
            **{
                "cloud": "aws",
                "region": zone.rpartition("-")[0] if zone else "eastus",
                "zone": zone,
                "instance_type": "g6.xlarge",
                "vcpus": 4,
                "memory_gib": 16,
                "accelerator": "L4",
                "accelerator_count": 1,
                "accelerator_memory_gib": 24,
                "on_demand_usd_hour": price,
                "spot_usd_hour": spot,
                "source": "test",
                "as_of": "2026-01-01",
                **changes,
            }
        )

    return make
