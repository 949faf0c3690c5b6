"""Files that several processes share."""

import os
import stat
import threading

import pytest

from local.files import locked, read_json, write_atomic, write_json


def test_a_file_is_replaced_whole_with_its_mode_and_no_remains(tmp_path):
    path = tmp_path / "new" / "f"
    for content in (b"one", b"two"):
        write_atomic(path, content, mode=0o640, durable=True)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_atomic(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_object_comes_back_and_anything_else_is_named_and_ignored(tmp_path, caplog):
    path = tmp_path / "x.json"
    assert read_json(path) is None
    assert caplog.text == ""
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    for n, torn in enumerate((b"", b'{"a": ', b"[1]", b"\xff\xfe")):
        (tmp_path / f"{n}.json").write_bytes(torn)
        assert read_json(tmp_path / f"{n}.json") is None
        assert str(tmp_path / f"{n}.json") in caplog.text


def test_what_is_found_again_and_again_is_said_once(tmp_path, caplog):
    (tmp_path / "torn").write_text("{")
    for _ in range(3):
        assert read_json(tmp_path / "torn") is None
    assert len(caplog.messages) == 1


def test_only_one_thread_holds_a_lock_even_when_the_holder_removes_the_file(tmp_path):
    path, inside, most = tmp_path / "lock", [], []

    def work():
        for _ in range(50):
            with locked(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                path.unlink()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert max(most) == 1
