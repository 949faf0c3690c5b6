"""What a machine remembers of its copies."""

import pytest

from lb.agent.mounts.record import Record


@pytest.fixture
def boot(tmp_path):
    (tmp_path / "boot_id").write_text("first")
    return tmp_path / "boot_id"


@pytest.fixture
def again(tmp_path, boot):
    return lambda: Record(tmp_path / "state/record.jsonl", target="/models", boot=boot)


def test_it_knows_whole_files_and_parts_after_any_end(again):
    record = again()
    record.add_part("large", "stamp", 1)
    record.add_part("large", "stamp", 3)
    record.add_whole("small", "stamp")
    found = again()
    assert found.parts("large", "stamp") == {1, 3}
    assert found.parts("large", "other") == set()
    assert found.is_whole("small", "stamp")
    assert not found.is_whole("small", "other")
    found.add_whole("large", "stamp")
    assert (again().parts("large", "stamp"), again().is_whole("large", "stamp")) == (set(), True)


def test_a_line_that_was_cut_off_costs_only_itself(again, tmp_path):
    again().add_whole("a", "stamp")
    with (tmp_path / "state/record.jsonl").open("a") as file:
        file.write('{"name": "b", "sta')
    again().add_whole("c", "stamp")
    assert again().names == {"a", "c"}


def test_after_another_start_of_the_machine_names_are_known_and_nothing_is_whole(again, boot):
    again().add_whole("a", "stamp")
    again().add_part("b", "stamp", 0)
    boot.write_text("second")
    assert again().names == {"a", "b"}
    assert not again().is_whole("a", "stamp")
    assert again().parts("b", "stamp") == set()


def test_it_says_where_its_files_are_to_whoever_finds_it(again, tmp_path):
    again().add_whole("a", "stamp")
    found = Record(tmp_path / "state/record.jsonl")
    assert (found.target, found.names) == ("/models", {"a"})


def test_what_is_not_kept_is_forgotten(again):
    for name in "ab":
        again().add_whole(name, "stamp")
    again().keep({"b"})
    assert again().names == {"b"}
