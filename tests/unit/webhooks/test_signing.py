import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from fraud.errors import SettingsError, WebhookRefused
from fraud.webhooks.messages import LARGEST_BODY, model_change, read_body, write_body
from fraud.webhooks.signing import check_secrets, sign, verify
from tests.unit.webhooks.conftest import DATA, NOW, PREVIOUS, SECRET

BODY = write_body("model.promoted", NOW, {**DATA, "sequence": 7})


def signed(body: str = BODY, at: datetime = NOW, *secrets: str) -> dict[str, str]:
    return sign("msg_1", at, body, secrets or (SECRET,))


def refusal(headers: object, body: bytes = BODY.encode(), now: datetime = NOW) -> str:
    with pytest.raises(WebhookRefused) as caught:
        verify(headers, body, (SECRET,), now)
    return caught.value.code


def test_what_is_signed_is_verified_and_says_what_was_meant() -> None:
    message = verify(signed(), BODY.encode(), (SECRET,), NOW)
    assert (message.message_id, message.type, message.topic) == ("msg_1", "model.promoted", "model")
    assert (message.sent_at, message.occurred_at, message.sequence) == (NOW, NOW, 7)
    change = model_change(message)
    assert (change.as_data(), change.sequence) == (DATA, 7)


def test_the_example_of_the_specification_has_its_signature() -> None:
    # Independent of the library: HMAC-SHA256 over id.timestamp.body, as the specification words it.
    import hashlib
    import hmac

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    content = f"msg_1.{int(NOW.timestamp())}.{BODY}".encode()
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert signed()["webhook-signature"] == f"v1,{expected}"


def test_the_library_takes_what_we_sign() -> None:
    now = datetime.now(UTC)
    assert Webhook(SECRET).verify(BODY, signed(BODY, now))["type"] == "model.promoted"
    assert Webhook(PREVIOUS).verify(BODY, signed(BODY, now, SECRET, PREVIOUS))


def test_we_take_what_the_library_signs() -> None:
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(NOW.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("msg_1", NOW, BODY),
    }
    assert verify(headers, BODY.encode(), (SECRET,), NOW).sequence == 7


def test_a_time_of_another_zone_is_signed_as_the_moment_that_it_is() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-3)))
    assert signed(BODY, there) == signed(BODY, NOW)


def test_a_key_is_replaced_without_a_gap() -> None:
    both = signed(BODY, NOW, SECRET, PREVIOUS)
    for known in (SECRET,), (PREVIOUS,), (SECRET, PREVIOUS):
        assert verify(both, BODY.encode(), known, NOW)
    assert verify(signed(BODY, NOW, PREVIOUS), BODY.encode(), (SECRET, PREVIOUS), NOW)
    assert refusal(signed(BODY, NOW, PREVIOUS)) == "webhook_signature"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_either_way_are_tolerated_and_no_more(seconds: int) -> None:
    assert verify(signed(), BODY.encode(), (SECRET,), NOW + timedelta(seconds=seconds))
    late = NOW + timedelta(seconds=seconds + (1 if seconds > 0 else -1))
    assert refusal(signed(), now=late) == "webhook_stale"


def test_a_changed_body_id_or_time_has_another_signature() -> None:
    assert refusal(signed(), BODY.replace("1.2.0", "6.6.6").encode()) == "webhook_signature"
    assert refusal({**signed(), "webhook-id": "msg_2"}) == "webhook_signature"
    later = str(int(NOW.timestamp()) + 1)
    assert refusal({**signed(), "webhook-timestamp": later}) == "webhook_signature"


def test_who_cannot_sign_is_not_told_of_our_clock() -> None:
    headers = {**signed(), "webhook-signature": "v1," + "A" * 43 + "="}
    assert refusal(headers, now=NOW + timedelta(days=1)) == "webhook_signature"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "a.b"),
        ("webhook-id", ""),
        ("webhook-id", "x" * 129),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "-5"),
        ("webhook-timestamp", "1763812800.5"),
        ("webhook-timestamp", "٣"),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,a,b"),
        ("webhook-signature", "v1,é"),
        ("webhook-signature", " ".join(["v1,AAAA"] * 17)),
        ("webhook-signature", "v1," + "A" * 3_000),
    ],
)
def test_a_malformed_header_is_refused(name: str, value: str) -> None:
    assert refusal({**signed(), name: value}) == "webhook_headers"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_is_there_exactly_once(name: str) -> None:
    headers = signed()
    assert refusal([*headers.items(), (name.title(), headers[name])]) == "webhook_headers"
    del headers[name]
    assert refusal(headers) == "webhook_headers"


def test_signatures_of_other_kinds_are_passed_over() -> None:
    headers = signed()
    headers["webhook-signature"] = "v1a,AAAA v2,BBBB " + headers["webhook-signature"]
    assert verify(headers, BODY.encode(), (SECRET,), NOW)
    headers["webhook-signature"] = headers["webhook-signature"].replace(" v1,", " v2,")
    assert refusal(headers) == "webhook_signature"


def test_without_a_secret_nothing_is_verified() -> None:
    with pytest.raises(WebhookRefused):
        verify(signed(), BODY.encode(), (), NOW)


def test_a_body_has_a_size() -> None:
    body = b"x" * (LARGEST_BODY + 1)
    assert refusal(signed(), body) == "webhook_size"


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        '{"type":"a.b","timestamp":"2026-11-22T12:00:00Z"}',
        '{"type":"a.b","type":"c.d","timestamp":"2026-11-22T12:00:00Z","data":{}}',
        '{"type":"a b","timestamp":"2026-11-22T12:00:00Z","data":{}}',
        '{"type":"a.b","timestamp":"2026-11-22T12:00:00","data":{}}',
        '{"type":"a.b","timestamp":"2026-13-22T12:00:00Z","data":{}}',
        '{"type":"a.b","timestamp":"0001-01-01T00:00:00+14:00","data":{}}',
        '{"type":"a.b","timestamp":"2026-11-22T12:00:00Z","data":{"x":NaN}}',
        '{"type":"a.b","timestamp":"2026-11-22T12:00:00Z","data":' + "[" * 15_000 + "}",
    ],
)
def test_a_signed_body_that_is_no_message_is_refused(body: str) -> None:
    assert refusal(signed(body), body.encode()) == "webhook_body"


@pytest.mark.parametrize(
    "change",
    [{"version": "../x"}, {"revision": "main"}, {"manifest_digest": "b" * 63}, {"sequence": True},
     {"sequence": 2**53}, {"sequence": -1}, {"version": None}],
)  # fmt: skip
def test_a_model_event_with_a_field_that_cannot_be_one_is_refused(change: dict[str, object]) -> None:
    body = write_body("model.promoted", NOW, {**DATA, "sequence": 1, **change})
    with pytest.raises(WebhookRefused):
        model_change(read_body("msg_1", NOW, body.encode()))


@pytest.mark.parametrize("value", [float("nan"), NOW, b"x"])
def test_a_body_that_is_no_json_is_not_made(value: object) -> None:
    with pytest.raises(WebhookRefused, match="no JSON"):
        write_body("alert.firing", NOW, {"value": value})


def test_a_body_that_no_receiver_takes_is_not_made() -> None:
    with pytest.raises(WebhookRefused, match="larger than"):
        write_body("gate.refused", NOW, {"why": "x" * LARGEST_BODY})


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "Webhook-Timestamp", "webhook-signature", "host"]),
        st.text(max_size=60),
    ),
    st.binary(max_size=80),
)
def test_any_headers_and_any_body_are_refused_and_nothing_else(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify(headers, body, (SECRET,), NOW)


@given(st.data())
def test_one_changed_character_of_a_header_is_refused_or_means_the_same(data: st.DataObject) -> None:
    headers = signed()
    name = data.draw(st.sampled_from(sorted(headers)))
    value = headers[name]
    place = data.draw(st.integers(0, len(value) - 1))
    changed = value[:place] + data.draw(st.characters(codec="utf-8")) + value[place + 1 :]
    if changed == value:
        return
    with pytest.raises(WebhookRefused):
        verify({**headers, name: changed}, BODY.encode(), (SECRET,), NOW)


@pytest.mark.parametrize(
    "bad", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!", SECRET[6:], "whsec_" + "A" * 200, "é"]
)
def test_a_secret_that_is_none_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_secrets((SECRET, bad), "FRAUD_WEBHOOK_SECRETS")
    assert "Secret 2" in str(caught.value) and SECRET not in str(caught.value)
    assert len(bad) < 10 or bad not in str(caught.value)
