"""`tw plan --stack S --lock`: the one thing that changes an environment's set of pools."""

import shutil

import pytest
import typer
from typer.testing import CliRunner

from cli import money, plan
from cli.context import ROOT, Context
from spec.desired import PoolState
from spec.errors import InputError, SpecError
from spec.lock import read_lock


@pytest.fixture
def tw(tmp_path, monkeypatch):
    """`tw plan` in a copy of what the staging environment is made of."""
    for name in (
        "Pulumi.yaml",
        "Pulumi.staging.yaml",
        "Pulumi.dev.yaml",
        "pools.staging.lock",
        "services/qwen-7b.yaml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.delenv("PULUMI_ACCESS_TOKEN", raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "nobody"))
    monkeypatch.setattr(plan, "Context", lambda stack: Context(stack, tmp_path))
    app = typer.Typer()
    plan.register(app)

    def run(*words):
        return CliRunner().invoke(app, list(words), catch_exceptions=True)

    run.root = tmp_path
    run.lock = tmp_path / "pools.staging.lock"
    return run


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_the_committed_environments_have_a_lock_that_fits(stack):
    planned, lock = money.planned_of(Context(stack)), read_lock(ROOT, stack)
    assert {p.id for s in planned.plan.services for p in s.pools} == set(lock.pools)
    assert {p.state for s in planned.plan.services for p in s.pools} == {PoolState.ACTIVE}
    assert not [n for n in planned.notes if ".lock" in n]


def test_an_environment_without_a_lock_is_told_how_to_get_one(tw):
    tw.lock.unlink()
    [note] = [n for n in money.planned_of(Context("staging", tw.root)).notes if "lock" in n]
    assert note == (
        "no pools.staging.lock: prices choose the pools. ./tw plan --stack staging --lock holds them"
    )


def test_a_lock_is_written_with_a_line_for_each_change(tw):
    before = tw.lock.read_text()
    assert tw("--stack", "staging", "--lock").output == "pools.staging.lock: no change, 8 pools\n"
    tw.lock.write_text("".join(line for line in before.splitlines(keepends=True) if "use2-az3" not in line))
    assert tw("--stack", "staging", "--lock").output == (
        "+ qwen-7b.aws.use2-az3.L4x1.spot\npools.staging.lock: 8 pools; commit it\n"
    )
    assert tw.lock.read_text() == before


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_without_a_login_to_pulumi_nothing_is_dropped_and_that_is_said(tw):
    edited(tw.root / "Pulumi.staging.yaml", "maxPoolsPerService: 8", "maxPoolsPerService: 7")
    first = tw("--stack", "staging", "--lock").output.splitlines()
    assert [line.endswith("retiring; the controller drains it") for line in first] == [True, False]
    text = tw.lock.read_text()
    assert tw("--stack", "staging", "--lock").output == (
        "1 pool stays retiring: whether an update has told the controller is not known here: log in to Pulumi (`pulumi "
        "login`) and run this again\npools.staging.lock: no change, 8 pools\n"
    )
    assert tw.lock.read_text() == text


@pytest.mark.e2e
def test_what_was_never_deployed_is_dropped_at_once_and_a_backend_that_fails_drops_nothing(tw, monkeypatch):
    (tw.root / "backend").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tw.root / "backend").as_uri())
    before = tw.lock.read_text()
    edited(tw.root / "Pulumi.staging.yaml", "maxPoolsPerService: 8", "maxPoolsPerService: 7")
    assert ": it is not deployed\npools.staging.lock: 7 pools" in tw("--stack", "staging", "--lock").output

    tw.lock.write_text(before)
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tw.root / "nowhere").as_uri())
    assert ": retiring; the controller drains it" in tw("--stack", "staging", "--lock").output
    said = tw("--stack", "staging", "--lock").output
    assert said.startswith(
        "1 pool stays retiring: whether an update has told the controller is not known here: the outputs of stack staging "
        "can't be read: "
    )
    assert "no such file or directory" in said


def test_a_removed_service_stays_in_the_plan_scaled_to_nothing_as_long_as_its_file_is_there(tw):
    edited(tw.root / "Pulumi.staging.yaml", "services/qwen-7b.yaml", "services/other.yaml")
    path = tw.root / "services/qwen-7b.yaml"
    (tw.root / "services/other.yaml").write_text(path.read_text().replace("name: qwen-7b", "name: other"))
    assert "+ other.aws." in tw("--stack", "staging", "--lock").output
    assert "  qwen-7b: services/qwen-7b.yaml\n" in tw.lock.read_text()
    planned = money.planned_of(Context("staging", tw.root))
    other, left = planned.plan.services
    assert planned.notes[0].startswith("qwen-7b leaves: it is scaled to nothing")
    assert (other.name, left.name) == ("other", "qwen-7b")
    assert {p.state for p in left.pools} == {PoolState.RETIRING}
    assert left.scaling.max_replicas == 0
    assert left.cost.worst_usd_hour == 0

    path.rename(tw.root / "services/away.yaml")
    failed = tw("--stack", "staging").exception
    assert str(failed) == (
        "pools.staging.lock:5: services.qwen-7b: services/qwen-7b.yaml is needed until the pools of `qwen-7b` are gone, and "
        "there is no such file. Give it back (git has it), or put it into another file and name that here; ./tw plan --stack "
        "staging --lock drops it in time."
    )
    (tw.root / "services/other.yaml").rename(path)
    edited(tw.root / "Pulumi.staging.yaml", "services/other.yaml", "services/qwen-7b.yaml")
    assert "are gone, and that is the service `other`." in str(tw("--stack", "staging").exception)
    edited(tw.lock, "qwen-7b: services/qwen-7b.yaml", "qwen-7b: services/away.yaml")
    assert tw("--stack", "staging").exit_code == 0


def test_a_host_is_moved_by_a_renewal_only_and_it_says_so(tw):
    edited(
        tw.root / "Pulumi.staging.yaml",
        "    deletion: allowed",
        "    deletion: allowed\n    instanceType: c7i.large",
    )
    failed = tw("--stack", "staging").exception
    assert "hosts.controller: is a t3.small, and tradewind:home says c7i.large." in str(failed)
    assert tw("--stack", "staging", "--lock").output == (
        "~ controller: aws/us-east-1/use1-az1 t3.small => aws/us-east-1/use1-az1 c7i.large: its machine stops and changes its "
        "type\npools.staging.lock: 8 pools; commit it\n"
    )
    assert tw("--stack", "staging").exit_code == 0


def test_the_plan_shows_the_locked_pools_and_what_would_be_chosen_today(tw):
    tw.lock.write_text(
        "".join(line for line in tw.lock.read_text().splitlines(keepends=True) if "use2-az3" not in line)
    )
    shown = tw("--stack", "staging").output
    assert "qwen-7b: 7 chosen pools" in shown
    assert "by today's prices 1 others would be chosen, the cheapest qwen-7b.aws.use2-az3.L4x1.spot" in shown
    assert "8 chosen pools" in tw("--stack", "staging", "--cloud", "aws").output, (
        "a what-if is no stack's plan"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lock",), "--lock is about the pools of a whole stack"),
        (("--stack", "staging", "--cloud", "aws", "--lock"), "--lock is about the pools of a whole stack"),
        (("--stack", "dev", "--lock"), "stack `dev` runs on this computer, and is planned afresh each time"),
    ],
)
def test_only_the_whole_set_of_an_environment_is_locked(tw, words, said):
    failed = tw(*words).exception
    assert isinstance(failed, InputError)
    assert said in str(failed)


def test_a_lock_in_the_middle_of_a_merge_is_told_and_not_written_over(tw):
    tw.lock.write_text("<<<<<<< HEAD\n" + tw.lock.read_text())
    failed = tw("--stack", "staging", "--lock").exception
    assert isinstance(failed, SpecError)
    assert "git has the one before" in str(failed)
    assert tw.lock.read_text().startswith("<<<<<<<")
