"""Rows back to events, trusting nothing: a dataset can be edited by hand and pushed by others."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NoReturn, TypeVar

from fraud.errors import FlagError
from fraud.feedback.canonical import canonical_json, content_digest
from fraud.feedback.events import (
    ADDED,
    COLUMNS,
    MAX_INPUT_LENGTH,
    SCHEMA_VERSION,
    Event,
    FlagEvent,
    PredictionEvent,
    ReviewEvent,
    Row,
    WithdrawalEvent,
    clean_comment,
)
from fraud.records import (
    MODELS,
    Decision,
    Finding,
    Flag,
    Label,
    ModelVersion,
    Prediction,
    Review,
    Score,
    Thresholds,
    Verdict,
    Withdrawal,
)

LAST_MS: Final = 4_102_444_800_000
"""The year 2100: a later time is seconds or microseconds taken for milliseconds."""
MAX_INTEGER: Final = 2**53
"""A larger integer has no exact double, and Arrow refuses the whole table for it."""
_MAX_TEXT_LENGTH = 300
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = (
    "transaction_json",
    "history_json",
    "latency_ms",
    "audit_asked",
    "audit_probability",
    *("model_version", "model_revision", "manifest_digest"),
    *(column for column in COLUMNS if column.startswith(MODELS)),
)
_OF_A_SUBMISSION = ("prediction_id", "profile", "content_digest", "verdict", "label", "consent_version")
NULL_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "prediction": (
        *("about_event_id", "verdict", "label", "finding", "comment", "reporter", "answers_audit"),
    ),
    "flag": ("about_event_id", "finding", *_SHOWN),
    "review": (*_OF_A_SUBMISSION, *_SHOWN, "answers_audit"),
    # Whatever else it held could be what was to be forgotten.
    "withdrawal": (*_OF_A_SUBMISSION, *_SHOWN, "finding", "comment", "reporter", "answers_audit"),
}
"""The columns that are null in every row of a kind."""
_Choice = TypeVar("_Choice", bound=StrEnum)


def parse_line(line: bytes) -> Row:
    """Return the row of one JSONL line.

    Raises
    ------
    FlagError
        The line is no JSON object, is torn, or holds NaN, an infinity or a name twice.
    """
    try:
        value = _JSON.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise FlagError(f"line: not JSON ({error}).", code="not_json", field="line") from None
    if not isinstance(value, dict):
        _refuse("line", "a JSON object is needed")
    return value


def parse_row(row: Mapping[str, object]) -> Event:
    """Return the event of one row.

    A column that this version knows and the row lacks is null: the row is from an older schema.

    Raises
    ------
    FlagError
        Names the field and the rule that it breaks; `field` is set.
    """
    version = row.get("schema_version")
    if type(version) is int and version > SCHEMA_VERSION:  # its columns may be others too
        _refuse("schema_version", f"{version} is of a newer version of this program; update it")
    if not row.keys() <= COLUMNS.keys():
        unknown = sorted(str(column) for column in row if column not in COLUMNS)
        _refuse(unknown[0][:_MAX_TEXT_LENGTH], f"no column of schema version {SCHEMA_VERSION}")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        _refuse("schema_version", f"must be 1 to {SCHEMA_VERSION}")
    for column, since in ADDED.items():
        if version < since and row.get(column) is not None:
            _refuse(column, f"must be null in a row of schema version {version}")
    event = row.get("event")
    if event == "prediction":
        return _prediction_event(row)
    if event == "flag":
        return _flag_event(row)
    if event == "review" and version > 1:
        return _review_event(row)
    if event == "withdrawal" and version > 1:
        return _withdrawal_event(row)
    _refuse("event", f"is none that schema version {version} has")


def is_text(value: str) -> bool:
    """Return whether a value may stand in a column of short texts."""
    return 0 < len(value) <= _MAX_TEXT_LENGTH and value.isprintable()


def is_digest(value: str) -> bool:
    """Return whether a text has the form of a content digest."""
    return _DIGEST.fullmatch(value) is not None


def _prediction_event(row: Mapping[str, object]) -> PredictionEvent:
    _require_null(row, *NULL_IN["prediction"])
    transaction, history = _inputs(row)
    event_id = _text(row, "event_id")
    if event_id != _text(row, "prediction_id"):
        _refuse("event_id", "must equal prediction_id in a prediction row")
    asked, audit = _audit(row)
    prediction = Prediction(
        prediction_id=event_id,
        predicted_at=_moment(row),
        profile=_text(row, "profile"),
        transaction=transaction,
        history=history,
        scores={model: _score(row, model) for model in MODELS},
        model_version=ModelVersion(
            _text(row, "model_version"),
            None if row.get("model_revision") is None else _text(row, "model_revision"),
            _text(row, "manifest_digest"),
        ),
        latency_ms=_number(row, "latency_ms", math.inf),
    )
    digest, consent = _digest(row), _text(row, "consent_version")
    return PredictionEvent(event_id, _text(row, "node"), digest, consent, prediction, audit, asked)


def _flag_event(row: Mapping[str, object]) -> FlagEvent:
    _require_null(row, *NULL_IN["flag"])
    flag = Flag(
        flag_id=_text(row, "event_id"),
        flagged_at=_moment(row),
        prediction_id=_text(row, "prediction_id"),
        verdict=_choice(row, "verdict", Verdict),
        label=_choice(row, "label", Label),
        comment=_comment(row),
        consent_version=_text(row, "consent_version"),
        reporter=_text(row, "reporter"),
        answers_audit=_yes_or_no(row, "answers_audit"),
    )
    return FlagEvent(flag.flag_id, _text(row, "node"), _text(row, "profile"), _digest(row), flag)


def _review_event(row: Mapping[str, object]) -> ReviewEvent:
    _require_null(row, *NULL_IN["review"])
    review = Review(
        review_id=_text(row, "event_id"),
        reviewed_at=_moment(row),
        flag_id=_text(row, "about_event_id"),
        finding=_choice(row, "finding", Finding),
        note=_comment(row),
        reviewer=_text(row, "reporter"),
    )
    return ReviewEvent(review.review_id, _text(row, "node"), review)


def _withdrawal_event(row: Mapping[str, object]) -> WithdrawalEvent:
    _require_null(row, *NULL_IN["withdrawal"])
    withdrawal = Withdrawal(_text(row, "event_id"), _moment(row), _text(row, "about_event_id"))
    return WithdrawalEvent(withdrawal.withdrawal_id, _text(row, "node"), withdrawal)


def _audit(row: Mapping[str, object]) -> tuple[bool | None, float | None]:
    asked = _yes_or_no(row, "audit_asked")
    probability = None if row.get("audit_probability") is None else _number(row, "audit_probability", 1.0)
    if probability == 0.0:
        _refuse("audit_probability", "must be above 0")
    if asked is not None and probability is None:
        _refuse("audit_probability", "is needed where audit_asked is given")
    return asked, probability


def _yes_or_no(row: Mapping[str, object], field: str) -> bool | None:
    value = row.get(field)
    if value is not None and not isinstance(value, bool):
        _refuse(field, "must be true, false or null")
    return value


def _comment(row: Mapping[str, object]) -> str:
    comment = row.get("comment")
    if not isinstance(comment, str):
        _refuse("comment", "must be text")
    if clean_comment(comment) != comment:
        _refuse("comment", "line ends must be \\n")
    return comment


def _inputs(row: Mapping[str, object]) -> tuple[dict[str, object], tuple[dict[str, object], ...] | None]:
    transaction = _json(row, "transaction_json")
    if not isinstance(transaction, dict):
        _refuse("transaction_json", "must be a JSON object")
    history = None if row.get("history_json") is None else _json(row, "history_json")
    if history is not None and not (
        isinstance(history, list) and all(isinstance(item, dict) for item in history)
    ):
        _refuse("history_json", "must be a JSON array of objects")
    expected = content_digest(
        _text(row, "profile"), str(row["transaction_json"]), _optional(row, "history_json")
    )
    if _digest(row) != expected:
        _refuse("content_digest", "is not the digest of profile, transaction_json and history_json")
    return transaction, None if history is None else tuple(history)


def _score(row: Mapping[str, object], model: str) -> Score:
    review, decline = (_number(row, f"{model}_{name}_threshold", math.inf) for name in ("review", "decline"))
    probability = _number(row, f"{model}_probability", 1.0)
    decision = _choice(row, f"{model}_decision", Decision)
    return Score(model, probability, Thresholds(review, decline), decision)


def _json(row: Mapping[str, object], field: str) -> object:
    text = row.get(field)
    if not isinstance(text, str):
        _refuse(field, "must be a JSON text")
    if len(text) > MAX_INPUT_LENGTH:
        _refuse(field, f"at most {MAX_INPUT_LENGTH:,} characters")
    try:
        value: object = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        _refuse(field, f"not JSON ({error})")
    # Anything else would let equal content have two digests, or hide half a surrogate pair or 1e999.
    if canonical_json(value, field) != text:
        _refuse(field, "must be sorted, compact JSON as this version writes it")
    return value


def _text(row: Mapping[str, object], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not is_text(value):
        _refuse(field, f"must be 1 to {_MAX_TEXT_LENGTH} printable characters")
    return value


def _optional(row: Mapping[str, object], field: str) -> str | None:
    value = row.get(field)
    return None if value is None else str(value)


def _digest(row: Mapping[str, object]) -> str:
    digest = _text(row, "content_digest")
    if not is_digest(digest):
        _refuse("content_digest", "must be 64 hexadecimal digits")
    return digest


def _number(row: Mapping[str, object], field: str, most: float) -> float:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        _refuse(field, "must be a number from 0" + ("" if math.isinf(most) else f" to {most:g}"))
    if isinstance(value, int) and value > MAX_INTEGER:
        _refuse(field, "must be at most 2**53 if it is an integer")
    if math.isinf(value):
        _refuse(field, "must be finite")
    return float(value)


def _moment(row: Mapping[str, object]) -> datetime:
    value = row.get("recorded_ms")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < LAST_MS:
        _refuse("recorded_ms", "must be epoch milliseconds before the year 2100")
    return datetime.fromtimestamp(value // 1_000, UTC).replace(microsecond=value % 1_000 * 1_000)


def _choice(row: Mapping[str, object], field: str, choices: type[_Choice]) -> _Choice:
    value = row.get(field)
    for choice in choices:
        if value == choice.value:
            return choice
    _refuse(field, f"must be one of {', '.join(choices)}")


def _require_null(row: Mapping[str, object], *fields: str) -> None:
    for field in fields:
        if row.get(field) is not None:
            _refuse(field, f"must be null in a {row['event']} row")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name is given twice")
    return row


def _refuse(field: str, rule: str) -> NoReturn:
    raise FlagError(f"{field}: {rule}.", code="bad_row", field=field)


_JSON = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_repeats)
