"""A service whose replica is two machines: they start together, serve as one, and end together."""

import pytest
import yaml

from tests.e2e.checkout import eventually, throw_away

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SETUP = 'mkdir -p "$MEETING" && echo "$SKYPILOT_NUM_NODES" > "$MEETING/setup-$TRADEWIND_PORT"\n'
RUN = """\
place="$MEETING/$SKYPILOT_TASK_ID"
if [ "$SKYPILOT_NODE_RANK" != 0 ]; then
  echo "$SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES at" $SKYPILOT_NODE_IPS > "$place"
  exec sleep 86400
fi
until [ -s "$place" ]; do sleep 0.05; done
exec python -m engines.sim --host 127.0.0.1 --port "$TRADEWIND_PORT" --model chat-demo --load-time-s 0.2
"""


@pytest.fixture(scope="module")
def stack(checkout, tmp_path_factory):
    checkout.meeting = tmp_path_factory.mktemp("meeting")
    path = checkout.root / "services" / "chat.yaml"
    service = yaml.safe_load(path.read_text())
    service |= {"num_nodes": 2, "setup": SETUP, "run": RUN, "envs": {"MEETING": str(checkout.meeting)}}
    service["service"]["replicas"] = 1
    path.write_text(yaml.safe_dump(service))
    checkout.tw("up", check=0)
    return checkout


def replica(stack):
    """The only replica, once it is ready."""

    def ready():
        [service] = stack.status()["services"]
        states = [r["state"] for r in service["replicas"]]
        return service["replicas"] if states == ["ready"] else None

    return eventually(ready, within=60, what="one ready replica and no other")[0]


def test_the_head_starts_after_the_other_machine_has_reported_its_rank_and_the_addresses(stack):
    found = replica(stack)
    head = found["id"].rpartition(":")[2]
    assert found["nodes"] == len(stack.machines()) == 2
    assert head in stack.machines()
    [report] = [p for p in stack.meeting.iterdir() if p.name.startswith(head)]
    assert report.read_text() == "1 of 2 at 127.0.0.1 127.0.0.1\n"
    assert [p.read_text() for p in stack.meeting.glob("setup-*")] == ["2\n", "2\n"]
    assert stack.ask().json()["data"][0]["id"] == "chat-demo"


@pytest.mark.parametrize("is_head", [True, False])
def test_a_killed_machine_takes_its_gang_with_it_and_a_whole_new_one_serves(stack, is_head):
    head = replica(stack)["id"].rpartition(":")[2]
    before = set(stack.machines())
    [victim] = [m for m in before if (m == head) is is_head]
    stack.kill(victim)
    eventually(lambda: not before & set(stack.machines()), within=60, what="the end of the whole gang")
    found = replica(stack)
    assert found["nodes"] == len(stack.machines()) == 2
    eventually(lambda: stack.ask().status_code == 200, what="an answer")
    left = {name for name in stack.processes().values() if name.startswith("i-")}
    assert left == set(stack.machines())


def test_an_edited_service_moves_to_the_new_bundle_as_a_whole_gang(stack):
    before = replica(stack)
    path = stack.root / "services" / "chat.yaml"
    path.write_text(path.read_text().replace("--load-time-s 0.2", "--load-time-s 0.1"))
    stack.tw("up", check=0)
    after = replica(stack)
    assert after["bundle"] != before["bundle"]
    assert after["nodes"] == len(stack.machines()) == 2
    tasks = {p.name for p in stack.meeting.iterdir() if after["bundle"][:12] in p.name}
    assert tasks == {f"{after['id'].rpartition(':')[2]}-{after['bundle'][:12]}"}


def test_a_controller_that_has_lost_its_memory_leaves_the_gang_as_it_is(stack):
    before = replica(stack)
    machines = stack.machines()
    throw_away(stack.home / "state" / "journal")
    stack.revive("controller")
    eventually(lambda: stack.status()["controller"]["leader"], what="a leader")
    after = replica(stack)
    assert (after["id"], after["nodes"], stack.machines()) == (before["id"], 2, machines)
