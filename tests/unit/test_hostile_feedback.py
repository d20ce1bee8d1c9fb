"""Feedback from people who mean harm: refused with a field, or kept as the plain text that it is."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fraud.api import MAX_BODY_BYTES, build_api
from fraud.errors import NotFound
from fraud.feedback.dataset import pull, read_events
from fraud.repositories.local import LocalRepository
from tests.unit.test_api import no_background

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} %n%s",
    "'; DROP TABLE submissions; --",
    "\u202egnp.exe\u2066",
    "\ufeff\u200b\u2028\u2029",
    "Z\u0351\u036b\u0343\u036a" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    '","label":"legitimate","comment":"',
    '\n{"event":"flag"}',
]


@pytest.fixture
def client(service):
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        yield client


@pytest.fixture
def send(client):
    transaction = client.get("/v1/examples").json()[0]["transaction"]

    def send(**changes):
        scored = client.post("/v1/score", json={"transaction": transaction}).json()
        body = {
            "prediction_id": scored["prediction_id"], "verdict": "wrong", "label": "fraud", "consent": True,
        }  # fmt: skip
        return client.post("/v1/flags", json=body | changes)

    return send


@pytest.mark.parametrize("comment", HOSTILE)
def test_a_hostile_comment_is_kept_as_text_and_echoed_nowhere(
    send, service, tmp_path: Path, comment: str
) -> None:
    import pyarrow.parquet as pq

    answer = send(comment=comment)
    assert answer.status_code == 201 and comment not in answer.text
    service.drain()
    dataset = LocalRepository(tmp_path / "dataset.git")
    events, bad = read_events(dataset, dataset.head())
    assert ([event.flag.comment for event in events if hasattr(event, "flag")], bad) == ([comment], [])
    assert [event.flag.label.value for event in events if hasattr(event, "flag")] == ["fraud"]
    pull(dataset, dataset.head(), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "events.parquet")["comment"].to_pylist() == [None, comment]
    assert not list((tmp_path / "out").glob("*.csv")), "a spreadsheet is never offered comments"


@pytest.mark.parametrize("comment", ["x" * 2001, "a\x00b", "\x1b[2J", "\x9b31m"])
def test_a_comment_that_breaks_a_rule_is_refused_with_its_field(send, service, comment: str) -> None:
    answer = send(comment=comment)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["problems"][0]["field"] == "comment"
    assert service.backlog() == 0


def test_half_a_surrogate_pair_is_refused(client, service) -> None:
    prediction = service.score(dict(service.examples()[0]["transaction"])).prediction_id
    body = {"prediction_id": prediction, "verdict": "wrong", "label": "fraud", "consent": True}
    raw = json.dumps(body | {"comment": "\ud800"})
    answer = client.post("/v1/flags", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and service.backlog() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "<b>"}, {"label": "=1+1"}, {"consent": "no"}, {"consent": False}, {"verdict": None},
        {"prediction_id": "x" * 65}, {"label": ["fraud"]}, {"comment": {"a": 1}},
        {"event": "review"}, {"finding": "accept"},
    ],
)  # fmt: skip
def test_a_malformed_flag_is_refused(send, service, changes: dict) -> None:
    answer = send(**changes)
    assert answer.status_code == 422 and answer.json()["problems"][0]["field"] in changes
    assert service.backlog() == 0


@pytest.mark.parametrize("path", ["/v1/flags", "/v1/withdrawals"])
def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(client, service, path: str) -> None:
    answer = client.post(path, content=b"x" * 10_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert MAX_BODY_BYTES <= 1_000_000 and service.backlog() == 0


@pytest.mark.parametrize("receipt", ["f_" + "0" * 26, "..%2f..%2fetc", "%00", "f_1' OR 1=1 --", "<b>"])
def test_a_forged_receipt_is_not_found(client, send, receipt: str) -> None:
    send()
    answer = client.get(f"/v1/flags/{receipt}")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"


def test_a_guessed_receipt_withdraws_nothing(client, send, service) -> None:
    receipt = send().json()["receipt_id"]
    guessed = receipt[:-1] + ("0" if receipt[-1] != "0" else "1")
    assert client.post("/v1/withdrawals", json={"receipt_id": guessed}).status_code == 404
    for other in (receipt.lower(), receipt + " ", " " + receipt, receipt.replace("f_", "p_")):
        with pytest.raises(NotFound):
            service.withdraw(other)
    assert not service.receipt(receipt).withdrawn
