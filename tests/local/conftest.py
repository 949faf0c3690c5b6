"""A home of its own for each test, in which nothing survives the test."""

import sys

import pytest

from local.processes import Launch, Registry


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "home")
    yield registry
    registry.sweep(grace_s=0)


@pytest.fixture
def order(registry):
    """Makes an order to start a Python program, given as source text."""

    def make(source, *, name="p", env=None, **kwargs):
        return Launch(
            name=name,
            kind="machine",
            argv=(sys.executable, "-I", "-S", "-c", source),
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            cwd=str(registry.home.parent),
            log=str(registry.home / "logs" / f"{name}.log"),
            **kwargs,
        )

    return make
