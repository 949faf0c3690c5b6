"""The scripts of a host as modules, below a prefix of the test's own."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from components.boot import pointers

BOOT = Path(pointers.__file__).parent
SCRIPTS = ("fetch", "settings", "host_secrets", "update", "healthy")


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """`scripts("fetch")` is that module; `scripts.root` stands in the place of /."""
    monkeypatch.setenv("TRADEWIND_ROOT", str(tmp_path / "root"))
    monkeypatch.syspath_prepend(str(BOOT))

    class Scripts:
        root = tmp_path / "root"

        def __call__(self, name):
            return importlib.import_module(name)

        def host(self, **facts):
            path = self.root / "etc/tradewind/host.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts))
            return facts

    yield Scripts()
    for name in SCRIPTS:
        sys.modules.pop(name, None)
