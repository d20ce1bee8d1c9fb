"""A promotion reaches the endpoints at once, from the command line and from the page, over real HTTP."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.settings import read_settings
from fraud.webhooks.messages import model_change
from fraud.webhooks.signing import verify
from fraud.wiring import build_service, model_registry
from tests.unit.webhooks.conftest import SECRET, Receiver, answer


@pytest.fixture
def receiver(
    receive: Callable[..., Receiver], tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> Receiver:
    receiver = receive(answer(200))
    for name, value in {
        "FRAUD_ARTIFACTS_DIR": small_bundle,
        "FRAUD_REGISTRY_DIR": tmp_path / "registry",
        "FRAUD_FEEDBACK_DIR": tmp_path / "feedback",
        "FRAUD_WEBHOOKS": receiver.url(),
        "FRAUD_WEBHOOK_SECRETS": SECRET,
        "FRAUD_WEBHOOK_ALLOW_PRIVATE": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    return receiver


def test_the_command_line_returns_once_the_nodes_were_asked(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "1.0.0"]) == 0
    assert "told: " in capsys.readouterr().out
    (request,) = receiver.requests
    change = model_change(verify(request.headers, request.body, (SECRET,), datetime.now(UTC)))
    registry = model_registry(read_settings())
    assert (change.version, change.revision) == ("1.0.0", registry.identity("1.0.0")[0])
    assert change.manifest_digest == registry.identity("1.0.0")[1]


def test_a_click_tells_the_nodes_without_waiting_for_them(receiver: Receiver) -> None:
    service = build_service(read_settings())
    assert service.promote("1.0.0", "maria").told
    deadline = time.monotonic() + 20
    while not receiver.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    service.close()
    assert json.loads(receiver.requests[0].body)["type"] == "model.promoted"


def test_a_node_that_does_not_answer_takes_nothing_from_a_promotion(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.scripts[:] = [answer(500)]
    assert main(["promote", "1.0.0"]) == 0
    assert model_registry(read_settings()).aliases().champion == "1.0.0"
    capsys.readouterr()
    assert main(["webhooks", "list", "--failed"]) == 0
    assert "model.promoted" in capsys.readouterr().out
