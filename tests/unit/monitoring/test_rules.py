"""The Prometheus rules for metrics.prom name only what a run writes, and do not page for a simulation."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from fraud.monitoring.report import prometheus_text
from tests.unit.monitoring.records import alert, report

RULES = Path(__file__).parents[3] / "docs" / "operations" / "monitoring_alerts.yml"
ALERTS = [r for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for r in group["rules"]]
NAMES = re.compile(r"fraud_monitoring_[a-z_]+")


def families(**changes):
    document = report(**changes) | {"findings": []}
    return {family.name: family for family in text_string_to_metric_families(prometheus_text(document))}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_rule_names_what_a_run_writes_and_has_its_times(rule) -> None:
    written = families(alerts=[alert("f1:xgboost")])
    names = set(NAMES.findall(rule["expr"]))
    assert names and names <= set(written)
    for name, label in re.findall(r"(fraud_monitoring_[a-z_]+)\{([a-z_]+)=", rule["expr"]):
        assert all(label in sample.labels for sample in written[name].samples)
    assert re.fullmatch(r"\d+[mhd]", rule["for"]) and re.fullmatch(r"\d+[mhd]", rule["keep_firing_for"])
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_a_simulated_run_is_marked_for_the_rule_that_leaves_it_out() -> None:
    for simulated in (False, True):
        (sample,) = families(simulated=simulated)["fraud_monitoring_simulated"].samples
        assert sample.value == simulated
    (firing,) = [rule for rule in ALERTS if rule["alert"] == "FraudModelAlert"]
    assert "unless on(instance) fraud_monitoring_simulated == 1" in firing["expr"]


def test_claims_that_wait_are_counted_by_model() -> None:
    samples = families()["fraud_monitoring_claims_awaiting"].samples
    assert {(s.labels["model"], s.value) for s in samples} == {("random_forest", 1.0), ("xgboost", 1.0)}
