"""Signatures of Standard Webhooks, version 1.0.0: HMAC-SHA256 over `id.timestamp.body`.

The `standardwebhooks` library signs. It does not verify here: its `verify` reads the clock itself, takes
times such as `1e9`, and lets other errors out on malformed headers (docs/decisions/0019-webhooks.md).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from fraud.errors import SettingsError, WebhookRefused
from fraud.webhooks.messages import LARGEST_BODY, Message, read_body

TOLERANCE = timedelta(minutes=5)
"""How far the time of an attempt may be from the receiver's clock, either way."""

_PREFIX = "whsec_"
_SHORTEST_KEY, _LONGEST_KEY = 24, 64
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_LONGEST_HEADER = 2_048
_MOST_SIGNATURES = 16
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}")
_SIGNATURE = re.compile(r"[a-z0-9]{1,8},[A-Za-z0-9+/]+={0,2}")

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def check_secrets(secrets: Sequence[str], field: str) -> tuple[str, ...]:
    """Return the secrets, current first, if each is one; the message never holds any of it.

    Raises
    ------
    SettingsError
        There is none, or one is not `whsec_` and base64 of 24 to 64 bytes.
    """
    if not secrets:
        raise SettingsError(f"{field} must hold at least one secret.", code="settings", field=field)
    for position, secret in enumerate(secrets, 1):
        try:
            size = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if not secret.startswith(_PREFIX) or not _SHORTEST_KEY <= size <= _LONGEST_KEY:
            raise SettingsError(
                f"Secret {position} of {field} must be {_PREFIX} and {_SHORTEST_KEY} to {_LONGEST_KEY} random"
                " bytes in base64.",
                code="settings",
                field=field,
            ) from None
    return tuple(secrets)


def sign(message_id: str, sent_at: datetime, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers of one attempt; one signature per secret, so that a key can be replaced."""
    sent_at = _whole_second(sent_at)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, sent_at, body) for key in secrets),
    }


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Message:
    """Return the message if one of its signatures is by one of the secrets and its time is near `now`.

    Whether it came before is for `ReceivedStore.accept` to say. Pass the body as it was received: one that
    was parsed and written again has another signature.

    Parameters
    ----------
    headers
        Names in any case; a mapping or pairs. Others than the three of Standard Webhooks are ignored.
    secrets
        Current and previous, as in `check_secrets`.

    Raises
    ------
    WebhookRefused
        `code` says why: `webhook_headers`, `webhook_size`, `webhook_stale`, `webhook_signature` or
        `webhook_body`.
    """
    if len(body) > LARGEST_BODY:
        raise WebhookRefused(
            f"The webhook's body must have at most {LARGEST_BODY:,} bytes.", code="webhook_size"
        )
    message_id, sent_at, signatures = _read_headers(headers)
    text = _signed_text(body)
    matches = False
    for secret in secrets:
        expected = Webhook(secret).sign(message_id, sent_at, text).encode()
        for signature in signatures:
            matches |= hmac.compare_digest(expected, signature.encode())
    if not matches:
        raise WebhookRefused("No signature of the webhook matches its secret.", code="webhook_signature")
    # After the signature: who cannot sign learns nothing of this clock.
    if abs(now - sent_at) > TOLERANCE:
        raise WebhookRefused(
            "The webhook was sent more than 5 minutes from now; check both clocks.", code="webhook_stale"
        )
    return read_body(message_id, sent_at, body)


def _read_headers(headers: Headers) -> tuple[str, datetime, list[str]]:
    found: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        known = name.lower()
        if known not in _HEADERS:
            continue
        if known in found or len(value) > _LONGEST_HEADER:
            raise _bad_header(known, "must be there once, and short")
        found[known] = value
    for name in _HEADERS:
        if name not in found:
            raise _bad_header(name, "is missing")
    if not _ID.fullmatch(found["webhook-id"]):
        raise _bad_header("webhook-id", "must be at most 128 letters, digits, _ and -")
    if not _TIMESTAMP.fullmatch(found["webhook-timestamp"]):
        raise _bad_header("webhook-timestamp", "must be whole seconds since 1970")
    signatures = found["webhook-signature"].split(" ")
    if len(signatures) > _MOST_SIGNATURES or not all(map(_SIGNATURE.fullmatch, signatures)):
        raise _bad_header("webhook-signature", "must be signatures such as v1,<base64>, with a space between")
    return (
        found["webhook-id"],
        datetime.fromtimestamp(int(found["webhook-timestamp"]), UTC),
        [signature for signature in signatures if signature.startswith("v1,")],
    )


def _signed_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise WebhookRefused("The webhook's body must be UTF-8.", code="webhook_body") from error


def _bad_header(name: str, rule: str) -> WebhookRefused:
    return WebhookRefused(f"The header {name} {rule}.", code="webhook_headers", field=name)


def _whole_second(moment: datetime) -> datetime:
    # The library takes any time for UTC.
    return moment.astimezone(UTC).replace(microsecond=0)
