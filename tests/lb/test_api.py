"""The controller's HTTP interface: open health, everything else behind the token, a long poll that ends."""

import asyncio
import contextlib
import json

import httpx
import pytest

from lb.api import make_app
from lb.bucket import open_bucket
from lb.metrics import Metrics
from lb.serving import bind
from lb.snapshots import Publisher
from spec.errors import OutsideError
from spec.history import History, Point
from spec.status import ControllerStatus, Status
from tests.lb.test_snapshots import KEYS, services

TOKEN = "the-token"
SHOWN = {"authorization": f"Bearer {TOKEN}"}


class Source:
    def __init__(self):
        self.leads, self.stands, self.edges = True, False, ("e",)
        self.reports = []

    def status(self):
        controller = ControllerStatus(alive=True, leader=self.leads, last_tick_age_s=0.5)
        return Status(usd_hour=1.5, controller=controller, written_at=1.0)

    def history(self, since):
        points = tuple(Point(at=at, usd_hour=0.2) for at in (10.0, 20.0) if since is None or at > since)
        return History(points=points).model_dump_json().encode()

    def leader(self):
        return self.leads

    def stuck(self):
        return self.stands

    def edge_ids(self):
        return self.edges

    def take_report(self, report):
        self.reports.append(report)


@pytest.fixture
def rig(tmp_path):
    @contextlib.asynccontextmanager
    async def make():
        source, publisher = Source(), Publisher(open_bucket(f"file://{tmp_path}"))
        publisher.begin(3)
        app = make_app(source, publisher, Metrics(), token=TOKEN, long_poll_s=0.02)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://controller") as client:
            yield client, source, publisher

    return make


def ask(rig, path, headers=SHOWN, prepare=lambda source, publisher: None):
    async def story():
        async with rig() as (client, source, publisher):
            prepare(source, publisher)
            return await client.get(path, headers=headers)

    return asyncio.run(story())


def test_health_is_open_and_200_even_for_a_follower(rig):
    def follow(source, publisher):
        source.leads = False

    response = ask(rig, "/health", {}, follow)
    assert (response.status_code, response.json()) == (200, {"status": "ok", "leader": False})


def test_the_status_page_is_open_and_holds_no_data(rig):
    response = ask(rig, "/", {})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert TOKEN not in response.text


@pytest.mark.parametrize(("query", "expected"), [("", [10, 20]), ("?since=10", [20]), ("?since=20.0", [])])
def test_the_history_is_told_since_a_moment(rig, query, expected):
    response = ask(rig, f"/v1/history{query}")
    assert [p["at"] for p in response.json()["points"]] == expected


@pytest.mark.parametrize("since", ["noon", ""])
def test_a_moment_that_is_none_is_refused(rig, since):
    response = ask(rig, f"/v1/history?since={since}")
    assert response.status_code == 400
    assert "seconds since 1970" in response.json()["error"]["message"]


def test_health_is_503_when_the_loop_stands_still(rig):
    def stand(source, publisher):
        source.stands = True

    assert ask(rig, "/health", {}, stand).status_code == 503


@pytest.mark.parametrize("path", ["/metrics", "/v1/status", "/v1/history", "/v1/edges/e/snapshot"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}])
def test_everything_else_needs_the_token(rig, path, headers):
    response = ask(rig, path, headers)
    assert response.status_code == 401
    assert TOKEN not in response.text


def test_status_and_metrics_are_told(rig):
    assert ask(rig, "/v1/status").json()["usd_hour"] == 1.5
    assert "tradewind_leader" in ask(rig, "/metrics").text


@pytest.mark.parametrize("after", ["?after=3.0", "?after=2.99", ""])
def test_an_edge_that_is_behind_gets_the_snapshot(rig, after):
    def publish(source, publisher):
        publisher.publish(["e"], services("a"), KEYS)

    response = ask(rig, f"/v1/edges/e/snapshot{after}", prepare=publish)
    assert response.status_code == 200
    assert (response.json()["epoch"], response.json()["seq"]) == (3, 1)


@pytest.mark.parametrize("after", ["3.1", "3.2", "4.0"])
def test_an_edge_that_has_the_newest_gets_204_after_a_while(rig, after):
    def publish(source, publisher):
        publisher.publish(["e"], services("a"), KEYS)

    assert ask(rig, f"/v1/edges/e/snapshot?after={after}", prepare=publish).status_code == 204


@pytest.mark.parametrize("after", ["3", "a.b", "-1.2", "3.1.2", "3.1 ", "9" * 30 + ".1", "³.1"])
def test_a_version_that_is_none_is_400(rig, after):
    assert ask(rig, f"/v1/edges/e/snapshot?after={after}").status_code == 400


def test_an_unknown_edge_is_404_and_the_known_ones_are_named(rig):
    response = ask(rig, "/v1/edges/nobody/snapshot")
    assert response.status_code == 404
    assert "the edges are e" in response.text


def test_an_edge_is_not_unknown_while_the_edges_are_not_known(rig):
    def forget(source, publisher):
        source.edges = None

    assert ask(rig, "/v1/edges/e/snapshot", prepare=forget).status_code == 204


def test_a_follower_has_no_snapshots(rig):
    def follow(source, publisher):
        source.leads = False

    assert ask(rig, "/v1/edges/e/snapshot", prepare=follow).status_code == 503


def tell(rig, body, *, edge="e", headers=SHOWN, prepare=lambda source: None):
    """Posts a report; gives the answer and what the source took."""

    async def story():
        async with rig() as (client, source, _):
            prepare(source)
            answer = await client.post(f"/v1/edges/{edge}/report", content=body, headers=headers)
            return answer, source.reports

    return asyncio.run(story())


REPORT = {"edge_id": "e", "boot": "b", "seq": 1, "services": [{"name": "chat", "arrived": 3}]}


def test_a_report_of_an_edge_is_taken(rig):
    answer, taken = tell(rig, json.dumps(REPORT))
    assert (answer.status_code, answer.content) == (204, b"")
    assert taken[0].services[0].arrived == 3


def test_a_report_of_a_newer_agent_is_taken_without_what_is_not_known(rig):
    newer = {**REPORT, "tokens": 5, "services": [{"name": "chat", "arrived": 3, "tokens": {"in": 1}}]}
    answer, taken = tell(rig, json.dumps(newer))
    assert (answer.status_code, taken[0].services[0].name) == (204, "chat")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "Invalid JSON"),
        ("[]", "this is no report"),
        (json.dumps({**REPORT, "seq": -1}), "seq"),
        (json.dumps({**REPORT, "services": [{"name": "chat", "arrived": -3}]}), "services.0.arrived"),
        (json.dumps({**REPORT, "edge_id": "other"}), "edge_id"),
        (b"\xff", "this is no report"),
    ],
)
def test_a_report_that_is_none_is_400_with_the_reason(rig, body, said):
    answer, taken = tell(rig, body)
    assert (answer.status_code, taken) == (400, [])
    assert said in answer.json()["error"]["message"]


def test_a_report_is_not_read_without_end(rig):
    async def endless():
        while True:
            yield b" " * 1_000_000

    answer, taken = tell(rig, endless())
    assert (answer.status_code, taken) == (413, [])


def test_reports_need_the_token_a_known_edge_and_the_leader(rig):
    body = json.dumps(REPORT)

    def follow(source):
        source.leads = False

    assert tell(rig, body, headers={})[0].status_code == 401
    assert tell(rig, body, edge="nobody")[0].status_code == 404
    assert tell(rig, body, prepare=follow)[0].status_code == 503


def test_a_port_that_is_taken_is_said_in_one_line():
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(OutsideError, match=f"cannot listen on 127.0.0.1:{port}"):
            bind("127.0.0.1", port)
