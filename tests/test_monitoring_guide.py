"""The dashboard and the alert rules name metrics that there are."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from unitwork.monitor.findings.finding import KINDS
from unitwork.monitor.metrics import COUNTER, HISTOGRAM, metrics
from unitwork.monitor.monitor import SqlMonitor

FOLDER = ROOT / "docs" / "monitoring"
OUTBOX = {"gatehouse_outbox_waiting", "gatehouse_outbox_parked", "gatehouse_outbox_lag_seconds"}
"""What `/metrics` adds (tests/app/api/test_monitor.py)."""


def names() -> set[str]:
    found = set(OUTBOX)
    for metric in metrics(SqlMonitor(), namespace="gatehouse"):
        suffixes = {COUNTER: ("_total",), HISTOGRAM: ("_bucket", "_sum", "_count")}.get(metric.kind, ("",))
        found |= {metric.name + suffix for suffix in suffixes}
    return found


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    return [rule["expr"] for rule in alerts()] + [
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    ]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_metrics_and_kinds_that_there_are(expression: str) -> None:
    named = set(re.findall(r"gatehouse_\w+", expression))
    assert named
    assert named <= names()
    assert set(re.findall(r'kind="(\w+)"', expression)) <= set(KINDS)
    assert expression.count("(") == expression.count(")")


def test_every_kind_of_finding_that_is_somebodys_fault_has_an_alert() -> None:
    alerted = {kind for rule in alerts() for kind in re.findall(r'kind="(\w+)"', rule["expr"])}
    assert {"slow_sql", "repeated_sql", "session_leak", "idle_in_transaction", "lock_wait", "deadlock"} <= alerted


def test_every_alert_says_what_to_do() -> None:
    assert len(alerts()) >= 8
    for rule in alerts():
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert {"summary", "description"} == rule["annotations"].keys()
