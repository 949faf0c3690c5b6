import json

import pytest

from lb.agent.assignment import UnusableAssignment, bundle_for

A, B = "a" * 64, "b" * 64
FILE = {"schema": 1, "pool_id": "p", "default": A, "instances": {"i-2": B}}


def chosen(content, instance="i-1"):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return bundle_for(raw, pool_id="p", instance_id=instance)


def test_a_machine_runs_its_own_bundle_or_else_the_pools():
    assert chosen(FILE) == A
    assert chosen(FILE, "i-2") == B
    assert chosen({k: v for k, v in FILE.items() if k != "instances"}) == A


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ([], "schema"),
        (FILE | {"schema": 2}, "schema 2"),
        (FILE | {"pool_id": "q"}, "'q'"),
        (FILE | {"default": None}, "no bundle"),
        (FILE | {"default": "../../etc/passwd"}, "SHA-256"),
        (FILE | {"instances": {"i-1": 5}}, "SHA-256"),
    ],
)
def test_what_cannot_be_used_says_why(content, said):
    with pytest.raises(UnusableAssignment, match=r"assignments/p\.json") as e:
        chosen(content)
    assert said in str(e.value)
