"""The demo sends what is due, for each endpoint on its own beat."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fraud.errors import SettingsError
from fraud.settings import read_settings
from fraud.wiring import acknowledgement_board, received_webhooks, start_heartbeat, webhook_outbox
from tests.unit.webhooks.conftest import DATA, SECRET, answer


def settings(tmp_path: Path, **changes: str) -> Any:
    return read_settings({"FRAUD_FEEDBACK_DIR": str(tmp_path), "FRAUD_WEBHOOK_SECONDS": "0.05", **changes})


def idle() -> Any:
    return cast(Any, SimpleNamespace(drain=lambda: None, refresh=lambda: None))


def test_the_heartbeat_delivers_to_one_endpoint_while_another_does_not_answer(tmp_path, receive) -> None:
    arrived, release = threading.Event(), threading.Event()

    def take(handler) -> None:
        answer(200)(handler)
        arrived.set()

    silent, alive = receive(lambda handler: release.wait(20)), receive(take)
    chosen = settings(
        tmp_path,
        FRAUD_WEBHOOKS=f"{silent.url()},{alive.url()}",
        FRAUD_WEBHOOK_SECRETS=SECRET,
        FRAUD_WEBHOOK_ALLOW_PRIVATE="1",
    )
    heartbeat = start_heartbeat(idle(), chosen)
    try:
        for _ in range(2):
            arrived.clear()
            webhook_outbox(chosen).enqueue("model.promoted", DATA, datetime.now(UTC))
            assert arrived.wait(20) and heartbeat.alive
        assert len(alive.requests) == 2 and len(silent.requests) == 1
    finally:
        release.set()
        heartbeat.stop()


def test_an_unusable_setting_ends_the_start_in_one_sentence(tmp_path) -> None:
    for name, value in (("FRAUD_WEBHOOKS", "none.toml"), ("FRAUD_WEBHOOK_ALLOW_PRIVATE", "yes")):
        with pytest.raises(SettingsError, match=name):
            start_heartbeat(idle(), settings(tmp_path, **{name: value}))


def test_without_endpoints_nothing_is_made(tmp_path) -> None:
    heartbeat = start_heartbeat(idle(), settings(tmp_path))
    heartbeat.stop()
    assert acknowledgement_board(settings(tmp_path)).board() == ()
    received_webhooks(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []
