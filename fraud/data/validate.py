"""The rules for one transaction that somebody typed or sent, and a clear sentence for each that is broken."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np

from fraud.data.columns import DATE_YEARS, FALSE_WORDS, MAX_NUMBER, MAX_TEXT, TRUE_WORDS, fits, plain
from fraud.data.profile import DAY_MS, InputField, Profile
from fraud.data.quick import Check, Doubt, QuickRules, field_check, text
from fraud.data.table import END_OF_TIME_MS, FIRST_TIME_MS, NEVER_MS, Coded, Transactions
from fraud.errors import TransactionError

CLOCK_TOLERANCE = timedelta(minutes=5)
MAX_HISTORY = 1_000
MAX_UNKNOWN = 20
"""How many unknown fields are named: one misspelt name is help, a million are an attack."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""What counts as a number in a text: float() would also take "1_000" and the digits of every script."""

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
    "too_long": "{field} must be a text of at most {limit} printable characters.",
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
    """Return a value as one short printable line; nothing that was sent is repeated at length."""
    if isinstance(value, _Words):
        return str(value)
    if isinstance(value, str):
        text = _printable(value[:40])
        return f'"{text}{"..." if len(value) > 40 else ""}"'
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) <= MAX_NUMBER else repr(value)
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= MAX_NUMBER):
        return str(value)
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence):
        return "a list"
    return "a number too large" if isinstance(value, int) else f"a {type(value).__name__}"


class _Words(str):
    """Words of our own, shown as they are; what somebody sent is shown in quotation marks."""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


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
    return validator(profile, now, labelled=labelled)(raw)


def validator(
    profile: Profile, now: datetime, *, labelled: bool = False
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return `validate_transaction` for many transactions of one moment."""
    rules = profile.quick_rules[labelled]

    def validate(raw: Mapping[str, Any]) -> dict[str, Any]:
        accepted = rules.accept(raw, now)
        if accepted is not None:
            return accepted
        errors = all_problems(profile, raw, now, labelled=labelled)
        if errors:
            errors[0].problems = tuple(errors)
            raise errors[0]
        return _canonical(profile, raw, now, labelled)

    return validate


def quick_rules(profile: Profile, labelled: bool) -> QuickRules:
    """Return the compiled rules of a profile; `profile.quick_rules` keeps them."""
    roles = profile.columns

    def by_the_rules(column: str) -> Check:
        def check(value: Any, now: datetime) -> Any:
            try:
                return _value(profile, column, value, now)
            except TransactionError:
                raise Doubt from None

        return check

    checks: dict[str, Check] = {}
    for column in _columns(profile, labelled):
        field = profile.by_column.get(column)
        if field is not None and field.kind != "date":
            checks[column] = field_check(field)
        elif field is None and column == roles.label:
            checks[column] = text(levels=frozenset({*roles.fraud_values, *roles.legitimate_values}))
        elif field is not None or column in (roles.time, roles.label_at):
            checks[column] = by_the_rules(column)
        else:
            checks[column] = text()
    return QuickRules.of(checks)


def all_problems(
    profile: Profile, raw: Any, now: datetime, *, labelled: bool = False
) -> list[TransactionError]:
    """Return an error for every field that breaks a rule, in the profile's order."""
    if not isinstance(raw, Mapping):
        return [problem("not_an_object", "transaction")]
    errors: list[TransactionError] = []
    allowed = set(_columns(profile, labelled))
    unknown = (key for key in raw if key not in allowed)
    for key in islice(unknown, MAX_UNKNOWN):
        name = _printable(key[:MAX_TEXT]) if isinstance(key, str) else _shorten(key)
        errors.append(problem("unknown_field", name))
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
    validate = validator(profile, now, labelled=True)
    for number, row in enumerate(raw, start=1):
        if not isinstance(row, Mapping):
            raise problem("not_an_object", f"history, row {number}")
        try:
            rows.append(validate(row))
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
    elif isinstance(value, float) and math.isnan(value):
        value = None
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
    if value is None:
        if field.required:
            raise problem("missing", field.column, label)
        return None
    if field.kind == "number":
        return _number_value(field, label, value)
    if field.kind == "boolean":
        return _boolean_value(field, label, value)
    if field.kind == "date":
        return _date_value(field, label, value)
    text = _text_value(field.column, label, value)
    if field.levels and not field.open_levels and text not in field.levels:
        shown = _Words(", ".join(field.levels[:8]) + (" ..." if len(field.levels) > 8 else ""))
        raise problem("unknown_level", field.column, label, value=text, levels=shown)
    return text


def _boolean_value(field: InputField, label: str, value: Any) -> bool:
    word = plain(value).lower() if isinstance(value, bool | int | float | str) and _is_short(value) else ""
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise problem("not_a_boolean", field.column, label, value=value)
    return word in TRUE_WORDS


def _date_value(field: InputField, label: str, value: Any) -> str:
    try:
        moment = value if isinstance(value, date) else datetime.fromisoformat(value)
        if isinstance(moment, datetime):
            moment = moment.astimezone(UTC).date() if moment.tzinfo is not None else moment.date()
        if not DATE_YEARS[0] <= moment.year <= DATE_YEARS[1]:
            raise ValueError(moment)
    except (TypeError, ValueError, OverflowError):
        raise problem("not_a_date", field.column, label, value=value) from None
    return moment.isoformat()


def _parsed_number(value: Any) -> float:
    """Return a number or a text that is one, NaN for everything else."""
    if isinstance(value, str):
        return float(value) if len(value) <= MAX_TEXT and _NUMBER.fullmatch(value) else math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_short(value):
        return math.nan
    return float(value)


def _is_short(value: Any) -> bool:
    """Return whether a value can be turned into a float or a text at no cost."""
    return not isinstance(value, int) or abs(value) <= 10**MAX_TEXT


def _number_value(field: InputField, label: str, value: Any) -> float | int:
    number = _parsed_number(value)
    if not math.isfinite(number):
        raise problem("not_a_number", field.column, label, value=value)
    minimum = -MAX_NUMBER if field.minimum is None else field.minimum
    maximum = MAX_NUMBER if field.maximum is None else field.maximum
    if number < minimum:
        raise problem("below_minimum", field.column, label, value=number, limit=minimum)
    if number > maximum:
        raise problem("above_maximum", field.column, label, value=number, limit=maximum)
    if field.integer:
        if not number.is_integer():
            raise problem("not_an_integer", field.column, label, value=number)
        return int(number)
    return number


def _text_value(column: str, label: str | None, value: Any) -> str:
    text = plain(value) if isinstance(value, bool | int | float | str) and _is_short(value) else ""
    if not text or not fits(text):
        raise problem("too_long", column, label, limit=MAX_TEXT)
    return text


def _label_value(profile: Profile, column: str, value: Any) -> str:
    roles, text = profile.columns, _text_value(column, None, value)
    if text not in roles.fraud_values and text not in roles.legitimate_values:
        levels = _Words(", ".join([*roles.fraud_values, *roles.legitimate_values]))
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
        elapsed = _parsed_number(value)
        moment_ms = profile.time_origin_ms + elapsed * step
        if not FIRST_TIME_MS <= moment_ms < END_OF_TIME_MS:
            raise problem("not_a_number", column, value=value)
        if moment_ms > (now + CLOCK_TOLERANCE).timestamp() * 1000:
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
