import json
import stat

import pytest

from lb.edge.edge import Edge, Refused
from lb.edge.metrics import Metrics
from lb.envoy import names, xds
from spec.desired import Routing
from spec.errors import OutsideError
from spec.snapshot import Endpoint, Snapshot, SnapshotService


def snapshot(epoch=1, seq=1, *, port=8000, name="chat", edge_id="e1"):
    endpoint = Endpoint(replica_id="r1", address="127.0.0.1", port=port)
    service = SnapshotService(name=name, routing=Routing(), endpoints=(endpoint,))
    return Snapshot(epoch=epoch, seq=seq, edge_id=edge_id, services=(service,))


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "edge"


@pytest.fixture
def start(directory):
    opened = []

    def make():
        edge = Edge(edge_id="e1", directory=directory, metrics=Metrics())
        opened.append(edge)
        edge.open()
        return edge

    yield make
    for edge in opened:
        edge.close()


def on_disk(directory):
    return {p.name: p.read_text() for p in names.xds_dir(directory).iterdir()}


def test_the_first_start_writes_files_with_which_envoy_starts_and_lets_nobody_in(directory, start):
    start()
    assert on_disk(directory) == xds.render(None, directory=directory)


def test_everything_is_for_its_owner_only(directory, start):
    directory.mkdir(mode=0o755)
    start().take_over(snapshot(), source="test")
    for path in [directory, *directory.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_snapshot_becomes_files_and_survives_a_restart_without_anybody(directory, start):
    edge = start()
    edge.take_over(snapshot(3, 9), source="test")
    edge.close()
    for path in names.xds_dir(directory).iterdir():
        path.unlink()
    again = start()
    assert again.version == (3, 9)
    assert on_disk(directory) == xds.render(snapshot(3, 9), directory=directory)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (snapshot(1, 99), "lower_epoch"),
        (snapshot(2, 5), "not_newer"),
        (snapshot(2, 4), "not_newer"),
        (snapshot(3, 1, edge_id="another"), "other_edge"),
        (snapshot(3, 1, name=""), "unusable"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_refused_changes_nothing_and_is_counted(directory, start, given, reason):
    edge = start()
    edge.take_over(snapshot(2, 5), source="test")
    before = on_disk(directory)
    with pytest.raises(Refused) as e:
        edge.take_over(given, source="test")
    assert e.value.reason == reason
    assert edge.version == (2, 5)
    assert on_disk(directory) == before
    assert f'refused_total{{reason="{reason}"}} 1.0' in edge._metrics.text().decode()


def test_a_lower_epoch_is_refused_also_after_a_restart(start):
    edge = start()
    edge.take_over(snapshot(7, 1), source="test")
    edge.close()
    with pytest.raises(Refused, match="epoch 6 is older than 7"):
        start().take_over(snapshot(6, 100), source="test")


def test_a_higher_epoch_is_taken_whatever_its_number(start):
    edge = start()
    edge.take_over(snapshot(1, 500), source="test")
    edge.take_over(snapshot(2, 1), source="test")
    assert edge.version == (2, 1)


def test_files_that_do_not_change_are_not_touched(directory, start):
    edge = start()
    edge.take_over(snapshot(1, 1, port=1), source="test")
    before = {p.name: p.stat().st_ino for p in names.xds_dir(directory).iterdir()}
    edge.take_over(snapshot(1, 2, port=2), source="test")
    after = {p.name: p.stat().st_ino for p in names.xds_dir(directory).iterdir()}
    assert {n for n in after if before.get(n) != after[n]} == {"eds-chat.json"}


def test_files_of_a_service_that_is_gone_go_too(directory, start):
    edge = start()
    edge.take_over(snapshot(1, 1, name="old"), source="test")
    edge.take_over(snapshot(1, 2, name="new"), source="test")
    assert {n for n in on_disk(directory) if n.startswith("eds")} == {"eds-new.json"}


@pytest.mark.parametrize("torn", ["", "{", '{"epoch": "x"}', '{"schema": 9}'])
def test_with_an_unreadable_last_snapshot_the_files_stay_and_anything_newer_is_taken(directory, start, torn):
    edge = start()
    edge.take_over(snapshot(5, 5), source="test")
    edge.close()
    (directory / "snapshot.json").write_text(torn)
    again = start()
    assert on_disk(directory) == xds.render(snapshot(5, 5), directory=directory)
    again.take_over(snapshot(1, 1, port=9), source="test")
    assert again.version == (1, 1)


def test_a_last_snapshot_that_can_no_longer_be_rendered_leaves_the_files(directory, start):
    edge = start()
    edge.take_over(snapshot(5, 5), source="test")
    edge.close()
    (directory / "snapshot.json").write_text(snapshot(5, 6, name="").model_dump_json())
    assert start().snapshot is None
    assert on_disk(directory) == xds.render(snapshot(5, 5), directory=directory)


def test_what_a_killed_writer_left_is_cleaned_up(directory, start):
    start().close()
    leftover = names.xds_dir(directory) / ".rds.json.new"
    leftover.write_text("{")
    start()
    assert not leftover.exists()


def test_a_write_that_fails_is_refused_and_done_again_by_the_next(directory, start):
    edge = start()
    obstacle = names.xds_dir(directory) / "eds-chat.json"
    obstacle.mkdir()
    with pytest.raises(Refused, match="can't be written"):
        edge.take_over(snapshot(1, 1), source="test")
    obstacle.rmdir()
    edge.take_over(snapshot(1, 1), source="test")
    assert on_disk(directory) == xds.render(snapshot(1, 1), directory=directory)


def test_a_second_agent_on_the_same_directory_is_refused(start):
    first = start()
    with pytest.raises(OutsideError, match="another edge agent"):
        start()
    first.close()
    start()


def test_the_last_snapshot_is_whole_json(directory, start):
    start().take_over(snapshot(2, 3), source="test")
    assert json.loads((directory / "snapshot.json").read_text())["epoch"] == 2
