"""What docs/webhooks.md shows is what is sent, and its snippets take it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from standardwebhooks import WebhookVerificationError

from fraud.errors import WebhookRefused
from fraud.webhooks.endpoints import parse_endpoints
from fraud.webhooks.messages import EVENT_TYPES, PING, event_schema, model_change, read_body, write_body
from fraud.webhooks.schedule import DELAYS_S
from fraud.webhooks.signing import sign
from tests.unit.webhooks.conftest import DATA, SECRET

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


def test_the_snippets_take_what_we_send_and_refuse_what_we_do_not(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for code in blocks("python"):
        exec(code, scope)  # noqa: S102 (our own document)
    now = datetime.now(UTC)
    body = write_body("model.promoted", now, {**DATA, "sequence": 3})
    headers = sign("msg_1", now, body, (SECRET,))
    assert scope["receive"](headers, body.encode())["data"]["sequence"] == 3
    assert scope["receive_here"](headers, body.encode(), (SECRET,)).version == DATA["version"]
    assert scope["receive_here"](headers, body.encode(), (SECRET,)) is None, "a replay is ignored"
    with pytest.raises(WebhookVerificationError):
        scope["receive"](headers, body.encode() + b" ")
    with pytest.raises(WebhookRefused):
        scope["receive_here"](headers, body.encode() + b" ", (SECRET,))


def test_the_example_is_a_message_and_what_the_schema_says() -> None:
    (example,) = (json.loads(block) for block in blocks("json"))
    message = read_body("msg_1", datetime.now(UTC), json.dumps(example).encode())
    assert model_change(message).version == "1.3.0"
    schema = Draft202012Validator(event_schema())
    assert schema.is_valid(example)
    for kind in (*EVENT_TYPES, PING):
        data = example["data"] if kind.startswith("model.") else {}
        assert schema.is_valid(json.loads(write_body(kind, datetime.now(UTC), data)))
    for field in example["data"]:
        assert not schema.is_valid(example | {"data": example["data"] | {field: [1]}})
        assert not schema.is_valid(
            example | {"data": {n: v for n, v in example["data"].items() if n != field}}
        )
    assert not schema.is_valid(example | {"type": "model.invented"})


def test_the_shown_file_is_one(tmp_path) -> None:
    path = tmp_path / "webhooks.toml"
    path.write_text(blocks("toml")[0].replace("whsec_...", SECRET))
    (shown,) = parse_endpoints(str(path), ())
    assert shown.name == "node-a" and shown.events == ("model.promoted", "model.rolled_back")


def test_the_schedule_is_the_one_that_is_followed() -> None:
    said = "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h"
    units = {"s": 1, "min": 60, "h": 3600}
    assert said in " ".join(TEXT.split())
    assert tuple(int(n) * units[u] for n, u in re.findall(r"(\d+) (s|min|h)", said)) == DELAYS_S[1:]
