"""The rules for Prometheus and the dashboard use metrics that exist, and each alert has a row that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "mcp-server.json").read_text(encoding="utf-8"))
LISTED = {
    row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
}
_METRIC = re.compile(r"\b((?:http|mcp)_\w+?)(?:_bucket|_count|_sum)?(?=[\[{)\s]|$)(?:\{([^}]*)\})?")
_RESERVED = {"le", "instance"}


def _all_rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def _queries() -> list[str]:
    return [rule["expr"] for rule in _all_rules()] + [
        target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
    ]


def test_each_query_names_listed_metrics_and_their_labels_only() -> None:
    used = set()
    for query in _queries():
        found = [
            match
            for match in _METRIC.findall(query)
            if match[0] not in {label for has in LISTED.values() for label in has}
        ]
        assert found or query.startswith(("up{", "mcp:")), query
        for name, selector in found:
            assert name in LISTED, f"{name} in {query}"
            assert set(re.findall(r"(\w+)\s*[=!]~?", selector)) <= LISTED[name] | _RESERVED, query
            used.add(name)
        grouped = {
            label.strip() for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in names.split(",")
        }
        assert grouped <= {label for name, _ in found for label in LISTED[name]} | _RESERVED, query
    assert used == {name for name, labels in LISTED.items() if name.startswith(("http_", "mcp_"))}


def test_each_alert_has_a_row_on_the_page_and_a_test_in_which_it_fires() -> None:
    alerts = {rule["alert"] for rule in _all_rules() if "alert" in rule}
    assert alerts == set(re.findall(r"^\| `(Mcp\w+)` \|", PAGE, re.MULTILINE))
    tests = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    outcomes = [(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]]
    assert set(outcomes) == {(alert, fires) for alert in alerts for fires in (True, False)}
