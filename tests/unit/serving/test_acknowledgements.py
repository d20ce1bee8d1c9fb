"""A node's word reaches the board signed, once, and in order; nobody else's does."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api.problems import add_problem_handlers
from fraud.api.receiving import add_acknowledgements
from fraud.cli import main
from fraud.cluster import plan_cluster
from fraud.errors import SettingsError
from fraud.records import ModelVersion
from fraud.serving.acknowledging import ACKNOWLEDGEMENT, Acknowledger, report_data
from fraud.serving.updating import NodeReport
from fraud.settings import read_settings
from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.board import AcknowledgementBoard
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.endpoints import parse_address, parse_endpoints
from fraud.webhooks.messages import write_body
from fraud.webhooks.received import ReceivedStore
from fraud.webhooks.signing import sign, verify
from tests.unit.conftest import NOW
from tests.unit.webhooks.conftest import PREVIOUS, SECRET, answer, listening

SERVED = ModelVersion("1.0.1", "a" * 40, "b" * 64)
WELL = NodeReport("node-a", SERVED, NOW, 4, "serving")
BACK = NodeReport("node-a", SERVED, NOW, 5, "rolled_back", "1.0.2: 3 of 3 answers failed\n\x1b[2J")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = FastAPI()
    add_problem_handlers(app)
    board, received = AcknowledgementBoard(tmp_path / "b.sqlite3"), ReceivedStore(tmp_path / "r.sqlite3")
    add_acknowledgements(app, board, received, (SECRET,), clock=lambda: NOW)
    with TestClient(app) as client:
        yield client
    board.close()
    received.close()


def post(client: TestClient, report: NodeReport, *, secret: str = SECRET, age_s: int = 0, **changes: object):
    at = NOW - timedelta(seconds=age_s)
    body = write_body(str(changes.pop("event", ACKNOWLEDGEMENT)), at, report_data(report) | changes)
    headers = sign(f"msg_{report.sequence}_{age_s}", at, body, (secret,))
    return client.post("/webhooks/node", headers=headers, content=body)


def test_what_a_node_says_is_on_the_board(client: TestClient) -> None:
    assert client.get("/v1/nodes").json() == []
    assert post(client, WELL, age_s=9).json() == {"reception": "fresh"}
    assert post(client, BACK).json() == {"reception": "fresh"}
    (shown,) = client.get("/v1/nodes").json()
    assert (shown["node"], shown["version"], shown["state"]) == ("node-a", "1.0.1", "rolled_back")
    assert shown["reason"].startswith("1.0.2: 3 of 3 answers failed") and shown["reason"].isprintable()


def test_the_board_shows_what_a_node_refuses(client: TestClient) -> None:
    refusing = NodeReport("node-a", SERVED, NOW, 5, "refused", "1.1.0 changes what clients send")
    assert post(client, refusing).json() == {"reception": "fresh"}
    (shown,) = client.get("/v1/nodes").json()
    assert (shown["version"], shown["state"]) == ("1.0.1", "refused") and "1.1.0" in shown["reason"]


def test_an_older_word_and_the_same_word_twice_change_nothing(client: TestClient) -> None:
    assert post(client, BACK).status_code == 202
    assert post(client, BACK).json() == {"reception": "duplicate"}
    assert post(client, WELL, age_s=9).json() == {"reception": "late"}
    assert client.get("/v1/nodes").json()[0]["state"] == "rolled_back"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"secret": PREVIOUS}, 401),
        ({"age_s": 301}, 401),
        ({"event": "model.promoted"}, 400),
        ({"state": "fine"}, 400),
        ({"node": 7}, 400),
        ({"node": "../node"}, 400),
    ],
)
def test_forged_stale_and_malformed_words_are_refused(
    sent: dict[str, object], status: int, client: TestClient
) -> None:
    assert post(client, WELL, **sent).status_code == status  # type: ignore[arg-type]
    assert client.get("/v1/nodes").json() == []


def test_a_node_sends_what_the_board_takes_and_says_whether_it_arrived() -> None:
    with listening(answer(202), answer(503)) as receiver:
        address = parse_address(receiver.url("/webhooks/node"), "url")
        say = Acknowledger(WebhookClient(parse_policy("1")), address, (SECRET,), clock=lambda: NOW)
        assert say(WELL) is True and say(BACK) is False
    first, second = receiver.requests
    message = verify(first.headers, first.body, (SECRET,), NOW)
    assert message.data["node"] == "node-a" and message.sequence is None
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_a_planned_cluster_has_new_secrets_that_only_its_owner_reads(tmp_path: Path) -> None:
    cluster = plan_cluster(tmp_path, 7860, [7870, 7871], {})
    file = tmp_path / "webhooks.toml"
    assert file.stat().st_mode & 0o077 == 0
    endpoints = parse_endpoints(str(file), ())
    for endpoint, node in zip(endpoints, cluster.nodes, strict=True):
        settings = read_settings(node.environment).nodes
        assert settings.secrets == endpoint.secrets and endpoint.name == node.name
    web, node = read_settings(cluster.web.environment), read_settings(cluster.nodes[0].environment)
    assert web.nodes.acknowledge_secrets == node.nodes.acknowledge_secrets
    assert len({s for e in endpoints for s in e.secrets} | set(web.nodes.acknowledge_secrets)) == 3
    assert web.nodes.urls == ("http://127.0.0.1:7870", "http://127.0.0.1:7871")
    assert all(secret not in repr(node) + repr(web) for secret in node.nodes.secrets)


@pytest.mark.parametrize("value", ["node-a", "ftp://x", "http://user:pw@x", "http://"])
def test_an_address_that_is_none_ends_the_start_in_one_sentence(value: str) -> None:
    with pytest.raises(SettingsError, match="FRAUD_NODES"):
        read_settings({"FRAUD_NODES": value})


def test_the_command_line_shows_who_serves_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAUD_WEBHOOK_DIR", str(tmp_path))
    assert main(["nodes"]) == 0 and "no node has acknowledged" in capsys.readouterr().out
    board = AcknowledgementBoard(tmp_path / "board.sqlite3")
    board.acknowledge("node-a", "1.0.1", "b" * 64, NOW)
    board.acknowledge("node-b", "1.0.0", "c" * 64, NOW, state="rolled_back", reason="1.0.1: 3 of 3 failed")
    board.close()
    assert main(["nodes"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("node-a  1.0.1  bbbbbbbbbbbb  since 2026-11-22T12:00:00Z")
    assert second.endswith("rolled_back: 1.0.1: 3 of 3 failed")
