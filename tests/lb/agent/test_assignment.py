import json

import pytest

from lb.agent.assignment import Gang, UnusableAssignment, read

A, B = "a" * 64, "b" * 64
FILE = {"schema": 1, "pool_id": "p", "default": A, "instances": {"i-2": B}}


def chosen(content, instance="i-1"):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read(raw, pool_id="p", instance_id=instance).bundle


def test_a_machine_runs_its_own_bundle_or_else_the_pools():
    assert chosen(FILE) == A
    assert chosen(FILE, "i-2") == B
    assert chosen({k: v for k, v in FILE.items() if k != "instances"}) == A


def test_a_machine_knows_its_gang_its_rank_and_all_addresses():
    gangs = [
        {"nodes": ["i-8", "i-9"], "ips": ["10.0.0.8", "10.0.0.9"]},
        {"nodes": ["i-2", "i-1"], "ips": ["a", "b"]},
    ]
    raw = json.dumps(FILE | {"gangs": gangs}).encode()
    assert read(raw, pool_id="p", instance_id="i-1").gang == Gang("i-2", 1, ("a", "b"))
    assert read(raw, pool_id="p", instance_id="i-3").gang is None


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
        (FILE | {"gangs": 5}, "gangs"),
        (FILE | {"gangs": [{"nodes": ["i-1"]}]}, "gangs"),
        (FILE | {"gangs": [{"nodes": ["i-1", "i-2"], "ips": ["a"]}]}, "one address for each node"),
        (FILE | {"gangs": [{"nodes": ["i-1"], "ips": [5]}]}, "one address for each node"),
    ],
)
def test_what_cannot_be_used_says_why(content, said):
    with pytest.raises(UnusableAssignment, match=r"assignments/p\.json") as e:
        chosen(content)
    assert said in str(e.value)
