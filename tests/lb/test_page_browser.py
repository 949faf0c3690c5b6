"""The status page in a real browser: of a real controller with real replicas, and of one that says hostile things."""

import asyncio
import json
import re
import threading
import time
from contextlib import contextmanager

import pytest

from lb.api import make_app
from lb.bucket import open_bucket
from lb.controller.history import Recorder
from lb.metrics import Metrics
from lb.serving import bind, make_server
from lb.snapshots import Publisher
from spec.names import Market
from spec.status import (
    ControllerStatus,
    ReplicaState,
    ReplicaStatus,
    RolloutPhase,
    RolloutStatus,
    ServiceStatus,
    SpendStatus,
    Status,
    TrafficStatus,
)
from tests.browser import Browser, chromium
from tests.lb.controller.test_process import Stack, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


@pytest.fixture
def browser(tmp_path):
    chromium()
    return Browser(tmp_path)


@contextmanager
def served(status, history):
    """The real interface, with a status and a history that a test has made."""

    class Source:
        def status(self):
            return status

        def history(self, since):
            return history(since)

        def leader(self):
            return True

        def stuck(self):
            return False

        def edge_ids(self):
            return ()

        def take_report(self, report):
            pass

    with bind("127.0.0.1", 0) as listener:
        app = make_app(Source(), Publisher(open_bucket("file:///tmp")), Metrics(), token="the-token")
        server = make_server(app)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def a_day(name="chat", reason="its probe fails: timeout", said="chat: 1 missing and nowhere to launch"):
    """A service through a day, up to now, as the controller would have recorded it."""
    now, recorder = time.time(), Recorder()
    for n in range(2000):
        at = now - 5 * (1999 - n)
        states = [ReplicaState.READY, ReplicaState.STARTING if n % 400 > 350 else ReplicaState.READY]
        states += [ReplicaState.UNREADY] if n % 500 > 450 or n == 1999 else []
        replicas = tuple(
            ReplicaStatus(
                id=f"local:local-east:i-{k}",
                pool="p",
                cloud="local",
                region="local-east",
                zone=("local-east-a", "local-east-b", HOSTILE if name == HOSTILE else "local-west-a")[k],
                market=Market.ON_DEMAND if k == 2 else Market.SPOT,
                accelerator="L4",
                state=state,
                since=at - 60,
                bundle="a" * 64,
                usd_hour=0.2,
                reason=reason if state is ReplicaState.UNREADY else "",
            )
            for k, state in enumerate(states)
        )
        service = ServiceStatus(
            name=name,
            endpoint="http://127.0.0.1:18080",
            ready=sum(s is ReplicaState.READY for s in states),
            desired=2,
            min_replicas=1,
            max_replicas=3,
            replicas=replicas,
            traffic=TrafficStatus(
                qps=10 + n % 7, active=3, held=1, failed_per_s=0.5, ttft_p50_ms=120, ttft_p95_ms=1500
            ),
            rollout=RolloutStatus(
                phase=RolloutPhase.ROLLING,
                from_bundle="a" * 64,
                to_bundle="b" * 64,
                started_at=now,
                updated=1,
                total=2,
                reason=reason,
            ),
            usd_month=3.5,
        )
        status = Status(
            services=(service,),
            usd_hour=0.2 * len(states),
            spend=SpendStatus(month="2026-11", usd=84.2, budget_usd=100.0),
            controller=ControllerStatus(alive=True, leader=True, last_tick_age_s=0.4),
            written_at=at,
            generation="g1",
            reasons=(f"03:20:11Z {said}",),
        )
        recorder.take(status)
    return status, lambda since: recorder.told(since=since)


def test_a_real_controller_with_real_replicas_is_shown(tmp_path, browser):
    stack = Stack(tmp_path / "home")
    try:
        stack.start()
        until(lambda: stack.ready() == 2)
        until(lambda: len(json.loads(stack.get("/v1/history"))["points"]) >= 3)
        url = f"http://127.0.0.1:{stack.port}/#token=token"
        shown = browser.dom(url)
        replicas = [r["id"] for r in stack.status()["services"][0]["replicas"]]
        assert len(replicas) == 2
        for text in (
            "chat",
            "2 of 2 ready",
            "leading",
            *replicas,
            "local-east-a",
            "local:local-east:",
            ": ready",
        ):
            assert text in shown, text
        assert len(re.findall(r'<path class="a\d ?"', shown)) >= 2, (
            "a band of ready replicas for each of two zones"
        )
        colours = browser.picture(url, name="real").colours()
        assert len(colours) > 50, "not blank"
    finally:
        stack.end()


def test_a_day_is_drawn_in_light_and_dark_and_on_a_phone(browser):
    with served(*a_day()) as url:
        shown = browser.dom(f"{url}/#token=the-token")
        for text in (
            "1 of 2 ready, 1 to 3",
            "update rolling",
            "84 %",
            "3.50 this month",
            "1 held",
            "unready",
        ):
            assert text in shown, text
        assert "03:20:11Z chat: 1 missing and nowhere to launch" in shown
        wide = browser.picture(f"{url}/#token=the-token", name="wide").colours()
        dark = browser.picture(f"{url}/#token=the-token", name="dark", dark=True).colours()
        phone = browser.picture(f"{url}/#token=the-token", name="phone", width=390, height=2200).colours()
        for bands in (wide, phone):
            assert bands[bytes((0x2F, 0x6F, 0xD0))] > 2000, "the first zone's band"
            assert bands[bytes((0xC6, 0x2F, 0x2F))] > 20, "what is unready"
        assert dark[bytes((0x6F, 0xA3, 0xF2))] > 2000
        assert max(wide, key=wide.get) == bytes((255, 255, 255))
        assert max(dark, key=dark.get) == bytes((0x1F, 0x22, 0x26))


def test_a_page_that_is_open_for_hours_still_has_the_whole_day(browser):
    status, told = a_day()
    asked, last = [], status.written_at

    def history(since):
        """At first as after a start of the page; then hours in which it got a point every 5 s; then a controller's day."""
        asked.append(since)
        if since:
            points = [{"at": last + n, "usd_hour": 1.0, "services": []} for n in range(1, 3002)]
            return json.dumps({"points": points}).encode()
        return told(since=None)

    with served(status, history) as url:
        browser.dom(f"{url}/#token=the-token", wait_ms=20_000)
    assert asked[0] == 0
    assert asked[1] == pytest.approx(last)
    assert asked[2] == 0, "not a shorter and shorter picture, but the day again"


def test_hostile_names_and_reasons_stay_text(browser):
    with served(*a_day(name=HOSTILE, reason=HOSTILE, said=HOSTILE)) as url:
        shown = browser.dom(f"{url}/#token=the-token")
        assert "<title>Tradewind</title>" in shown
        assert shown.count("&lt;img src=x onerror=") >= 4
        assert "<img" not in shown
        assert shown.count("<script>") == 1


def test_without_the_right_token_nothing_is_shown(browser):
    with served(*a_day()) as url:
        for address in (url, f"{url}/#token=wrong"):
            shown = browser.dom(address)
            assert '<main id="main" hidden="">' in shown
            assert '<form id="login">' in shown
            assert "local-east" not in shown
        assert "not this controller's token" in shown
