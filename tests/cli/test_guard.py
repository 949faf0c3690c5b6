"""An update that deletes pools is refused while they hold replicas, and while nobody knows."""

import pytest

from cli.events import Report
from cli.guard import pools_that_go, refuse_busy, refuse_unretired
from cli.state import open_state
from spec.desired import PoolState
from spec.errors import OutsideError, RefusedError
from spec.status import ReplicaState
from tests.cli import written
from tests.cli.test_events import pre

GROUP = "aws:autoscaling/group:Group"
POOL = "chat.local.local-east-a.L4x1.spot"


@pytest.fixture
def bucket(tmp_path):
    return open_state(tmp_path.as_uri(), "")


@pytest.fixture
def status(tmp_path):
    """Writes the controller's status with these replicas; gives back when that was."""

    def write(*replicas):
        class Context:
            state_dir = tmp_path

        written.write(Context, *replicas)

    return write


def refusal(bucket, *pools, **more):
    with pytest.raises(RefusedError) as e:
        refuse_busy(pools, bucket, **more)
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


def test_a_pool_with_replicas_is_kept_and_the_way_out_is_said(bucket, status):
    status(written.a_replica("i-1"), written.a_replica("i-2", state=ReplicaState.DRAINING))
    text = refusal(bucket, POOL)
    assert f"  {POOL}: 2 machines\n" in text
    assert "`state: retiring` in the lock" in text


def test_a_pool_that_is_empty_or_whose_replicas_are_gone_may_go(bucket, status):
    status(written.a_replica("i-1", state=ReplicaState.GONE))
    refuse_busy([POOL], bucket)
    status(written.a_replica("i-1"))
    refuse_busy(["chat.local.local-east-b.L4x1.spot"], bucket)


def test_where_no_controller_ever_ran_nothing_can_be_busy(bucket):
    refuse_busy([POOL], bucket)


def test_a_status_that_can_t_be_read_counts_as_busy(bucket, tmp_path):
    (tmp_path / "status.json").write_text("{")
    assert "whether they hold replicas is not known: its status can't be read" in refusal(bucket, POOL)


def test_an_old_status_counts_as_busy(bucket, status):
    import time

    status()
    refuse_busy([POOL], bucket, now=time.time() + 500)
    assert "its status is 11 minutes old" in refusal(bucket, POOL, now=time.time() + 660)


def test_an_update_that_deletes_no_pool_asks_nobody(tmp_path):
    refuse_busy([], None)


def test_without_a_login_to_the_cloud_the_bucket_can_t_be_opened(monkeypatch, tmp_path):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(OutsideError, match="no login to AWS"):
        open_state("s3://tradewind-state", "us-east-1")


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
