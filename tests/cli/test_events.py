"""The engine's events as a report: what changes, what the policies say, what failed; and nothing that is private."""

import pytest
from pulumi.automation.events import EngineEvent, OpType

from cli.events import QUIET, Report

STACK = "urn:pulumi:dev::tradewind::tradewind:local:Process::"


def metadata(name="controller", *, op="create", kind="tradewind:local:Process", **more):
    return {
        "op": op,
        "urn": f"{STACK}{name}",
        "type": kind,
        "keys": [],
        "diffs": [],
        "detailedDiff": None,
        "logical": True,
        "provider": "",
        **more,
    }


def state(inputs=None, outputs=None):
    return {
        "type": "tradewind:local:Process",
        "urn": STACK,
        "id": "1",
        "parent": "",
        "provider": "",
        "inputs": inputs or {},
        "outputs": outputs or {},
    }


def event(**kind):
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, **kind})


def pre(name="controller", **more):
    return event(resourcePreEvent={"metadata": metadata(name, **more), "planning": True})


def done(name="controller", *, planning=False, **more):
    return event(resOutputsEvent={"metadata": metadata(name, **more), "planning": planning})


def policy(message, level="mandatory", name="cost"):
    return event(
        policyEvent={
            "message": message,
            "color": "raw",
            "policyName": name,
            "policyPackName": "tradewind",
            "policyPackVersion": "1",
            "policyPackVersionTag": "1",
            "enforcementLevel": level,
        }
    )


def diagnostic(message, severity="error"):
    return event(diagnosticEvent={"message": message, "color": "raw", "severity": severity})


def report_of(*events):
    report = Report()
    for e in events:
        report(e)
    return report


def diff_of(path, old=None, new=None):
    given = {"detailedDiff": {path: {"diffKind": "update", "inputDiff": True}}, "old": old, "new": new}
    [change] = report_of(pre(op="update", **given)).changes
    return change.diff


def test_creations_changes_and_removals_are_collected_in_order():
    report = report_of(pre("a"), pre("b", op="update"), pre("c", op="delete"), pre("d", op="replace"))
    assert [(c.name, c.symbol) for c in report.changes] == [("a", "+"), ("b", "~"), ("c", "-"), ("d", "±")]


@pytest.mark.parametrize("op", ["same", "read", "refresh"])
def test_what_stays_as_it_is_is_no_change(op):
    assert report_of(pre(op=op)).changes == []


def test_a_replacement_is_one_change_not_three():
    steps = [pre(op=op) for op in ("create-replacement", "replace", "delete-replaced")]
    assert [c.op for c in report_of(*steps).changes] == [OpType.REPLACE]


@pytest.mark.parametrize("kind", ["pulumi:pulumi:Stack", "pulumi:providers:tradewind"])
def test_pulumis_own_resources_are_no_change(kind):
    assert report_of(pre(kind=kind)).changes == []


def test_a_resource_is_reported_as_done_only_by_an_update():
    seen = []
    report = Report(on_done=lambda change: seen.append((change.name, change.op)))
    for e in (done("planned", planning=True), done("same", op="same"), done("made")):
        report(e)
    assert seen == [("made", OpType.CREATE)]
    assert report.changes == [], "what is done is no plan"


def test_a_changed_value_is_shown_with_its_old_one():
    old, new = state({"maxSize": 2}), state({"maxSize": 3})
    assert diff_of("maxSize", old, new) == ("maxSize: 2 => 3",)


def test_a_value_that_only_the_provider_knows_is_shown_too():
    assert diff_of("pid", state(outputs={"pid": 26145}), None) == ("pid: 26145 => ?",)


@pytest.mark.parametrize("name", sorted(QUIET))
def test_long_or_private_inputs_are_named_and_never_shown(name):
    assert diff_of(name, state({name: "s3cret-old"}), state({name: "s3cret-new"})) == (name,)


@pytest.mark.parametrize("path", ["env.HF_TOKEN", "argv[3]", "meta.token", 'env["HF_TOKEN"]'])
def test_what_changed_inside_of_a_value_is_named_and_never_shown(path):
    key = path.split(".")[0].split("[")[0]
    secret = {key: {"HF_TOKEN": "s3cret", "token": "s3cret"}}
    assert diff_of(path, state(secret), state(secret)) == (path,)


def test_what_pulumi_blinds_stays_blind():
    assert diff_of("password", state({"password": "[secret]"}), state({"password": "[secret]"})) == (
        "password: [secret] => [secret]",
    )


def test_a_long_value_is_cut():
    [line] = diff_of("path", state({"path": "/a" * 500}), state({"path": "/b" * 500}))
    assert len(line) < 120
    assert line.endswith("...")


def test_without_a_detailed_diff_the_names_of_the_differences_serve():
    [change] = report_of(pre(op="update", diffs=["b", "a"], old=state({"a": 1}), new=state({"a": 2}))).changes
    assert change.diff == ("a: 1 => 2", "b: ? => ?")


def test_mandatory_violations_refuse_and_advisory_ones_are_kept_as_notes():
    report = report_of(policy("too dear"), policy("have a look", level="advisory"))
    assert [v.message for v in report.refusals] == ["too dear"]
    assert [v.mandatory for v in report.violations] == [True, False]


def test_messages_lose_pulumis_colour_marks_and_policies_their_line_breaks():
    report = report_of(
        policy("<{%fg 1%}>too\n  dear<{%reset%}>"), diagnostic("<{%reset%}>port 1\nis taken<{%reset%}>\n")
    )
    assert report.violations[0].message == "too dear"
    assert report.errors == ["port 1\nis taken"]


def test_errors_are_kept_once_and_without_pulumis_own_last_word():
    report = report_of(
        diagnostic("port 18080 is taken"),
        diagnostic("port 18080 is taken"),
        diagnostic("update failed"),
        diagnostic("preview failed"),
        diagnostic("  "),
        diagnostic("slow", severity="warning"),
        diagnostic("hello", severity="info"),
    )
    assert report.errors == ["port 18080 is taken"]
