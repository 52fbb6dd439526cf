"""The list of metrics, and the page that documents it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sps_adaptive.characteristics.metrics import METRICS, SECONDARY, outcome_metric
from sps_adaptive.tables import OUTCOMES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_a_metric_is_defined(metric):
    assert metric.name.isidentifier() and metric.name == metric.name.lower()
    assert metric.meaning.endswith(".") and metric.meaning[0].isupper()
    assert metric.sums in METRICS and METRICS[metric.sums].sums == metric.sums
    assert METRICS[metric.sums].kind in ("proportion", "mean")
    if metric.kind in ("quantile", "extreme"):
        assert METRICS[metric.sums].bins > 0 and 0 <= metric.level <= 1
    if metric.kind == "proportion":
        assert metric.unit == ""


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_the_page_says_of_a_metric_what_the_code_says(metric):
    assert f"| `{metric.name}` | {metric.kind} | {metric.unit} | {metric.meaning} |" in PAGE.read_text("utf-8")


def test_the_page_lists_the_metrics_in_their_order_and_no_other():
    rows = [line.split("`")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    own = [name for name in rows if not name.startswith("NAME: ")]
    assert own == list(METRICS)
    assert [f"NAME: {metric.name}" for metric in SECONDARY] == [name for name in rows if name.startswith("NAME: ")]


def test_every_outcome_is_a_metric():
    assert [name for name in METRICS if name.startswith("outcome_")] == [outcome_metric(name) for name in OUTCOMES]
    assert outcome_metric("success, then futility") == "outcome_success_then_futility"
