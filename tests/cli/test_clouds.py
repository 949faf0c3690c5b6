"""`tw up` of a stack in the clouds: what it asks before it deletes pools, and what it says is next."""

import shutil

import pytest

from cli import clouds, session
from cli.context import Context
from cli.events import Report
from cli.outputs import Whereabouts
from planner.plan import Plan
from planner.pricing import ZERO
from spec.errors import InputError, RefusedError
from spec.status import ReplicaState
from tests.cli.test_events import pre
from tests.cli.written import a_replica, a_status
from tests.clouds.aws import Aws
from tests.clouds.login import User
from tests.e2e.checkout import ROOT

GROUP = "aws:autoscaling/group:Group"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
POOL = "chat.local.local-east-a.L4x1.spot"


class Session:
    """A session whose preview deletes a pool that was deployed as retiring. `ups`: updates that were made."""

    offline = False

    def __init__(self, context, outputs):
        self.context, self.known, self.ups, self.report = context, outputs, 0, Report()
        self.report(pre(POOL, op="delete", kind=GROUP))
        self.report(pre("desired", op="update", kind=OBJECT))

    def preview(self):
        return self.report

    def expected_before(self):
        return None

    def outputs(self, _stack=None):
        return self.known

    def up(self):
        self.ups += 1
        return Report()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    server = Aws(region="us-east-1")
    user = User("aws", server, tmp_path)
    user.log_in()
    user.sit_down(monkeypatch)
    yield server
    server.close()


@pytest.fixture
def opened(bucket, tmp_path, monkeypatch):
    for name in ("Pulumi.yaml", "Pulumi.staging.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    context = Context("staging", tmp_path)
    outputs = {
        "pools": [POOL],
        "retiring": [POOL],
        "state_url": "s3://state",
        "endpoint": "https://203.0.113.7",
    }
    made = Session(context, outputs)
    monkeypatch.setattr(session.Session, "open", lambda *_args, **_more: made)
    monkeypatch.setattr(clouds.money, "specs_of", lambda _: ())
    monkeypatch.setattr(clouds.secrets, "check", lambda *_args, **_more: None)
    monkeypatch.setattr(clouds.money, "print_table", lambda *_: None)
    monkeypatch.setattr(clouds, "whereabouts", lambda _: Whereabouts("s3://state", "https://203.0.113.7", ""))
    return made


def up(opened):
    clouds.up(opened.context, Plan(env="staging", services=(), fixed_usd_hour=0, cost=ZERO))


def test_a_pool_that_the_controllers_status_says_is_empty_is_deleted_and_the_next_commands_are_said(
    bucket, opened, capsys
):
    bucket.put("status.json", a_status(a_replica(state=ReplicaState.GONE)).model_dump_json())
    up(opened)
    assert opened.ups == 1
    said = capsys.readouterr().out
    assert "./tw wait --stack staging" in said
    assert "./tw status --stack staging" in said


def test_a_pool_that_holds_a_replica_is_not_deleted(bucket, opened):
    bucket.put("status.json", a_status(a_replica()).model_dump_json())
    with pytest.raises(RefusedError, match=f"{POOL}: 1 machines"):
        up(opened)
    assert opened.ups == 0


def test_a_pool_of_which_the_bucket_says_nothing_is_not_deleted(bucket, opened):
    with pytest.raises(RefusedError, match=r"s3://state has no status\.json"):
        up(opened)
    bucket.denied.add("status.json")
    with pytest.raises(RefusedError, match="denied"):
        up(opened)
    assert opened.ups == 0


def test_before_an_update_has_ended_well_a_pool_goes_unless_a_desired_state_was_written(opened, monkeypatch):
    def not_up(_):
        raise InputError("not up")

    monkeypatch.setattr(clouds, "whereabouts", not_up)
    with pytest.raises(RefusedError, match="a controller may have begun"):
        up(opened)
    opened.report = Report()
    opened.report(pre(POOL, op="delete", kind=GROUP))
    opened.report(pre("desired", op="create", kind=OBJECT))
    up(opened)
    assert opened.ups == 1
