"""Drift is what somebody changed; sizes and renewed certificates are the controller's. With the real engine: tests/e2e."""

import pytest

from cli.drift import Difference, Drift, leave
from tests.cli.test_events import event

GROUP = "aws:autoscaling/group:Group"


def looked(name, kind, op="update", **paths):
    """An event of a refresh; `paths`: whether an input differs there (or only what the cloud computed)."""
    detailed = {
        p.replace("__", "."): {"diffKind": "update", "inputDiff": given} for p, given in paths.items()
    }
    metadata = {
        "op": op,
        "urn": f"urn:pulumi:prod::tradewind::{kind}::{name}",
        "type": kind,
        "keys": [],
        "diffs": list(detailed),
        "detailedDiff": detailed,
        "logical": True,
        "provider": "",
    }
    return event(resOutputsEvent={"metadata": metadata, "planning": True})


def found(*events):
    drift = Drift()
    for one in events:
        drift(one)
    return [(d.urn.rsplit("::", 1)[-1], d.gone, d.paths) for d in drift.found]


def test_sizes_of_pools_are_no_drift():
    assert (
        found(
            looked("a", GROUP, desiredCapacity=True),
            looked("b", "gcp:compute/instanceGroupManager:InstanceGroupManager", targetSize=True),
            looked("c", "azure-native:compute:VirtualMachineScaleSet", sku__capacity=True),
        )
        == []
    )


def test_what_else_somebody_changed_is_drift():
    assert found(looked("a", GROUP, desiredCapacity=True, maxSize=True)) == [("a", False, ("maxSize",))]
    assert found(looked("door", "aws:ec2/securityGroup:SecurityGroup", ingress=True)) == [
        ("door", False, ("ingress",))
    ]


def test_what_the_cloud_computes_is_no_drift():
    assert found(looked("a", GROUP, arn=False)) == []


def test_what_is_gone_is_drift():
    assert found(looked("a", GROUP, op="delete")) == [("a", True, ())]
    assert found(looked("a", GROUP, op="same")) == []


@pytest.mark.parametrize("name", ["pool-chat.aws.use1-az1.L4x1.spot-leaf-aws-value", "edge-public-aws-value"])
def test_certificates_that_the_controller_renews_are_no_drift(name):
    version = "aws:secretsmanager/secretVersion:SecretVersion"
    assert found(looked(name, version, secretString=True)) == []
    other = name.replace("-leaf-", "-ca-key-").replace("-public-", "-token-")
    assert found(looked(other, version, secretString=True)) != []


def test_an_issue_s_text_is_there_only_while_something_differs(tmp_path):
    leave(tmp_path / "prod", "prod", [])
    assert not (tmp_path / "prod" / "issue.md").exists()
    gone = [Difference(f"urn:pulumi:prod::t::{GROUP}::pool-{n}", GROUP, gone=True) for n in range(300)]
    leave(tmp_path / "prod", "prod", gone)
    text = (tmp_path / "prod" / "issue.md").read_text()
    assert text.startswith("300 resources of `prod` differ from what Pulumi declared:")
    assert f"- `pool-7 ({GROUP}): is gone`" in text
    assert "- and 100 more" in text
    leave(tmp_path / "prod", "prod", [])
    assert not (tmp_path / "prod" / "issue.md").exists()
