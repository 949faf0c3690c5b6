"""A service file that is right, and a way to write it with a few lines changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spec.errors import Problem, SpecError
from spec.read import read_service
from spec.service import ServiceSpec

MINIMAL = """\
resources:
  accelerators: L4:1
  ports: 8000
service:
  readiness_probe: /health
  replicas: 2
run: serve
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ServiceSpec]:
    """Reads a service file with that text; variables as keywords."""

    def read(text: str, **env: str) -> ServiceSpec:
        path = tmp_path / "demo.yaml"
        path.write_text(text)
        return read_service(path, env=env)

    return read


@pytest.fixture
def problems(read: Callable[..., ServiceSpec]) -> Callable[..., list[Problem]]:
    """The problems of a service file with that text."""

    def problems(text: str, **env: str) -> list[Problem]:
        with pytest.raises(SpecError) as e:
            read(text, **env)
        return list(e.value.problems)

    return problems


@pytest.fixture
def minimal() -> str:
    """The text of a short, valid service file."""
    return MINIMAL
