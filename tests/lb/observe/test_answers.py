"""A 200 that is no answer is told from one that is."""

import json
import re

import pytest

from lb.observe.answers import MOST_BYTES, trouble_with
from spec.desired import Probe

CHAT = Probe(method="POST", path="/v1/chat/completions", body={"messages": []})
MODELS = Probe(path="/v1/models")
HEALTH = Probe(path="/health")
JSON, EVENTS, HTML, NONE = "application/json; charset=utf-8", "text/event-stream", "text/html", ""


@pytest.mark.parametrize(
    ("probe", "kind", "body"),
    [
        (CHAT, JSON, json.dumps({"choices": [{"message": {"content": "Hi"}}]})),
        (MODELS, JSON, json.dumps({"object": "list", "data": [{"id": "m"}]})),
        (MODELS, NONE, json.dumps({"data": [{"id": "m"}]})),
        (Probe(path="/v1/models?x=1"), JSON, json.dumps({"data": [{"id": "m"}]})),
        (CHAT, EVENTS, ': hello\n\ndata: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'),
        (HEALTH, HTML, "<html>all is well</html>"),
        (HEALTH, JSON, ""),
        (HEALTH, JSON, '{"status": "ok"}'),
        (HEALTH, NONE, ""),
        (MODELS, JSON, "x" * (MOST_BYTES + 1)),
    ],
)
def test_an_answer_of_the_right_shape_is_believed_and_other_routes_are_not_judged(probe, kind, body):
    assert trouble_with(probe, kind, body.encode()) is None


@pytest.mark.parametrize(
    ("probe", "kind", "body", "words"),
    [
        (HEALTH, JSON, "rubbish", "calls JSON what is none: 'rubbish'"),
        (CHAT, HTML, "<html>502 Bad Gateway</html>", "is not JSON"),
        (CHAT, NONE, "", "is not JSON"),
        (CHAT, JSON, json.dumps({"error": {"message": "not loaded"}}), "without `choices`: .*not loaded"),
        (CHAT, JSON, json.dumps({"choices": []}), "without `choices`"),
        (CHAT, JSON, json.dumps(["choices"]), "without `choices`"),
        (MODELS, JSON, json.dumps({"data": []}), "without `data`"),
        (MODELS, JSON, json.dumps({"data": {}}), "without `data`"),
        (CHAT, EVENTS, 'data: {"error": {"code": 500}}\n\n', "without `choices`"),
        (CHAT, EVENTS, "oops", "is not JSON"),
        (MODELS, NONE, "\xff\x00", "is not JSON"),
    ],
)
def test_rubbish_is_said_in_words_that_show_its_beginning(probe, kind, body, words):
    assert re.search(words, trouble_with(probe, kind, body.encode("latin-1")) or "")
