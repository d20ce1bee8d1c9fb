"""Keeping predictions over REST: consent by a field, a receipt once it is safe, and the way back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api import build_api
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


def test_a_consented_prediction_is_kept_and_can_be_taken_back(
    client: TestClient, service: FraudService, example: dict
) -> None:
    name = client.post("/v1/score", json={"transaction": example, "keep": True}).json()["prediction_id"]
    service.prediction_log.flush()
    assert client.get(f"/v1/flags/{name}").json()["state"] == "saved"
    service.drain()
    assert client.get(f"/v1/flags/{name}").json()["state"] == "committed"
    assert client.post("/v1/withdrawals", json={"receipt_id": name}).status_code == 201
    assert client.get(f"/v1/flags/{name}").json()["state"] == "withdrawn"


@pytest.mark.parametrize("keep", [{}, {"keep": False}])
def test_nothing_is_kept_unless_it_is_asked_for(
    client: TestClient, service: FraudService, example: dict, keep: dict
) -> None:
    name = client.post("/v1/score", json={"transaction": example, **keep}).json()["prediction_id"]
    service.prediction_log.flush()
    assert client.get(f"/v1/flags/{name}").status_code == 404
    assert client.post("/v1/withdrawals", json={"receipt_id": name}).status_code == 404


@pytest.mark.parametrize("keep", ["yes", 1, "true"])
def test_consent_is_true_and_nothing_that_resembles_it(
    client: TestClient, example: dict, keep: object
) -> None:
    assert client.post("/v1/score", json={"transaction": example, "keep": keep}).status_code == 422


def test_the_documentation_says_what_keeping_means(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["ScoreRequest"]["properties"]
    assert "consent" in schema["keep"]["description"] and schema["keep"]["default"] is False
