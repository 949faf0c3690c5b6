"""Requests held by a real Envoy and a real agent, while a service comes back from zero."""

import concurrent.futures
import contextlib
import signal
import threading
import time

import httpx
import pytest

from lb.envoy import names
from tests.lb.edge.test_agent import Place, controller, end, place  # noqa: F401  fixtures
from tests.lb.envoy.harness import AUTH, DEADLINE_S, WORKERS_S, RunningEnvoy, eventually, replicas, service

pytestmark = pytest.mark.e2e


@pytest.fixture
def fakes():
    with replicas("a", "b") as made:
        yield made


def at_zero(name="chat", **more):
    return service(name, **more).model_copy(update={"hold": True})


class Stage:
    """An agent, its Envoy, and callers that wait."""

    def __init__(self, place, controller):  # noqa: F811
        self.place, self.controller = place, controller
        self.agent = place.start(controller.url)
        self.seq = 0

    def __enter__(self):
        self.envoy = RunningEnvoy(self.place.directory)
        self.pool = concurrent.futures.ThreadPoolExecutor(300)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.envoy.url, headers=AUTH, limits=limits, trust_env=False)
        return self

    def __exit__(self, *_):
        self.envoy.close()
        self.pool.shutdown()
        self.client.close()

    def say(self, *services):
        self.seq += 1
        self.controller.say(1, self.seq, *services)
        eventually(lambda: self.place.serves(1, self.seq))

    def call(self, number=1, *, path="/v1/completions", method="POST", json=None, timeout=DEADLINE_S):
        body = {} if json is None else json
        one = lambda _: self.client.request(method, path, json=body, timeout=timeout)  # noqa: E731
        return [self.pool.submit(one, n) for n in range(number)]

    def held(self, name="chat"):
        reports = self.controller.reports
        return next((s.held for s in reports[-1].services if s.name == name), None) if reports else None


@pytest.fixture
def stage(place, controller):  # noqa: F811
    with Stage(place, controller) as made:
        yield made


def ready(stage):
    """Envoy has taken over the first snapshot."""
    eventually(lambda: stage.envoy.anonymous.get(names.READY_PATH).status_code == 200)
    time.sleep(WORKERS_S)


def test_250_requests_wait_and_all_are_served_when_the_first_replica_comes(stage, fakes):
    stage.say(at_zero())
    ready(stage)
    began = time.monotonic()
    calls = stage.call(125) + stage.call(125, method="GET", path="/anything")
    eventually(lambda: stage.held() == 250)
    assert not any(c.done() for c in calls)
    assert fakes[0].requests == []
    stage.say(service("chat", fakes[0].endpoint()))
    answers = [c.result() for c in calls]
    assert [a.status_code for a in answers] == [200] * 250
    assert time.monotonic() - began < DEADLINE_S
    eventually(lambda: stage.held() == 0)
    told = lambda: stage.controller.reports[-1].services[0]  # noqa: E731
    eventually(lambda: (told().arrived, told().finished) == (250, {"2xx": 250}))


def test_the_controller_hears_at_once_that_somebody_waits(stage):
    stage.say(at_zero())
    ready(stage)
    eventually(lambda: stage.controller.reports)
    began = time.monotonic()
    stage.call(timeout=1)
    eventually(lambda: stage.held() == 1)
    assert time.monotonic() - began < 0.8, "a report that is not urgent takes up to a second"


def test_big_bodies_wait_too_and_arrive_whole(stage, fakes):
    stage.say(at_zero())
    ready(stage)
    body = {"model": "m", "prompt": "x" * 5_000_000}
    calls = stage.call(5, json=body)
    eventually(lambda: stage.held() == 5)
    stage.say(service("chat", fakes[0].endpoint()))
    assert [c.result().status_code for c in calls] == [200] * 5
    assert {len(r["body"]) for r in fakes[0].requests} == {5_000_000 + len('{"model":"m","prompt":""}')}


def test_of_several_services_only_the_one_at_zero_holds(stage, fakes):
    stage.say(at_zero("chat", models=("m",)), service("code", fakes[1].endpoint(), models=("c",)))
    ready(stage)
    held = stage.call(json={"model": "m"})
    assert stage.call(json={"model": "c"})[0].result().json()["replica"] == "b"
    eventually(lambda: stage.held("chat") == 1)
    stage.say(
        service("chat", fakes[0].endpoint(), models=("m",)),
        service("code", fakes[1].endpoint(), models=("c",)),
    )
    assert held[0].result().json()["replica"] == "a"


def test_beyond_the_limit_it_is_503_with_an_honest_retry_after(stage):
    stage.say(at_zero(max_held=3, retry_after_s=47))
    ready(stage)
    stage.call(3, timeout=3)
    eventually(lambda: stage.held() == 3)
    answer = stage.call()[0].result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "47")
    error = answer.json()["error"]
    assert (
        error["message"] == "No replica of chat is ready: too many requests wait for it; try again in 47 s."
    )
    assert set(error) == {"message", "type", "param", "code"}


def test_who_waited_for_the_whole_limit_gets_503(stage):
    stage.say(at_zero(hold_limit_s=0.5, retry_after_s=5, stream_idle_timeout_s=0.2))
    ready(stage)
    answer = stage.call()[0].result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "did not come up within 0.5 s" in answer.json()["error"]["message"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_without_the_agent_nobody_hangs(stage, how):
    stage.say(at_zero(retry_after_s=31))
    ready(stage)
    calls = stage.call(20)
    eventually(lambda: stage.held() == 20)
    end(stage.agent, how)
    for answer in [c.result() for c in calls] + [stage.call()[0].result()]:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "31")


def test_a_caller_that_gives_up_frees_its_place(stage, fakes):
    stage.say(at_zero(max_held=2))
    ready(stage)
    for call in stage.call(2, timeout=0.7):
        with pytest.raises(httpx.ReadTimeout):
            call.result()
    eventually(lambda: stage.held() == 0)
    calls = stage.call(2)
    eventually(lambda: stage.held() == 2)
    stage.say(service("chat", fakes[0].endpoint()))
    assert [c.result().status_code for c in calls] == [200, 200]
    assert len(fakes[0].requests) == 2


def test_no_caller_fails_while_a_service_goes_to_zero_and_back_again_and_again(stage, fakes):
    stage.say(service("chat", fakes[0].endpoint()))
    ready(stage)
    stop, statuses = threading.Event(), []

    def caller():
        with httpx.Client(
            base_url=stage.envoy.url, headers=AUTH, timeout=DEADLINE_S, trust_env=False
        ) as client:
            while not stop.is_set():
                statuses.append(client.get("/x").status_code)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    try:
        for n in range(6):
            draining = fakes[0].endpoint(draining=True) if n % 2 else None
            stage.say(at_zero().model_copy(update={"endpoints": (draining,) if draining else ()}))
            time.sleep(0.15)
            stage.say(service("chat", fakes[0].endpoint()))
            time.sleep(0.15)
    finally:
        stop.set()
        for thread in callers:
            thread.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_a_restarted_agent_holds_again_also_without_a_controller(stage, fakes):
    stage.say(at_zero())
    ready(stage)
    end(stage.agent, signal.SIGKILL)
    stage.agent = stage.place.start()  # with a controller that nobody finds
    calls = stage.call(3, timeout=2)
    with contextlib.suppress(httpx.ReadTimeout):
        assert calls[0].result().status_code == "it waits"
