"""The REST routes: every answer a client understands, never a traceback."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api import MAX_BODY_BYTES, build_api
from fraud.service import FraudService


@asynccontextmanager
async def no_background(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
def client(service: FraudService) -> Iterator[TestClient]:
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        yield client


@pytest.fixture
def example(client: TestClient) -> dict:
    return dict(client.get("/v1/examples").json()[0]["transaction"])


def test_a_transaction_is_scored_flagged_and_its_receipt_followed(
    client: TestClient, service: FraudService, example: dict
) -> None:
    scored = client.post("/v1/score", json={"transaction": example, "explain": True}).json()
    assert set(scored["scores"]) == {"random_forest", "xgboost"} == set(scored["explanations"])
    flag = {
        "prediction_id": scored["prediction_id"],
        "verdict": "wrong",
        "label": "fraud",
        "consent": True,
    }
    answer = client.post("/v1/flags", json=flag)
    assert answer.status_code == 201 and answer.json()["state"] == "saved"
    service.drain()
    followed = client.get(f"/v1/flags/{answer.json()['receipt_id']}").json()
    assert followed["state"] == "committed" and len(followed["revision"]) == 40


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"amount": None}, "amount", "is missing"),
        ({"amount": "lots"}, "amount", "must be a number"),
        ({"amount": 1e9}, "amount", "at most 50000"),
        ({"amount": -1}, "amount", "at least 0.01"),
        ({"channel": "pigeon"}, "channel", "must be one of"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at", "in the future"),
        ({"occurred_at": "yesterday"}, "occurred_at", "must be a date and time"),
        ({"occurred_at": None}, "occurred_at", "is missing"),
        ({"is_fraud": 1}, "is_fraud", "not a field"),
        ({"card_age_days": 1.5}, "card_age_days", "whole number"),
    ],
)
def test_a_bad_field_is_a_422_that_names_it(
    client: TestClient, example: dict, change: dict, field: str, words: str
) -> None:
    answer = client.post("/v1/score", json={"transaction": example | change})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["problems"][0]["field"] == field and words in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"transaction": 5}',
        b'{"transaction": {}, "more": 1}',
        b'{"transaction": {"amount": NaN}}',
        b"\xff\xfe",
        b'{"transaction": {"amount": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
)
def test_a_body_that_is_no_request_is_refused_in_a_sentence(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json" and answer.json()["detail"]


def test_a_huge_body_is_refused_before_it_is_read_whole(client: TestClient) -> None:
    answer = client.post("/v1/score", content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413 and "larger than" in answer.json()["detail"]


def test_a_history_row_is_named_by_number(client: TestClient, example: dict) -> None:
    answer = client.post("/v1/score", json={"transaction": example, "history": [example, {"amount": "x"}]})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("history, row 2: ")


def test_an_own_history_changes_the_answer(client: TestClient, example: dict) -> None:
    empty = client.post("/v1/score", json={"transaction": example, "history": []}).json()
    burst = [
        example | {"transaction_id": f"t{i}", "occurred_at": f"2026-03-30T10:{i:02d}:00Z", "amount": 1}
        for i in range(40)
    ]
    target = example | {"occurred_at": "2026-03-30T10:45:00Z"}
    busy = client.post("/v1/score", json={"transaction": target, "history": burst}).json()
    assert busy["scores"]["xgboost"] != empty["scores"]["xgboost"]


def test_an_unknown_receipt_or_prediction_is_a_404(client: TestClient) -> None:
    assert client.get("/v1/flags/f_nothing").status_code == 404
    flag = {"prediction_id": "p_nothing", "verdict": "right", "label": "fraud", "consent": True}
    assert client.post("/v1/flags", json=flag).status_code == 404


def test_a_flag_without_consent_is_a_422(client: TestClient, example: dict) -> None:
    scored = client.post("/v1/score", json={"transaction": example}).json()
    flag = {
        "prediction_id": scored["prediction_id"],
        "verdict": "wrong",
        "label": "fraud",
        "consent": False,
    }
    answer = client.post("/v1/flags", json=flag)
    assert answer.status_code == 422 and "consent" in answer.json()["detail"]


def test_health_readiness_and_version_tell_what_is_served(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200 and ready.json()["model_version"] == "1.0.0"
    assert len(client.get("/v1/version").json()["manifest_digest"]) == 64
    assert "ap" in client.get("/v1/models").json()["models"]["xgboost"]["metrics"]


def test_readiness_fails_when_the_background_work_has_stopped(service: FraudService) -> None:
    with TestClient(build_api(service, no_background, lambda: False)) as client:
        assert client.get("/readyz").status_code == 503


def test_the_openapi_page_carries_an_example_that_works(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200 and "://" not in page.text.replace("http://testserver", "")
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/v1/score", json=body).status_code == 200
