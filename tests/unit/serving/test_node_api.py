"""The node over HTTP: the demo's scoring routes, its standing, and what each notice is answered."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api.body_limit import MAX_BODY_BYTES
from fraud.api.node import build_node_api
from fraud.api.receiving import MAX_NOTICE_BYTES
from fraud.metrics import Metrics
from tests.unit.serving.conftest import HUB_SECRET, Following, Releases, notice
from tests.unit.webhooks.conftest import PREVIOUS

ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
def client(following: Following) -> Iterator[TestClient]:
    with TestClient(build_node_api(following.node, nothing, lambda: True, Metrics())) as client:
        yield client


def test_a_score_is_answered_as_by_the_demo_and_names_its_release(client: TestClient) -> None:
    example = client.get("/v1/examples").json()[0]["transaction"]
    answer = client.post("/v1/score", json={"transaction": example, "explain": True}).json()
    version = client.get("/v1/version").json()
    assert answer["model_version"] == version["version"] == "1.0.1"
    assert answer["model_digest"] == version["manifest_digest"]
    assert set(answer["scores"]) == set(answer["explanations"]) == {"random_forest", "xgboost"}
    refused = client.post("/v1/score", json={"transaction": {}})
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    assert client.post("/v1/score", json={"transaction": example, "keep": True}).status_code == 422


def test_a_given_history_changes_what_the_shipped_one_says(client: TestClient, following: Following) -> None:
    example = client.get("/v1/examples").json()[0]["transaction"]
    known = client.post("/v1/score", json={"transaction": example}).json()["scores"]
    fresh = client.post("/v1/score", json={"transaction": example, "history": []}).json()["scores"]
    assert known != fresh


def test_what_a_node_does_not_do_is_not_there(client: TestClient) -> None:
    for method, path in (("POST", "/v1/flags"), ("POST", "/v1/score/batch"), ("GET", "/"), ("GET", "/docs")):
        assert client.request(method, path).status_code == 404, path


@pytest.mark.parametrize(
    ("case", "status", "said"),
    [
        ("fresh", 202, "fresh"),
        ("forged", 401, "webhook_signature"),
        ("no headers", 400, "webhook_headers"),
        ("too large", 413, "webhook_size"),
        ("hub", 202, "fresh"),
        ("hub forged", 401, "webhook_signature"),
    ],
)
def test_every_notice_has_its_answer(
    case: str, status: int, said: str, client: TestClient, following: Following
) -> None:
    headers, body = notice(following.champion.scorer.version, 5)
    event = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": "org/models"},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": None, "newSha": "a" * 40}],
    }
    if case == "forged":
        headers, body = notice(following.champion.scorer.version, 5, secret=PREVIOUS)
    elif case == "no headers":
        headers = {}
    elif case == "too large":
        body += b" " * 30_000
    elif case.startswith("hub"):
        headers = {"X-Webhook-Secret": HUB_SECRET if case == "hub" else "guess"}
        body = json.dumps(event).encode()
    answer = client.post("/webhooks/model", headers=headers, content=body)
    assert answer.status_code == status, answer.text
    assert answer.json().get("reception", answer.json().get("code")) == said


def test_a_duplicate_is_answered_so_that_its_sender_stops(client: TestClient, following: Following) -> None:
    headers, body = notice(following.champion.scorer.version, 5)
    answers = [client.post("/webhooks/model", headers=headers, content=body) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert [a.json()["reception"] for a in answers] == ["fresh", "duplicate"]


def test_a_body_without_end_is_cut_off(client: TestClient) -> None:
    assert MAX_NOTICE_BYTES < MAX_BODY_BYTES
    answer = client.post("/webhooks/model", content=b"x" * (MAX_NOTICE_BYTES + 1))
    assert answer.status_code == 413


def test_readiness_and_figures_tell_of_a_version_that_was_given_up(
    client: TestClient, following: Following, releases: Releases
) -> None:
    assert client.get("/readyz").json()["problems"] == [] and client.get("/healthz").status_code == 200
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    assert client.get("/v1/version").json()["on_trial"] is True
    assert following.champion.give_up(following.champion.scorer.version, "3 of 3 answers failed")
    following.watch.resume(following.champion.scorer.version)
    ready = client.get("/readyz")
    assert ready.status_code == 200  # it serves, with the version before
    assert (ready.json()["state"], ready.json()["version"]) == ("rolled_back", "1.0.1")
    assert ready.json()["reason"] == "1.0.2: 3 of 3 answers failed" and ready.json()["problems"]
    figures = client.get("/metrics").text
    assert "fraud_node_rolled_back 1.0" in figures and 'version="1.0.1"} 1.0' in figures
    assert "fraud_node_swaps_total 1.0" in figures and "fraud_background_alive 1.0" in figures


def test_a_node_whose_background_has_stopped_is_not_ready(following: Following) -> None:
    with TestClient(build_node_api(following.node, nothing, lambda: False, Metrics())) as client:
        assert client.get("/readyz").status_code == 503


PROBE = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from fraud.api.node import build_node_api
from fraud.cli_node import add_node_commands
from fraud.metrics import Metrics
from fraud.settings import read_settings
from fraud.wiring_node import build_node
import contextlib
@contextlib.asynccontextmanager
async def nothing(app):
    yield
settings = read_settings({"FRAUD_ARTIFACTS_DIR": sys.argv[1], "FRAUD_REGISTRY_DIR": sys.argv[2] + "/registry",
                          "FRAUD_FEEDBACK_DIR": sys.argv[2] + "/feedback"})
node = build_node(settings, "probe", metrics := Metrics())
with TestClient(build_node_api(node, nothing, lambda: True, metrics)) as client:
    example = client.get("/v1/examples").json()[0]["transaction"]
    body = {"transaction": example, "history": [], "explain": True}
    assert client.post("/v1/score", json=body).status_code == 200
    assert client.get("/metrics").status_code == 200
heavy = {"gradio", "pandas", "sklearn", "xgboost", "matplotlib", "plotly", "datasets", "huggingface_hub",
         "joblib"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_node_scores_without_the_page_and_without_the_training_libraries(
    small_bundle: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, small_bundle, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
