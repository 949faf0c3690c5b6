"""Pulling an image: what passes, what does not, and what the user hears of it."""

import pytest

from lb.agent.containers.machine import DockerError, ask, has_image
from lb.agent.containers.registry import GIVES_UP_S, Layers, Pull, PullError, refuse

IMAGE = "acme/engine:1"


class Time:
    def __init__(self):
        self.now, self.said = 0.0, []

    def pause(self, seconds):
        self.now += seconds

    def say(self, text, *, seldom=False):
        self.said.append((text, seldom))

    def pull(self):
        Pull(say=self.say, pause=self.pause, clock=lambda: self.now).image(IMAGE)


@pytest.fixture
def time():
    return Time()


@pytest.mark.e2e
def test_an_image_comes_layer_by_layer(stand_in, time):
    stand_in.registry({IMAGE: {"layers": 3}})
    time.pull()
    assert has_image(IMAGE)
    assert time.said[0] == ("asking the registry", False)
    assert time.said[-2] == ("3 of 3 layers", True)


@pytest.mark.e2e
def test_what_can_pass_is_tried_again(stand_in, time):
    limited = "toomanyrequests: You have reached your unauthenticated pull rate limit."
    stand_in.registry({IMAGE: {"fails": ["net/http: TLS handshake timeout", limited]}})
    time.pull()
    assert has_image(IMAGE)
    assert any("TLS handshake timeout; trying again in 2 s" in said for said, _ in time.said)
    assert any("rate limit.; trying again in 4 s" in said for said, _ in time.said)


@pytest.mark.e2e
def test_a_registry_that_is_away_for_ten_minutes_is_given_up(stand_in, time):
    stand_in.registry({IMAGE: {"fails": ["dial tcp: connection refused"] * 100}})
    with pytest.raises(PullError, match=r"connection refused; given up after 10 minutes"):
        time.pull()
    assert GIVES_UP_S <= time.now < GIVES_UP_S + 60


@pytest.mark.e2e
def test_a_full_disk_loses_unused_images_once_and_is_then_told(stand_in, time):
    full = "write /var/lib/docker/tmp/x: no space left on device"
    stand_in.registry({IMAGE: {"fails": [full]}})
    time.pull()
    assert has_image(IMAGE)
    assert ["image", "prune", "--all", "--force"] in stand_in.calls()
    stand_in.registry({IMAGE: {"fails": [full, full]}})
    with pytest.raises(PullError, match="raise `disk_size`"):
        time.pull()


@pytest.mark.e2e
def test_an_image_that_does_not_exist_is_told_at_once(stand_in, time):
    with pytest.raises(PullError, match=r"there is no such image: correct `image_id`"):
        time.pull()
    assert time.now == 0


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            "pull access denied for x, repository does not exist or may require 'docker login'",
            "or it is private",
        ),
        ("unauthorized: authentication required", "SKYPILOT_DOCKER_PASSWORD"),
        ("denied: requested access to the resource is denied", "SKYPILOT_DOCKER_USERNAME"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "machines of this kind"),
        ("invalid reference format", "no name of an image"),
    ],
)
def test_a_refusal_says_the_way_out(why, said):
    with pytest.raises(PullError, match=f"{IMAGE}: .*{said}"):
        refuse(IMAGE, f"Error response from daemon: {why}")


def test_layers_are_counted_by_what_docker_prints():
    layers = Layers()
    for line in ("latest: Pulling from a/b", "0123456789ab: Pulling fs layer", "0123456789ab: Downloading"):
        layers.read(line)
    assert str(layers) == "0 of 1 layers"
    layers.read("0123456789ab: Pull complete\n")
    layers.read("aaaaaaaaaaaa: Already exists")
    assert str(layers) == "2 of 2 layers"


@pytest.mark.e2e
def test_docker_says_its_own_reason(stand_in):
    with pytest.raises(DockerError, match="No such container: nobody"):
        ask("stop", "-t", "1", "nobody")
