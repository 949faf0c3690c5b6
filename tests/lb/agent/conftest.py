"""A machine with a folder as bucket."""

import pytest

from lb.agent.config import NodeConfig
from tests.lb.agent.machine import POOL, Bucket


@pytest.fixture
def bucket(tmp_path):
    root = tmp_path / "state"
    root.mkdir()
    return Bucket(root)


@pytest.fixture
def node(tmp_path):
    (tmp_path / "work").mkdir()
    return NodeConfig(
        cloud="local",
        region="local-east",
        zone="local-east-a",
        pool_id=POOL,
        instance_id="i-0123456789",
        address="127.0.0.1",
        port=18100,
        agent_port=18101,
        bucket=(tmp_path / "state").as_uri(),
        work_dir=tmp_path / "work",
    )
