"""The rules for one transaction that somebody typed or sent, and a clear sentence for each that is broken."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from fraud.data.profile import DAY_MS, InputField, Profile
from fraud.data.table import MAX_ELAPSED_MS, NEVER_MS, Coded, Transactions
from fraud.errors import TransactionError

CLOCK_TOLERANCE = timedelta(minutes=5)
MAX_TEXT = 64
MAX_HISTORY = 1_000

PROBLEMS: Mapping[str, str] = {
    "missing": "{field} is missing; give a value.",
    "not_a_number": "{field} must be a number, and {value} is not; write digits with a decimal point.",
    "not_an_integer": "{field} must be a whole number, and {value} is not.",
    "below_minimum": "{field} must be at least {limit}, and {value} is below it.",
    "above_maximum": "{field} must be at most {limit}, and {value} is above it.",
    "unknown_level": "{field} must be one of {levels}, and {value} is none of them.",
    "not_a_boolean": "{field} must be true or false, and {value} is neither.",
    "not_a_date": "{field} must be a date such as 1980-01-31, and {value} is not.",
    "not_a_time": "{field} must be a date and time such as 2026-08-30T18:05:00Z, and {value} is not.",
    "in_the_future": "{field} lies in the future ({value}); give a moment that has passed.",
    "too_long": "{field} must be a text of at most {limit} characters.",
    "unknown_field": "{field} is not a field of this profile; leave it out or check its spelling.",
    "not_an_object": "{field} must be an object of field names and values.",
    "too_many": "{field} may hold at most {limit} transactions, and has {value}.",
}
"""Every rule's sentence, by code. Pages translate by the code; `{field}` is the field's label."""


def problem(code: str, column: str, label: str | None = None, **params: object) -> TransactionError:
    """Return one error for one field; `label` is its name for people where that differs from the column."""
    name = f"{label} ({column})" if label and label != column else column
    shown = {k: _shorten(v) for k, v in params.items()}
    text = PROBLEMS[code].format(field=name, **shown)
    return TransactionError(text, code=code, field=column, params=shown)


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else " " for c in text)
    return f'"{text[:40]}{"..." if len(text) > 40 else ""}"' if isinstance(value, str) else text[:40]


def validate_transaction(
    profile: Profile, raw: Mapping[str, Any], now: datetime, *, labelled: bool = False
) -> dict[str, Any]:
    """Return the transaction in canonical form: profile column -> JSON value, every column present.

    Parameters
    ----------
    raw : what came from a form or a request
    now : the present; a transaction more than five minutes after it is refused
    labelled : whether a label (and when it was known) may be given, as for a past transaction

    Raises
    ------
    TransactionError
        For the first field that breaks its rule; its `problems` lists them all.
    """
    errors = all_problems(profile, raw, now, labelled=labelled)
    if errors:
        errors[0].problems = tuple(errors)
        raise errors[0]
    return _canonical(profile, raw, now, labelled)


def all_problems(
    profile: Profile, raw: Any, now: datetime, *, labelled: bool = False
) -> list[TransactionError]:
    """Return an error for every field that breaks a rule, in the profile's order."""
    if not isinstance(raw, Mapping):
        return [problem("not_an_object", "transaction")]
    errors: list[TransactionError] = []
    allowed = set(_columns(profile, labelled))
    errors += [problem("unknown_field", str(key)[:MAX_TEXT]) for key in raw if key not in allowed]
    for column in _columns(profile, labelled):
        try:
            _value(profile, column, raw.get(column), now)
        except TransactionError as error:
            errors.append(error)
    return errors


def validate_history(profile: Profile, raw: object, now: datetime) -> tuple[dict[str, Any], ...]:
    """Return past transactions in canonical form; a label is allowed on each.

    Raises
    ------
    TransactionError
        Naming the row (from 1) and the field.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str | bytes):
        raise problem("not_an_object", "history")
    if len(raw) > MAX_HISTORY:
        raise problem("too_many", "history", limit=MAX_HISTORY, value=len(raw))
    rows = []
    for number, row in enumerate(raw, start=1):
        if not isinstance(row, Mapping):
            raise problem("not_an_object", f"history, row {number}")
        try:
            rows.append(validate_transaction(profile, row, now, labelled=True))
        except TransactionError as error:
            raise TransactionError(
                f"history, row {number}: {error.message}",
                code=error.code,
                field=error.field,
                params=error.params | {"row": number},
            ) from error
    return tuple(rows)


def _columns(profile: Profile, labelled: bool) -> list[str]:
    roles = profile.columns
    names = [roles.id, roles.time, *(e.column for e in profile.entities), *(f.column for f in profile.fields)]
    if labelled:
        names += [roles.label, roles.label_at]
    return list(dict.fromkeys(name for name in names if name is not None))


def _canonical(profile: Profile, raw: Mapping[str, Any], now: datetime, labelled: bool) -> dict[str, Any]:
    return {column: _value(profile, column, raw.get(column), now) for column in _columns(profile, labelled)}


def _value(profile: Profile, column: str, value: Any, now: datetime) -> Any:
    field = profile.by_column.get(column)
    roles = profile.columns
    if isinstance(value, str):
        value = value.strip() or None
    if field is not None:
        return _field_value(field, value)
    if column == roles.time:
        return _time_value(profile, value, now)
    if value is None:
        return None
    if column == roles.label:
        return _label_value(profile, column, value)
    if column == roles.label_at:
        return _moment(column, value).isoformat()
    return _text_value(column, None, value)


def _field_value(field: InputField, value: Any) -> Any:
    label = field.label.en
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if field.required:
            raise problem("missing", field.column, label)
        return None
    if field.kind == "number":
        return _number_value(field, label, value)
    if field.kind == "boolean":
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in ("true", "false", "1", "0", "yes", "no"):
            raise problem("not_a_boolean", field.column, label, value=value)
        return word in ("true", "1", "yes")
    if field.kind == "date":
        try:
            return date.fromisoformat(str(value)[:10]).isoformat()
        except ValueError:
            raise problem("not_a_date", field.column, label, value=value) from None
    text = _text_value(field.column, label, value)
    if field.levels and not field.open_levels and text not in field.levels:
        raise problem("unknown_level", field.column, label, value=text, levels=list(field.levels))
    return text


def _number_value(field: InputField, label: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise problem("not_a_number", field.column, label, value=value)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise problem("not_a_number", field.column, label, value=value) from None
    if not math.isfinite(number):
        raise problem("not_a_number", field.column, label, value=value)
    if field.minimum is not None and number < field.minimum:
        raise problem("below_minimum", field.column, label, value=number, limit=field.minimum)
    if field.maximum is not None and number > field.maximum:
        raise problem("above_maximum", field.column, label, value=number, limit=field.maximum)
    if field.integer:
        if not number.is_integer():
            raise problem("not_an_integer", field.column, label, value=number)
        return int(number)
    return number


def _text_value(column: str, label: str | None, value: Any) -> str:
    text = str(value)
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        raise problem("too_long", column, label, limit=MAX_TEXT)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise problem("too_long", column, label, limit=MAX_TEXT)
    return text


def _label_value(profile: Profile, column: str, value: Any) -> str:
    roles, text = profile.columns, str(value)
    if text not in roles.fraud_values and text not in roles.legitimate_values:
        levels = [*roles.fraud_values, *roles.legitimate_values]
        raise problem("unknown_level", column, value=text, levels=levels)
    return text


def _moment(column: str, value: Any) -> datetime:
    if not isinstance(value, str | datetime):
        raise problem("not_a_time", column, value=value)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem("not_a_time", column, value=value) from None
    if moment.year < 1970:
        raise problem("not_a_time", column, value=value)
    return moment


def _time_value(profile: Profile, value: Any, now: datetime) -> Any:
    column = profile.columns.time
    assert column is not None  # noqa: S101 (called for the time column only)
    if value is None:
        raise problem("missing", column)
    step = profile.columns.time_step_ms
    if step is not None:
        try:
            elapsed = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            elapsed = math.nan
        if not abs(elapsed * step) < MAX_ELAPSED_MS:
            raise problem("not_a_number", column, value=value)
        if profile.time_origin_ms + elapsed * step > (now + CLOCK_TOLERANCE).timestamp() * 1000:
            raise problem("in_the_future", column, value=value)
        return elapsed
    moment = _moment(column, value)
    if moment > now + CLOCK_TOLERANCE:
        raise problem("in_the_future", column, value=moment.isoformat())
    return moment.isoformat()


def transactions_from_records(profile: Profile, records: Sequence[Mapping[str, Any]]) -> Transactions:
    """Return canonical records as typed columns ordered by time; no pandas, so it is quick for one."""
    roles = profile.columns
    labels = np.array([_label_number(profile, r.get(roles.label)) for r in records])
    time_ms = None if roles.time is None else np.array([_time_ms(profile, r[roles.time]) for r in records])
    table = Transactions(
        rows=np.arange(len(records)),
        ids=np.array(
            [str((r.get(roles.id) if roles.id else None) or f"row-{i + 1}") for i, r in enumerate(records)],
            dtype=object,
        ),
        time_ms=time_ms,
        numbers={
            f.column: np.array([_number(f, r.get(f.column)) for r in records])
            for f in profile.fields
            if f.kind != "category"
        },
        texts={name: _coded([r.get(name) for r in records]) for name in profile.text_columns},
        labels=labels,
        known_at_ms=_known_at(profile, records, labels, time_ms),
    )
    return table if time_ms is None else table.take(np.argsort(time_ms, kind="stable"))


def _label_number(profile: Profile, value: Any) -> float:
    if value is None:
        return math.nan
    return 1.0 if str(value) in profile.columns.fraud_values else 0.0


def _time_ms(profile: Profile, value: Any) -> int:
    step = profile.columns.time_step_ms
    if step is not None:
        return profile.time_origin_ms + round(float(value) * step)
    return round(datetime.fromisoformat(value).timestamp() * 1000)


def _number(field: InputField, value: Any) -> float:
    if value is None:
        return math.nan
    if field.kind == "date":
        return float((date.fromisoformat(value) - date(1970, 1, 1)).days)
    return float(value)


def _coded(values: Sequence[Any]) -> Coded:
    position: dict[str, int] = {}
    codes = [-1 if v is None else position.setdefault(str(v), len(position)) for v in values]
    return Coded(np.array(codes, np.int32), tuple(position))


def _known_at(
    profile: Profile, records: Sequence[Mapping[str, Any]], labels: Any, time_ms: Any
) -> np.ndarray[Any, np.dtype[np.int64]]:
    if time_ms is None:
        return np.where(np.isnan(labels), NEVER_MS, 0).astype(np.int64)
    known = time_ms + int(profile.features.label_delay_days * DAY_MS)
    reported = profile.columns.label_at
    if reported is not None:
        for i, record in enumerate(records):
            if labels[i] == 1 and record.get(reported) is not None:
                known[i] = round(datetime.fromisoformat(record[reported]).timestamp() * 1000)
    return np.where(np.isnan(labels), NEVER_MS, known).astype(np.int64)
