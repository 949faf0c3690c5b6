"""A machine reads its secrets with its own identity, and says in one line why it can't."""

import pytest

from lb.agent.clouds.protocol import CloudError

NAME = "tradewind-test-service-chat-HF_TOKEN"


def test_a_secret_is_read_byte_by_byte(world):
    world.server.secrets[NAME] = "hf_ä\nline two\n"
    assert world.cloud.secret(NAME).decode() == "hf_ä\nline two\n"
    assert world.server.refused == []


def test_what_is_missing_or_denied_is_told_with_the_way_out_and_without_a_value(world):
    with pytest.raises(CloudError, match=rf"{NAME}: it is not there.*pulumi up"):
        world.cloud.secret(NAME)
    world.server.secrets[NAME] = "a value"
    world.server.denied.add(NAME)
    with pytest.raises(CloudError, match=f"{NAME}: denied") as e:
        world.cloud.secret(NAME)
    assert "a value" not in str(e.value)


def test_a_store_that_fails_for_a_moment_is_asked_again(world):
    world.server.secrets[NAME] = "a value"
    world.cloud.secret(NAME)
    world.server.failing = [503, None, 429]
    assert world.cloud.secret(NAME) == b"a value"


def test_aws_takes_a_machine_whose_clock_is_wrong(opened):
    world = opened("aws")
    world.server.secrets[NAME] = "a value"
    world.server.skew_s = 7200
    assert world.cloud.secret(NAME) == b"a value"
    assert len(world.server.refused) == 1
    assert world.cloud.secret(NAME) == b"a value"
    assert len(world.server.refused) == 1


def test_no_answer_shows_a_token_in_its_error(opened):
    world = opened("gcp")
    world.server.secrets[NAME] = "a value"
    world.server.answer = lambda *_: (200, b'{"access_token": "ya29.shown", "expires_in": "soon"', {})
    with pytest.raises(CloudError) as e:
        world.cloud.secret(NAME)
    assert "ya29" not in str(e.value)
