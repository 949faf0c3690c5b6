"""A machine learns from its cloud who it is, whatever the way there does."""

import pytest

from lb.agent import web
from lb.agent.clouds import metadata
from lb.agent.clouds.protocol import CloudError
from tests.lb.agent.clouds.conftest import POOL

PLACES = {
    "aws": ("eu-west-1", "euw1-az1"),
    "gcp": ("europe-west4", "europe-west4-a"),
    "azure": ("westeurope", None),
}


def test_it_is_told_by_id_place_addresses_and_pool_as_drivers_and_plans_call_them(world):
    found = world.cloud.identity()
    assert found.instance_id == world.instance
    assert (found.region, found.zone) == PLACES[world.name]
    assert found.private_address == "10.0.0.7"
    assert found.public_address.startswith("203.0.113.")
    assert found.pool_id == POOL
    assert found.instance_type


def test_a_machine_without_a_pool_has_none(world):
    world.server.be(world.instance, pool=None)
    assert world.cloud.identity().pool_id is None


@pytest.mark.parametrize("failing", [[503, 503], [None], [429]])
def test_a_metadata_service_that_fails_for_a_moment_is_asked_again(world, failing):
    world.server.failing = failing
    assert world.cloud.identity().instance_id == world.instance


def test_one_that_stays_away_is_named(world):
    world.server.failing = [500] * 20
    with pytest.raises(CloudError, match="metadata"):
        world.cloud.identity()


def test_one_that_answers_too_late_is_named(world, monkeypatch):
    monkeypatch.setattr(metadata, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(metadata, "PATIENCE", web.Patience(tries=1))
    world.server.slow_s = 0.2
    with pytest.raises(CloudError, match=r"no answer in time|timed out"):
        world.cloud.identity()


def test_aws_is_asked_with_a_session_that_is_renewed_when_the_service_has_forgotten_it(opened):
    world = opened("aws")
    world.cloud.identity()
    assert len(world.server.sessions) == 1
    world.cloud.identity()
    assert len(world.server.sessions) == 1
    world.server.sessions.clear()
    assert world.cloud.identity().instance_id == world.instance
    assert len(world.server.sessions) == 1


def test_a_session_is_renewed_before_it_ends(opened):
    from lb.agent.clouds.aws import Imds

    world, moment = opened("aws"), 0.0
    imds = Imds(clock=lambda: moment)
    imds.get("dynamic/instance-identity/document")
    moment = 21600 - 200.0
    imds.get("dynamic/instance-identity/document")
    assert len(world.server.sessions) == 2
