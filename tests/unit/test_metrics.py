"""/metrics: what is measured, under names that stay, with labels that no client can multiply."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from fraud.api import build_api
from fraud.errors import RepositoryError, StorageError
from fraud.feedback.outbox import BacklogState
from fraud.feedback.store import FeedbackStore
from fraud.metrics import Metrics
from fraud.records import Decision
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion


@asynccontextmanager
async def no_background(_: FastAPI) -> AsyncIterator[None]:
    yield


class Dataset(LocalRepository):
    """A local dataset that can be out of reach."""

    reachable = True

    def head(self) -> str | None:
        if not self.reachable:
            raise RepositoryError("The dataset cannot be reached.", code="unreachable")
        return super().head()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "dataset.git")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def service(tmp_path: Path, champion: Champion, dataset: Dataset, metrics: Metrics) -> Iterator[FraudService]:
    store = FeedbackStore(tmp_path / "outbox", dataset, "test", max_backlog=5, observer=metrics)
    service = FraudService(champion, store, node="test", pseudonym_key=b"key", observer=metrics)
    yield service
    service.close()


@pytest.fixture
def client(service: FraudService, metrics: Metrics) -> Iterator[TestClient]:
    api = build_api(service, no_background, lambda: True, metrics)
    with gr.Blocks() as page:
        gr.Markdown("The page.")
    app = gr.mount_gradio_app(api, page, path="/", ssr_mode=False)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def figures(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(client: TestClient, name: str, **labels: str) -> float:
    return figures(client)[name, frozenset(labels.items())]


def score(client: TestClient, *, explain: bool = False) -> dict[str, Any]:
    example = client.get("/v1/examples").json()[0]["transaction"]
    return dict(client.post("/v1/score", json={"transaction": example, "explain": explain}).json())


def flag(client: TestClient) -> Any:
    body = {"prediction_id": score(client)["prediction_id"], "verdict": "wrong", "label": "fraud"}
    return client.post("/v1/flags", json=body | {"consent": True})


def test_each_stage_of_an_answer_is_timed_once(client: TestClient) -> None:
    score(client, explain=True)
    found = figures(client)
    for stage in ("validate",):
        assert found[f"fraud_{stage}_duration_seconds_count", frozenset()] == 1
    assert found["fraud_features_duration_seconds_count", frozenset()] == 2  # of the score, of the reasons
    for model in ("random_forest", "xgboost"):
        for stage in ("score", "explain"):
            labels = frozenset({("model", model)})
            assert found[f"fraud_{stage}_duration_seconds_count", labels] == 1
            assert 0 < found[f"fraud_{stage}_duration_seconds_sum", labels] < 5


def test_predictions_count_by_model_and_decision_and_so_do_disagreements(client: TestClient) -> None:
    answers = [score(client) for _ in range(3)]
    decision = answers[0]["scores"]["xgboost"]["decision"]
    assert figure(client, "fraud_predictions_total", model="xgboost", decision=decision) == 3
    assert figure(client, "fraud_disagreements_total") == sum(not answer["agree"] for answer in answers)


def test_a_disagreement_is_counted(metrics: Metrics, client: TestClient) -> None:
    metrics.predicted([("random_forest", Decision.APPROVE), ("xgboost", Decision.DECLINE)], agree=False)
    assert figure(client, "fraud_disagreements_total") == 1


def test_a_request_counts_under_its_routes_template(client: TestClient) -> None:
    for receipt in ("f_one", "f_two"):
        client.get(f"/v1/flags/{receipt}")
    labels = {"route": "/v1/flags/{receipt_id}", "method": "GET", "status": "404"}
    assert figure(client, "fraud_http_request_duration_seconds_count", **labels) == 2
    assert figure(client, "fraud_http_errors_total", error="NotFound") == 2


def test_no_client_can_add_series(client: TestClient) -> None:
    def hostile(round_: int) -> None:
        for i in range(10):
            client.get(f"/etc/{round_}/{i}/passwd")
            client.get(f"/v1/flags/f_{round_}_{i}")
            client.get(f"/v1/{round_}{i}")
            client.request(f"HACK{round_}{i}", "/v1/score")
            client.request(f"HACK{round_}{i}", f"/{round_}{i}")
            client.post("/v1/score", json={f"field{round_}{i}": 1})
            client.post("/v1/score", json={"transaction": {f"column{round_}{i}": 1}})
            client.get(f"/gradio_api/file={round_}{i}", headers={"Host": f"h{i}"})
        client.post("/v1/score", content=b" " * 1_000_001)

    hostile(1)
    figures(client)
    before = set(figures(client))
    hostile(2)
    assert set(figures(client)) == before
    assert len(before) < 1_500
    routes = {dict(labels).get("route") for _, labels in before} - {None}
    assert routes <= {"/v1/examples", "/v1/flags/{receipt_id}", "/v1/score", "/metrics", "page", "unmatched"}
    assert {dict(labels).get("method") for _, labels in before} - {None} == {"GET", "POST", "other"}


def test_the_outbox_and_its_limit_are_seen(client: TestClient, service: FraudService) -> None:
    assert figure(client, "fraud_outbox_backlog_submissions") == 0
    assert figure(client, "fraud_outbox_oldest_age_seconds") == 0
    assert flag(client).status_code == 201
    assert figure(client, "fraud_outbox_backlog_submissions") == 1
    assert figure(client, "fraud_outbox_limit_submissions") == 5
    assert 0 <= figure(client, "fraud_outbox_oldest_age_seconds") < 60
    assert figure(client, "fraud_flags_total", verdict="wrong") == 1
    service.drain()
    assert figure(client, "fraud_outbox_backlog_submissions") == 0
    assert figure(client, "fraud_committed_submissions_total") == 1
    assert figure(client, "fraud_commit_duration_seconds_count") == 1


def test_a_failing_commit_is_seen_and_so_is_its_end(
    client: TestClient, service: FraudService, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    flag(client)
    dataset.reachable = False
    with caplog.at_level(logging.CRITICAL):
        service.drain()
        service.drain()
    assert figure(client, "fraud_commit_failing") == 1
    assert figure(client, "fraud_commit_failures_total") == 2
    dataset.reachable = True
    service.drain()
    assert figure(client, "fraud_commit_failing") == 0


def test_a_full_backlog_answers_503_with_when_to_ask_again(client: TestClient) -> None:
    answers = [flag(client) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [503]
    problem = answers[-1].json()
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert int(answers[-1].headers["retry-after"]) > 0
    assert problem["code"] == "outbox_full" and "5 submissions may wait" in problem["detail"]
    assert figure(client, "fraud_http_errors_total", error="OutboxFull") == 1
    assert client.get("/healthz").status_code == 200


def test_the_version_that_serves_is_the_only_one_shown(client: TestClient, service: FraudService) -> None:
    served = service.model_version
    assert figure(client, "fraud_model_info", version=served.version, revision="shipped") == 1
    assert sum(name == "fraud_model_info" for name, _ in figures(client)) == 1


def test_an_outbox_that_cannot_be_read_is_said_and_the_rest_still_shown(metrics: Metrics) -> None:
    def broken() -> BacklogState:
        raise StorageError("Nothing was saved: the disk is gone.", code="outbox_failed")

    served = SimpleNamespace(version="1.0.0", revision="abc")
    service: Any = SimpleNamespace(
        backlog_state=broken,
        commit_problem=None,
        model_problem="refused",
        model_version=served,
        shadow_report=lambda: None,
    )
    metrics.watch(service, lambda: False)
    text = metrics.text().decode()
    assert "fraud_outbox_readable 0.0" in text and "fraud_outbox_backlog_submissions" not in text
    assert "fraud_model_failing 1.0" in text and "fraud_background_alive 0.0" in text


def test_two_processes_of_one_test_share_no_figures(service: FraudService) -> None:
    one, other = Metrics(), Metrics()
    one.flagged("wrong")
    assert b'fraud_flags_total{verdict="wrong"} 1.0' in one.text()
    assert b"fraud_flags_total{" not in other.text()


def test_the_age_of_what_waits_is_never_negative(metrics: Metrics) -> None:
    state = BacklogState(1, 5, datetime(2999, 1, 1, tzinfo=UTC))
    served = SimpleNamespace(version="1.0.0", revision=None)
    service: Any = SimpleNamespace(
        backlog_state=lambda: state,
        commit_problem=None,
        model_problem=None,
        model_version=served,
        shadow_report=lambda: None,
    )
    metrics.watch(service, lambda: True)
    assert "fraud_outbox_oldest_age_seconds 0.0" in metrics.text().decode()


def test_a_request_in_flight_is_counted_until_it_is_answered(client: TestClient) -> None:
    client.get("/healthz")
    assert figure(client, "fraud_http_requests_in_flight", kind="api") == 1  # the scrape itself
