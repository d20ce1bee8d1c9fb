"""What a message says: its type, when it happened, its place in its topic, and a thin payload."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fraud.errors import WebhookRefused

EVENT_TYPES = ("model.promoted", "model.rolled_back", "alert.firing", "alert.resolved", "gate.refused")
"""What an endpoint may ask for."""

PING = "webhook.ping"
"""Sent by `webhooks test`, to any endpoint; it says nothing."""

LARGEST_BODY = 20_480
"""Bytes of a body; Standard Webhooks recommends payloads below 20 kB."""

_TYPE = re.compile(r"[A-Za-z0-9_]{1,32}(\.[A-Za-z0-9_]{1,32}){0,3}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
_REVISION = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_LARGEST_SEQUENCE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Message:
    """A verified message. `sent_at` is the time of the attempt, `occurred_at` that of the event.

    Of two messages of one topic the one with the larger sequence is the newer, whichever came first.
    """

    message_id: str
    sent_at: datetime
    type: str
    occurred_at: datetime
    data: Mapping[str, Any]

    @property
    def topic(self) -> str:
        """The part of the type before its first full stop: what its sequence counts."""
        return topic_of(self.type)

    @property
    def sequence(self) -> int | None:
        """The message's place in its topic; None if the sender does not count."""
        value = self.data.get("sequence")
        return value if is_sequence(value) else None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """Which version is to serve: the payload of `model.promoted` and `model.rolled_back`."""

    version: str
    revision: str | None
    manifest_digest: str
    sequence: int

    def as_data(self) -> dict[str, object]:
        """Return the payload without its sequence, which the outbox assigns."""
        return {
            "version": self.version,
            "revision": self.revision,
            "manifest_digest": self.manifest_digest,
        }


def model_data(version: str, revision: str | None, manifest_digest: str) -> dict[str, object]:
    """Return the payload of a model event, checked; the outbox adds the sequence."""
    return _model_change(version, revision, manifest_digest, 0).as_data()


def model_change(message: Message) -> ModelChange:
    """Return what a model event says.

    Raises
    ------
    WebhookRefused
        The message is no model event, or a field is missing or not what it must be.
    """
    if message.topic != "model":
        raise _bad_body("type", "must be a model event")
    get = message.data.get
    return _model_change(get("version"), get("revision"), get("manifest_digest"), get("sequence"))


def _model_change(version: Any, revision: Any, digest: Any, sequence: Any) -> ModelChange:
    if not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise _bad_body("version", "must be a version such as 1.2.3")
    if revision is not None and not (isinstance(revision, str) and _REVISION.fullmatch(revision)):
        raise _bad_body("revision", "must be a commit of 40 hex digits, or null")
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise _bad_body("manifest_digest", "must be 64 hex digits")
    if not is_sequence(sequence):
        raise _bad_body("sequence", "must be a whole number of at most 2^53 - 1")
    return ModelChange(version, revision, digest, sequence)


def is_sequence(value: object) -> bool:
    """Return whether a value can be a sequence number in any JSON reader."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_SEQUENCE


def topic_of(event_type: str) -> str:
    """Return the topic of a type: `model` for `model.promoted`."""
    return event_type.partition(".")[0]


def write_body(event_type: str, occurred_at: datetime, data: Mapping[str, object]) -> str:
    """Return the body that is signed and sent, equal for every attempt.

    Raises
    ------
    WebhookRefused
        It would be larger than a receiver takes, or holds what JSON does not, such as NaN.
    """
    stamp = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {"type": event_type, "timestamp": stamp, "data": dict(data)}
    try:
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise _bad_body("data", f"is no JSON ({error})") from error
    if len(body) > LARGEST_BODY:
        raise _bad_body("data", f"makes a body larger than {LARGEST_BODY:,} bytes")
    return body


def read_body(message_id: str, sent_at: datetime, body: bytes) -> Message:
    """Return the message in a body whose signature was verified.

    Raises
    ------
    WebhookRefused
        Naming the field that is missing or not what it must be.
    """
    document = read_object(body)
    event_type, stamp, data = document.get("type"), document.get("timestamp"), document.get("data")
    if not (isinstance(event_type, str) and _TYPE.fullmatch(event_type)):
        raise _bad_body("type", "must be words joined by full stops")
    if not (isinstance(stamp, str) and _MOMENT.fullmatch(stamp)):
        raise _bad_body("timestamp", "must be an ISO 8601 time with a zone")
    if not isinstance(data, dict):
        raise _bad_body("data", "must be an object")
    try:
        occurred_at = datetime.fromisoformat(stamp).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _bad_body("timestamp", "must be a time that exists") from error
    return Message(message_id, sent_at, event_type, occurred_at, data)


def event_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a body that is sent."""
    fields: dict[str, dict[str, object]] = {
        "version": {"type": "string", "pattern": f"^{_VERSION.pattern}$"},
        "revision": {"type": ["string", "null"], "pattern": f"^{_REVISION.pattern}$"},
        "manifest_digest": {"type": "string", "pattern": f"^{_DIGEST.pattern}$"},
        "sequence": {"type": "integer", "minimum": 0, "maximum": _LARGEST_SEQUENCE},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What is told by webhook",
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"enum": [*EVENT_TYPES, PING]},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "properties": fields},
        },
        "if": {"properties": {"type": {"pattern": "^model\\."}}},
        "then": {"properties": {"data": {"required": list(fields)}}},
    }


def read_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object: UTF-8, finite numbers, no name twice."""
    try:
        document = json.loads(body.decode(), parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _bad_body("body", "must be a JSON object") from error
    if not isinstance(document, dict):
        raise _bad_body("body", "must be a JSON object")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _bad_body(field: str, rule: str) -> WebhookRefused:
    return WebhookRefused(f"The webhook's {field} {rule}.", code="webhook_body", field=field)
