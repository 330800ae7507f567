"""Alerts and dashboard use metrics that exist, and each alert is tested and documented."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.observability import metrics as counts
from tests.support.promtool import find_promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
TESTS = ROOT / "deploy/prometheus/alerts_test.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
GAUGES = {
    "kammerton_redis_up",
    "kammerton_queue_depth",
    "kammerton_queue_oldest_seconds",
    "kammerton_process_seen_timestamp_seconds",
    "kammerton_upload_buffer_bytes",
    "kammerton_workers",
    "kammerton_worker_places",
    "kammerton_worker_busy",
    "kammerton_worker_memory_bytes",
    "kammerton_worker_memory_ratio",
    "kammerton_worker_clock_skew_seconds",
    "kammerton_redis_memory_bytes",
    "kammerton_redis_memory_ratio",
}
KNOWN = (
    GAUGES
    | {counter.name + "_total" for counter in counts.COUNTERS}
    | {histogram.name + "_bucket" for histogram in counts.HISTOGRAMS}
)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("expression", [rule["expr"] for rule in rules()] + expressions())
def test_every_metric_in_alerts_and_dashboard_exists(expression: str) -> None:
    named = set(re.findall(r"kammerton_\w+", expression))
    assert named | set(re.findall(r"process_\w+_bytes", expression))
    assert named <= KNOWN


def test_the_list_of_gauges_is_the_one_that_the_api_exports() -> None:
    source = (ROOT / "api/metrics.py").read_text()
    assert set(re.findall(r'"(kammerton_\w+)"', source)) == GAUGES


@pytest.mark.parametrize("name", [rule["alert"] for rule in rules()])
def test_every_alert_is_tested_and_explained(name: str) -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = [bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name]
    assert set(fires) == {True, False}
    assert f"### {name}\n" in (ROOT / "docs/operations.md").read_text()


def test_promtool_accepts_the_alerts() -> None:
    promtool = find_promtool()
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(TESTS)]):
        ran = subprocess.run([promtool, *command], text=True, capture_output=True, check=False, timeout=120)
        assert ran.returncode == 0, ran.stdout + ran.stderr
