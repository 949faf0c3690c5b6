"""Agents and controllers of different versions, over real HTTP."""

import json
import time

import pytest

from spec.snapshot import Snapshot
from tests.lb.edge.test_agent import controller, place  # noqa: F401  fixtures
from tests.lb.envoy.harness import eventually, service

pytestmark = pytest.mark.e2e


def test_a_newer_agent_follows_a_controller_that_takes_no_reports_and_says_so_once(place, controller):  # noqa: F811
    controller.takes_reports = False
    place.start(controller.url)
    for seq in range(1, 4):
        controller.say(1, seq, service("chat"))
        eventually(lambda s=seq: place.serves(1, s))
    time.sleep(2.5)  # some more looks
    log = place.log.read_text()
    assert log.count("report_not_heard") == 1
    assert "the controller takes no reports" in log
    assert controller.reports == []


def test_an_agent_takes_a_newer_controllers_snapshot_without_what_it_does_not_know(place, controller):  # noqa: F811
    class Newer(Snapshot):
        def model_dump_json(self):
            told = json.loads(super().model_dump_json())
            told["weather"] = "fine"
            told["services"][0] |= {"hold_like_this": True, "tiers": [{"name": "gold"}]}
            return json.dumps(told)

    place.start(controller.url)
    controller.snapshot_type = Newer
    controller.say(1, 1, service("chat"))
    eventually(lambda: place.serves(1, 1))
    eventually(lambda: controller.reports)


def test_an_agent_holds_nobody_for_a_controller_that_knows_no_holding(place, controller):  # noqa: F811
    class Older(Snapshot):
        def model_dump_json(self):
            told = json.loads(super().model_dump_json())
            for one in told["services"]:
                del one["hold"]
                del one["routing"]["hold_limit_s"]
                del one["routing"]["max_held"]
            return json.dumps(told)

    place.start(controller.url)
    controller.snapshot_type = Older
    controller.say(1, 1, service("chat"))
    eventually(lambda: place.serves(1, 1))
    assert '"hold":' not in (place.directory / "xds" / "rds.json").read_text()
