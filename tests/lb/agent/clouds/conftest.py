"""A machine in each of the three clouds, which answer on loopback."""

import importlib
from dataclasses import dataclass
from typing import Any

import pytest

from lb.agent import web
from lb.agent.clouds import metadata
from tests.clouds.aws import Aws
from tests.clouds.azure import Azure
from tests.clouds.gcp import Gcp

POOL = "chat.cloud.somewhere.L4x1.spot"
INSTANCES = {"aws": "i-0123456789abcdef0", "gcp": "1234567890123456789", "azure": "tw-chat_1a2b3c4d"}
MADE = {"aws": Aws, "gcp": Gcp, "azure": Azure}


@dataclass
class World:
    """`server`: the cloud; `cloud`: what the agent knows of it."""

    name: str
    server: Any
    cloud: Any

    @property
    def instance(self):
        return INSTANCES[self.name]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    for module, tries in ((metadata, 5), (web, 4)):
        monkeypatch.setattr(module, "PATIENCE", web.Patience(tries=tries, first_s=0.0, most_s=0.0))


@pytest.fixture
def opened(monkeypatch):
    """Makes a cloud by its name."""
    servers = []

    def make(name):
        server = MADE[name]()
        servers.append(server)
        for variable, value in server.environment.items():
            monkeypatch.setenv(variable, value)
        for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:1")  # nobody is there
        server.be(INSTANCES[name], pool=POOL, address="10.0.0.7")
        module = importlib.import_module(f"lb.agent.clouds.{name}")
        return World(name, server, module.Cloud(server.store))

    yield make
    for server in servers:
        server.close()


@pytest.fixture(params=list(MADE))
def world(request, opened):
    return opened(request.param)
