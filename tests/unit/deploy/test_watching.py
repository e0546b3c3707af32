"""Alerts and dashboard ask for metrics and labels that the program has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import promql_parser
import pytest
import yaml

from stack.planning.capacity import Inputs
from tests.running import ROOT
from tests.unit.deploy.metrics import KnownMetrics, known

PROMETHEUS = ROOT / "deploy" / "prometheus"


@pytest.fixture(name="metrics", scope="module")
def fixture_metrics() -> KnownMetrics:
    return known()


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts, by name."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """The panels with graphs."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "plaudit.json").read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_a_metric_or_label_that_does_not_exist_is_detected(metrics: KnownMetrics) -> None:
    assert metrics.complaints('sum by (code) (rate(plaudit_gateway_closes_total{code="4001"}[5m]))') == []
    assert metrics.complaints("histogram_quantile(0.9, sum by (le, type) (plaudit_gateway_call_seconds_bucket))") == []
    assert metrics.complaints("plaudit_gateway_closes") == ["no metric is called plaudit_gateway_closes"]
    [label] = metrics.complaints("max by (shard) (plaudit_breaker_open)")
    assert label.startswith("no label is called shard")


@pytest.mark.parametrize("name", list(alerts()))
def test_an_alert_queries_existing_metrics_and_states_what_to_do(metrics: KnownMetrics, name: str) -> None:
    rule = alerts()[name]
    promql_parser.parse(rule["expr"])
    assert metrics.complaints(rule["expr"]) == []
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "action"}
    for variable in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert variable in rule["expr"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_queries_existing_metrics(metrics: KnownMetrics, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        promql_parser.parse(target["expr"].replace("$__rate_interval", "5m"))
        assert metrics.complaints(target["expr"]) == []
        shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
        assert all(label in target["expr"] or label == "instance" for label in shown)


def test_the_alert_of_a_full_gateway_fires_at_four_fifths_of_the_plan() -> None:
    threshold = int(alerts()["PlauditGatewayFull"]["expr"].rpartition(" ")[2])
    assert threshold == 0.8 * Inputs().connections_per_gateway


def test_the_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))


@pytest.mark.parametrize("command", [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]])
def test_promtool_accepts_the_alerts(command: list[str]) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on this machine: apt-get install prometheus")
    done = subprocess.run([program, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
