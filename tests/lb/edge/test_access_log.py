"""Every line of the access log is given out once, through rotations, torn lines and new agents."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.edge.access_log import AccessLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def start(path):
    with contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(contextlib.closing(AccessLog(path, **more)))


def read(log):
    return [line for portion in log.lines() for line in portion]


def append(path, raw):
    with path.open("ab") as file:
        file.write(raw)


def test_a_file_that_appears_later_is_read_from_its_beginning(path, start):
    log = start()
    assert read(log) == []
    append(path, b"one\ntwo\n")
    assert read(log) == [b"one", b"two"]
    assert read(log) == []


def test_a_new_agent_begins_at_the_end(path, start):
    append(path, b"of another agent\n")
    log = start()
    append(path, b"mine\n")
    assert read(log) == [b"mine"]


def test_a_new_agent_leaves_the_rest_of_a_line_that_it_did_not_see_begin(path, start):
    append(path, b'whole\n{"code":')
    log = start()
    append(path, b"200}\nmine\n")
    assert read(log) == [b"mine"]


def test_a_torn_line_waits_for_its_end(path, start):
    log = start()
    append(path, b'a\n{"model":"gr\xc3')
    assert read(log) == [b"a"]
    append(path, b'\xb6\xc3\x9fe"}\n')
    assert read(log) == ['{"model":"größe"}'.encode()]


def test_nothing_is_lost_or_read_twice_when_it_is_rotated_while_envoy_still_writes(path, start):
    log = start(limit_bytes=10)
    append(path, b"before the rotation\n")
    assert log.rotate()
    assert log.missing()
    append(path.with_name("access.log.1"), b"still to the old one\n")
    assert read(log) == [b"before the rotation", b"still to the old one"]
    append(path.with_name("access.log.1"), b"the last\n")
    append(path, b"the first\n")
    assert read(log) == [b"the last", b"the first"]
    append(path, b"the second\n")
    assert read(log) == [b"the second"]


def test_only_one_old_log_is_kept(path, start):
    log = start(limit_bytes=3)
    for text in (b"first\n", b"second\n"):
        append(path, text)
        assert log.rotate()
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"second\n"]


def test_a_short_log_is_not_rotated(path, start):
    log = start(limit_bytes=100)
    assert not log.rotate()
    append(path, b"short\n")
    assert not log.rotate()
    assert path.exists()


def test_a_log_that_somebody_empties_is_read_on(path, start):
    log = start()
    append(path, b"a longer line\n")
    assert read(log) == [b"a longer line"]
    path.write_bytes(b"")
    append(path, b"new\n")
    assert read(log) == [b"new"]


def test_a_line_without_end_does_not_fill_the_memory(path, start):
    log = start()
    for _ in range(5):
        append(path, b"x" * 500_000)
        assert read(log) == []
    assert len(log._rest) <= 1024 * 1024 + 500_000
    append(path, b"\nnext\n")
    assert read(log)[-1:] == [b"next"]


@given(st.lists(st.tuples(st.binary(max_size=30), st.sampled_from(["write", "read", "rotate"])), max_size=30))
def test_what_was_written_is_what_is_read_however_it_is_cut(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("log") / "access.log"
    with contextlib.closing(AccessLog(path, limit_bytes=0)) as log:
        written, got, target = b"", [], path
        for raw, step in steps:
            if step == "rotate":
                got += read(log)
                if target.exists() and written.endswith(b"\n"):
                    log.rotate()
            elif step == "write":
                append(path, raw)
                written += raw
            else:
                got += read(log)
        append(path, b"\n")
        got += read(log)
    assert got == (written + b"\n").split(b"\n")[:-1]
