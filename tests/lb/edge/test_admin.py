import asyncio
from pathlib import Path

import httpx

from lb.edge.admin import Admin
from lb.edge.metrics import Metrics


def looks(*answers):
    """What several looks find; each answer is a dict of counters, or an exception."""
    metrics = Metrics()
    given = list(answers)

    def handle(request):
        assert request.url.path == "/stats"
        answer = given.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json={"stats": [{"name": n, "value": v} for n, v in answer.items()]})

    async def sleep(_):
        pass

    async def go():
        admin = Admin(
            socket=Path("/none"), metrics=metrics, sleep=sleep, transport=httpx.MockTransport(handle)
        )
        found = [await admin.look_after_change() for _ in answers]
        await admin.close()
        return found

    return asyncio.run(go()), metrics


RDS = "http.public.rds.public.update_rejected"


def test_a_file_that_envoy_refused_is_said_once_and_counted():
    found, metrics = looks({RDS: 0}, {RDS: 1}, {RDS: 1}, {RDS: 3})
    assert found == [True, False, True, False]
    assert metrics.envoy_rejected._value.get() == 3


def test_an_envoy_that_starts_on_bad_files_is_noticed():
    assert looks({RDS: 1})[0] == [False]


def test_an_absent_envoy_is_no_refusal():
    found, metrics = looks({RDS: 0}, httpx.ConnectError("no socket"))
    assert found == [True, True]
    assert metrics.envoy_up._value.get() == 0


def test_counters_of_a_restarted_envoy_start_anew():
    assert looks({RDS: 5}, httpx.ConnectError("gone"), {RDS: 1})[0] == [False, True, False]


def test_rubbish_counts_as_absent():
    found, metrics = looks({"name": "x"})
    assert found == [True]
    assert metrics.envoy_up._value.get() in (0, 1)
