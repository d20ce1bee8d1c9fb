import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.errors import WebhookRefused
from fraud.webhooks.hub_event import LARGEST_HUB_BODY, RefChange, read_hub_event

NEW, OLD = "5" * 40, "c" * 40
EVENT = {
    "event": {"action": "update", "scope": "repo.content"},
    "repo": {"type": "model", "name": "org/fraud-models", "id": "6366c000a2abcdf2fd69a080", "headSha": OLD},
    "webhook": {"id": "6390e855e30d9209411de93b", "version": 3},
    "updatedRefs": [
        {"ref": "refs/heads/main", "oldSha": OLD, "newSha": NEW},
        {"ref": "refs/tags/old", "oldSha": OLD, "newSha": None},
    ],
}


OURS = "hub secret"


def read(document: object = EVENT, secret: str = OURS, known: tuple[str, ...] = (OURS,)):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_hub_event({"X-Webhook-Secret": secret}, body, known)


def test_the_hub_says_which_refs_moved_and_to_what() -> None:
    change = read()
    assert (change.kind, change.repository, change.action) == ("model", "org/fraud-models", "update")
    assert change.scope == "repo.content"
    assert change.refs == (RefChange("refs/heads/main", NEW), RefChange("refs/tags/old", None))
    assert change.revision() == NEW, "and not headSha"
    assert change.revision("refs/tags/old") is None and change.revision("refs/heads/dev") is None


def test_an_event_without_refs_is_one_too() -> None:
    document = {key: value for key, value in EVENT.items() if key != "updatedRefs"}
    assert read(document).refs == ()


@pytest.mark.parametrize("secret", ["", "hub secre", "hub secret ", "Hub secret", "é"])
def test_another_secret_is_refused(secret: str) -> None:
    with pytest.raises(WebhookRefused) as caught:
        read(secret=secret)
    assert caught.value.code == "webhook_signature"


def test_a_secret_is_replaced_without_a_gap_and_an_empty_one_opens_nothing() -> None:
    assert read(known=("new", "hub secret"))
    for known in ((), ("",)):
        with pytest.raises(WebhookRefused):
            read(secret="", known=known)


def test_two_secrets_in_one_request_are_refused() -> None:
    pairs = [("x-webhook-secret", "wrong"), ("X-Webhook-Secret", "hub secret")]
    with pytest.raises(WebhookRefused):
        read_hub_event(pairs, json.dumps(EVENT).encode(), ("hub secret",))


@pytest.mark.parametrize(
    "change",
    [
        {"repo": None},
        {"repo": {"type": "model", "name": "../etc"}},
        {"repo": {"type": "kernel", "name": "a/b"}},
        {"event": {"action": "update"}},
        {"updatedRefs": {}},
        {"updatedRefs": [{"ref": "refs/heads/main"}]},
        {"updatedRefs": [{"ref": "refs/heads/main", "newSha": "main"}]},
        {"updatedRefs": [{"ref": "main", "newSha": NEW}]},
        {"updatedRefs": [{"ref": "refs/heads/main", "newSha": NEW}] * 1_001},
    ],
)
def test_a_payload_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WebhookRefused) as caught:
        read({**EVENT, **change})
    assert caught.value.code == "webhook_body"


def test_a_body_has_a_size() -> None:
    with pytest.raises(WebhookRefused) as caught:
        read(b" " * (LARGEST_HUB_BODY + 1))
    assert caught.value.code == "webhook_size"


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read(body)
