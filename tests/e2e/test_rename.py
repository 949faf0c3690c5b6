"""A component that is renamed with an alias stays what it is: nothing is replaced, not even below it."""

from pathlib import Path

import pytest

from tests.standins import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PROGRAM = (Path(__file__).parent / "programs" / "renamed.py").read_text()


def test_a_rename_with_an_alias_changes_nothing_in_any_cloud(tmp_path):
    program = Program(tmp_path, PROGRAM)
    program.up(NAME="first")
    there = {o.id for o in program.live.objects()}

    without = program.preview(NAME="second")
    assert without["create"] > 20
    assert without["delete"] > 20

    assert set(program.preview(NAME="second", BEFORE="first")) == {"same"}
    assert set(program.up(NAME="second", BEFORE="first")) == {"same"}
    assert {o.id for o in program.live.objects()} == there
    assert set(program.preview(NAME="second")) == {"same"}, "the alias may go after one update"
