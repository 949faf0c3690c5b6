"""The controller's metrics are those that its page names, and alerts are made of no others."""

import re
from pathlib import Path

import pytest

from lb.metrics import Metrics
from lb.observe.traffic import Traffic
from lb.observe.traffic_metrics import TrafficCollector

DOCS = Path(__file__).resolve().parents[2] / "docs"
SUFFIXES = ("_bucket", "_sum", "_count", "_created")


def served():
    metrics = Metrics()
    metrics.registry.register(TrafficCollector(Traffic(lambda: 0.0)))
    for family in metrics.registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def named(page):
    found = set(re.findall(r"tradewind_[a-z_]+", (DOCS / page).read_text()))
    return {name.removesuffix(next((s for s in SUFFIXES if name.endswith(s)), "")) for name in found}


def test_every_metric_is_in_the_documentation_and_no_other():
    assert named("controller.md") == set(served())


@pytest.mark.parametrize("page", ["operating.md", "edge.md", "local-cloud.md"])
def test_no_page_names_a_metric_that_there_is_not(page):
    assert named(page) <= set(served())


def test_pools_and_services_that_are_no_more_leave_no_counters_behind():
    metrics = Metrics()
    for name in ("old", "new"):
        metrics.lost.labels(name).inc()
        metrics.commands.labels(name, "set_size").inc()
        metrics.failed.labels(name).inc()
    metrics.keep(pools=["new"], services=["new"])
    text = metrics.text().decode()
    assert '"old"' not in text
    for name in ("replicas_lost", "commands", "replicas_failed"):
        assert re.search(rf'tradewind_{name}_total{{.*"new".*}} 1.0', text)
