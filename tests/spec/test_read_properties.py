"""Whatever a file holds, reading it gives a spec or a SpecError, and nothing else."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spec.bundle import build
from spec.errors import SpecError
from spec.read import read_service
from spec.service import ServiceSpec
from spec.written import Alternative, Resources, ServiceFile, ServiceSection, TradewindSection

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["A100:1", "8000/tcp", "32+", "320Gi", "/health", "$A", "${B}", "docker:x", "70B", '{"a": 1}']
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["path", "min_replicas", "cloud", "A"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def section(model) -> st.SearchStrategy:
    return st.dictionaries(st.sampled_from(sorted(model.model_fields)), VALUES, max_size=5)


FILES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(ServiceFile.model_fields, VALUES),
        "resources": section(Resources) | section(Alternative) | VALUES,
        "service": section(ServiceSection) | VALUES,
        "tradewind": section(TradewindSection) | VALUES,
        "autoscaling": VALUES,
        "health_check": VALUES,
        "fallback_regions": VALUES,
        "accelerator": VALUES,
    },
)
RELAXED = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def outcome(content: bytes) -> ServiceSpec | SpecError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_bytes(content)
        try:
            return read_service(path, env={})
        except SpecError as e:
            json.dumps([p.value for p in e.problems])
            return e


@RELAXED
@given(FILES)
def test_arbitrary_values_in_known_fields(file):
    outcome(yaml.safe_dump(file, allow_unicode=True).encode())


@RELAXED
@given(FILES)
def test_a_valid_file_with_arbitrary_extras_can_be_stored_and_bundled(extras):
    valid = {
        "resources": {"accelerators": "L4:1", "ports": 8000},
        "service": {"readiness_probe": "/health"},
        "run": "serve",
    }
    spec = outcome(yaml.safe_dump({**extras, **valid}, allow_unicode=True).encode())
    if isinstance(spec, ServiceSpec):
        assert ServiceSpec.model_validate_json(spec.model_dump_json()) == spec
        build(spec.model_copy(update={"workdir": None}))


@RELAXED
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_arbitrary_text_and_bytes(content):
    outcome(content.encode(errors="replace") if isinstance(content, str) else content)


@RELAXED
@given(st.lists(st.sampled_from(list("[]{}:,-&*!|>'\"#%@`\n\t ?a1")), max_size=40).map("".join))
def test_arbitrary_yaml_punctuation(content):
    outcome(content.encode())
