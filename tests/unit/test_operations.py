"""The rules and the dashboard of docs/operations speak of figures that the app really shows."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from fraud.api import build_api
from fraud.feedback.store import FeedbackStore
from fraud.metrics import Metrics
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "operations"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS = {f"alert {rule['alert']}": str(rule["expr"]) for rule in ALERTS} | {
    f"panel {panel['title']}, {target['refId']}": str(target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
MONITORING = yaml.safe_load((FOLDER / "monitoring_alerts.yml").read_text(encoding="utf-8"))
DURATION = re.compile(r"(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?")
_SET_BY_PROMETHEUS = {"instance", "job"}
_WORDS = {
    "sum", "by", "rate", "increase", "count", "histogram_quantile", "or", "vector", "le",
    "model", "decision", "route", "status", "error", "kind", "verdict", "outcome", "version", "revision",
    "instance", "__rate_interval",
}  # fmt: skip


@asynccontextmanager
async def no_background(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture(scope="module")
def shown(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Return what the app shows after a few requests: name of a sample -> names of its labels."""
    home, metrics = tmp_path_factory.mktemp("operations"), Metrics()
    store = FeedbackStore(
        home / "outbox", LocalRepository(home / "dataset.git"), "test", max_backlog=5, observer=metrics
    )
    champion = Champion(ModelRegistry(LocalRepository(home / "registry")), small_bundle)
    service = FraudService(champion, store, node="test", pseudonym_key=b"key", observer=metrics)
    with TestClient(build_api(service, no_background, lambda: True, metrics)) as client:
        _use(client)
        service.drain()
        text = client.get("/metrics").text
    service.close()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    yield found


def _use(client: TestClient) -> None:
    example = client.get("/v1/examples").json()[0]["transaction"]
    scored = client.post("/v1/score", json={"transaction": example, "explain": True}).json()
    flag = {"prediction_id": scored["prediction_id"], "verdict": "wrong", "label": "fraud", "consent": True}
    receipt = client.post("/v1/flags", json=flag).json()["receipt_id"]
    client.post("/v1/withdrawals", json={"receipt_id": receipt})
    client.get("/v1/flags/f_nothing")
    columns, values = zip(*example.items(), strict=True)
    table = ",".join(columns) + "\n" + ",".join("" if v is None else str(v) for v in values) + "\n"
    assert client.post("/v1/score/batch", content=table, headers={"content-type": "text/csv"}).is_success


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names: what is left without strings, labels and functions."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\[[^]]*\]", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(re.findall(r"[a-z_][a-z_0-9]*", bare)) - _WORDS


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_name_in_the_rules_and_the_dashboard_is_one_that_the_app_shows(
    where: str, shown: dict[str, set[str]]
) -> None:
    names = names_in(EXPRESSIONS[where])
    assert names and names <= shown.keys()


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_label_in_the_rules_and_the_dashboard_is_one_that_the_app_sets(
    where: str, shown: dict[str, set[str]]
) -> None:
    expression = EXPRESSIONS[where]
    labels = _SET_BY_PROMETHEUS.union(*(shown[name] for name in names_in(expression)))
    used = set(re.findall(r'([a-z]+)\s*(?:=|!=|=~|!~)"', expression))
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        used |= {part.strip() for part in grouping.split(",")}
    assert used <= labels


def test_the_exposition_ends_every_duration_in_seconds(shown: dict[str, set[str]]) -> None:
    ours = {name for name in shown if name.startswith("fraud_")}
    timed = {name for name in ours if "duration" in name}
    assert timed and all("_duration_seconds_" in name for name in timed)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in ours)


def test_the_rules_have_the_shape_that_prometheus_reads() -> None:
    assert set(RULES) == {"groups"}
    names = [group["name"] for group in RULES["groups"]]
    assert len(set(names)) == len(names)
    for rule in ALERTS:
        assert set(rule) <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
        assert re.fullmatch(r"Fraud[A-Za-z]+", rule["alert"])
        for key in {"for", "keep_firing_for"} & set(rule):
            assert rule[key] and DURATION.fullmatch(rule[key]), rule
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) >= 10


PARSED = EXPRESSIONS | {
    f"alert {rule['alert']}": str(rule["expr"]) for group in MONITORING["groups"] for rule in group["rules"]
}


@pytest.mark.parametrize("where", sorted(PARSED))
def test_every_expression_is_promql(where: str) -> None:
    """Read by a parser of the language: Grafana's variables are durations and strings by then."""
    expression = PARSED[where].replace("$__rate_interval", "5m").replace("$instance", ".*")
    assert promql_parser.parse(expression)


def test_what_is_no_promql_is_told() -> None:
    with pytest.raises(ValueError):
        promql_parser.parse("sum by (le (rate(x[5m]))")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml", "monitoring_alerts.yml"), ("test", "rules", "alerts_test.yml")],
)
def test_promtool_accepts_the_rules_and_they_fire_when_they_should(arguments: tuple[str, ...]) -> None:
    ran = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    assert DASHBOARD["title"] and DASHBOARD["uid"] and DASHBOARD["schemaVersion"] >= 36
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables: dict[str, Any] = {v["name"]: v for v in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    boxes = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        boxes.add((grid["x"], grid["y"]))
        assert panel["datasource"]["uid"] == "${datasource}"
        for used in re.findall(r"\$\{?([a-z]+)\}?", json.dumps(panel)):
            assert used in variables
    assert len(boxes) == len(ids)


def test_every_alert_and_metric_of_ours_is_explained(shown: dict[str, set[str]]) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum|total|created)$", "", n) for n in shown if n.startswith("fraud_")}
    assert not [name for name in sorted(families) if name not in text]
    assert not [rule["alert"] for rule in ALERTS if rule["alert"] not in text]
