"""An update that deletes pools is refused while they hold replicas, and while nobody knows."""

import pytest

from cli.context import Context
from cli.events import Report
from cli.guard import began, pools_that_go, refuse_busy, refuse_unretired
from cli.state import State
from spec.desired import PoolState
from spec.errors import RefusedError
from spec.status import ReplicaState
from tests.cli import written
from tests.cli.test_events import pre

GROUP = "aws:autoscaling/group:Group"
POOL = "chat.local.local-east-a.L4x1.spot"


@pytest.fixture
def state(tmp_path):
    found = State(Context("dev", tmp_path))
    found.context.state_dir.mkdir(parents=True)
    return found


@pytest.fixture
def status(state):
    """Writes the controller's status with these replicas."""
    return lambda *replicas: written.write(state.context, *replicas)


def refusal(state, *pools, **more):
    with pytest.raises(RefusedError) as e:
        refuse_busy(pools, state, **more)
    assert e.value.exit_code == 4
    return str(e.value)


def test_only_pools_that_are_deleted_or_made_anew_go():
    report = Report()
    for name, op, kind in (
        ("a", "delete", GROUP),
        ("b", "replace", GROUP),
        ("c", "update", GROUP),
        ("d", "delete", "aws:ec2/eip:Eip"),
        ("e", "create", GROUP),
    ):
        report(pre(name, op=op, kind=kind))
    assert pools_that_go(report) == ("a", "b")


def test_a_pool_with_replicas_is_kept_and_the_way_out_is_said(state, status):
    status(written.a_replica("i-1"), written.a_replica("i-2", state=ReplicaState.DRAINING))
    text = refusal(state, POOL)
    assert f"  {POOL}: 2 machines\n" in text
    assert "`state: retiring` in the lock" in text


def test_a_pool_that_is_empty_or_whose_replicas_are_gone_may_go(state, status):
    status(written.a_replica("i-1", state=ReplicaState.GONE))
    refuse_busy([POOL], state)
    status(written.a_replica("i-1"))
    refuse_busy(["chat.local.local-east-b.L4x1.spot"], state)


def test_a_status_that_is_not_there_although_the_stack_was_up_counts_as_busy(state):
    """Somebody may have removed it, and the controller's journal with it, while machines run on."""
    said = refusal(state, POOL)
    assert "has no status.json: its controller has not begun yet, or somebody removed it" in said
    assert "`state: retiring` in the lock" in said
    assert "`pulumi up` asks nobody" in said


def test_before_the_first_update_has_ended_only_pools_that_no_controller_knew_may_go():
    refuse_busy([POOL], None, began=False)
    assert "no update has ended well yet, but a controller may have begun" in refusal(None, POOL, began=True)


@pytest.mark.parametrize(
    ("op", "knew"), [("create", False), ("same", True), ("update", True), ("delete", True)]
)
def test_a_controller_may_have_begun_when_a_desired_state_was_there_before(op, knew):
    report = Report()
    report(pre("desired", op=op, kind="aws:s3/bucketObjectv2:BucketObjectv2"))
    report(pre("keys", op="same", kind="aws:s3/bucketObjectv2:BucketObjectv2"))
    assert began(report) is knew


def test_a_status_that_can_t_be_read_counts_as_busy(state):
    (state.context.state_dir / "status.json").write_text("{")
    assert "whether they hold replicas is not known: its status can't be read" in refusal(state, POOL)


def test_an_old_status_counts_as_busy(state, status):
    import time

    status()
    refuse_busy([POOL], state, now=time.time() + 500)
    assert "its status is 11 minutes old" in refusal(state, POOL, now=time.time() + 660)


def test_an_update_that_deletes_no_pool_asks_nobody():
    refuse_busy([], None)


def test_a_pool_that_was_not_deployed_as_retiring_is_not_deleted():
    report = Report()
    for name, op, kind in (
        ("told", "delete", GROUP),
        ("untold", "delete", GROUP),
        ("anew", "replace", GROUP),
        ("other", "delete", "aws:ec2/eip:Eip"),
    ):
        report(pre(name, op=op, kind=kind))
    before = dict.fromkeys(("untold", "anew", "other"), PoolState.ACTIVE) | {"told": PoolState.RETIRING}
    with pytest.raises(RefusedError) as e:
        refuse_unretired(report, before, renew="./tw plan --stack prod --lock")
    assert str(e.value).startswith(
        "refused: the update deletes pools that the controller was not told to drain:\n  untold\nPut their lines back"
    )
    assert "./tw plan --stack prod --lock lets them retire first" in str(e.value)
    refuse_unretired(report, before | {"untold": PoolState.RETIRING}, renew="")
