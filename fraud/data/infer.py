"""Writing a first profile for a table that nobody here has seen."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.data.columns import FALSE_WORDS, MAX_NUMBER, MAX_TEXT, TIME_YEARS, TRUE_WORDS, fits, unreadable
from fraud.data.profile import DAY_MS, Profile, parse_profile
from fraud.data.table import END_OF_TIME_MS
from fraud.errors import TableError

MAX_LEVELS = 40
MAX_OPEN_LEVELS = 2_000
_AMOUNT = re.compile(r"amount|amt|valor|value|price|total|montant|betrag|importe", re.IGNORECASE)
_FRAUD_WORDS = {
    "1",
    "true",
    "yes",
    "y",
    "t",
    "fraud",
    "fraude",
    "fraudulent",
    "sim",
    "positive",
    "chargeback",
}
_BOOLEAN_WORDS = {word for word in TRUE_WORDS | FALSE_WORDS if word.isalpha()}
_CALENDAR = ("hour", "weekday")


def infer_profile(
    frame: pd.DataFrame, name: str, label: str, time: str | None, entities: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return (a profile document, notes for the person who will read it).

    Types, levels, bounds and missing values are read off the table; identifiers and constant columns are
    left out; with a time column the evaluation is ordered in time, without one it is stratified, and said so.

    Raises
    ------
    TableError
        A named column is missing, the label has not exactly two values, or no column can be a field.
    """
    for column in (label, *([time] if time else []), *entities):
        _check_named(frame, column)
    notes: list[str] = []
    label_values = _label_values(frame[label], label, notes)
    fields, dates, identifier = _fields(frame, {label, time, *entities}, time is not None, notes)
    if not fields:
        raise TableError("No column is left that a model could learn from.", code="no_fields")
    amount = next(
        (f["column"] for f in fields if f["kind"] == "number" and _AMOUNT.search(f["column"])), None
    )
    columns = {"label": label, **label_values}
    columns |= {} if identifier is None else {"id": identifier}
    columns |= {} if amount is None else {"amount": amount}
    delay, costs = 0.0, {"review": 5.0, "friction": 25.0, "fraud_fee": 15.0}
    if time is not None:
        time_columns, span_days = _time(frame[time], time)
        columns |= time_columns
        if span_days < 1 / 24:
            raise TableError(
                f'Column "{time}" spans less than an hour, too little to train on what came before; '
                "name another column as --time, or none.",
                code="bad_value",
                field=time,
            )
        delay = float(round(min(7.0, span_days * 0.05), 2))
        # Judged on as many cards a day as reviewers could look at: a hundred, or a twentieth where few pay.
        costs["precision_at"] = int(np.clip(len(frame) / max(span_days, 1.0) / 20, 5, 100))
        notes.append(f"{span_days:.1f} days of data; a label delay of {delay:g} days is assumed: correct it.")
    document: dict[str, Any] = {
        "name": re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:40] or "table",
        "title": {"en": name},
        "description": {"en": f"Inferred from {len(frame):,} rows."},
        "columns": columns,
        "entities": [{"name": e, "column": e, "label": {"en": e}} for e in entities],
        "fields": fields,
        "features": _features(time, entities, amount, delay, dates, {f["column"] for f in fields}),
        "evaluation": _evaluation(time, delay, notes),
        "costs": costs,
        "models": {
            "random_forest": {"n_estimators": 200, "min_samples_leaf": 3},
            "xgboost": {"n_estimators": 400, "learning_rate": 0.05, "max_depth": 5},
        },
    }
    if not re.match(r"[a-z]", document["name"]):
        document["name"] = "t_" + document["name"][:38]
    check: Profile = parse_profile(document, "inferred profile")
    notes.append(f"{len(check.fields)} fields, {len(check.entities)} entities.")
    return document, notes


def _check_named(frame: pd.DataFrame, column: str) -> None:
    n_columns = int((frame.columns == column).sum())
    if n_columns == 0:
        present = ", ".join([f'"{c}"' for c in frame.columns[:12]] + ["..."] * (len(frame.columns) > 12))
        raise TableError(
            f'Column "{column}" is not in the table; it has {present}.',
            code="column_missing",
            field=column,
        )
    if n_columns > 1 or unreadable(frame[column]).any():
        rule = "is there more than once" if n_columns > 1 else "holds lists, objects, bytes or durations"
        raise TableError(f'Column "{column}" {rule}; correct the table.', code="bad_value", field=column)


def _fields(
    frame: pd.DataFrame, taken: set[str | None], has_time: bool, notes: list[str]
) -> tuple[list[dict[str, Any]], list[str], str | None]:
    fields: list[dict[str, Any]] = []
    dates: list[str] = []
    identifier: str | None = None
    for column in frame.columns:
        if column in taken:
            continue
        if (frame.columns == column).sum() > 1 or not str(column) or unreadable(frame[column]).any():
            notes.append(f'"{column}" has no name of its own, or no readable cells, and was left out.')
            continue
        field = _field(frame[column], str(column), notes)
        if field is None:
            if identifier is None and frame[column].is_unique and not frame[column].isna().any():
                identifier = str(column)
            continue
        if field["kind"] == "date":
            if not has_time:
                notes.append(f'"{column}" is a date; without a time column it was left out.')
                continue
            dates.append(str(column))
        fields.append(field)
    return fields, dates, identifier


def _field(raw: "pd.Series[Any]", column: str, notes: list[str]) -> dict[str, Any] | None:
    present = raw.dropna()
    if pd.api.types.is_string_dtype(present) or present.dtype == object:
        present = present[present.astype(str).str.strip() != ""]  # a blank cell is a missing one
    n_distinct = present.nunique()
    if n_distinct < 2:
        notes.append(f'"{column}" is constant or empty, and was left out.')
        return None
    base = {"column": column, "label": {"en": column.strip()}, "required": len(present) == len(raw)}
    if pd.api.types.is_datetime64_any_dtype(raw):
        return _date_field(present, base)
    texts = present.astype(str).str.strip()
    if pd.api.types.is_bool_dtype(raw) or set(texts.str.lower().unique()) <= _BOOLEAN_WORDS:
        return base | {"kind": "boolean", "default": False}
    numbers = pd.to_numeric(present, errors="coerce")
    if not numbers.isna().any():
        return _number_field(numbers.to_numpy(np.float64), base, notes)
    moments = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
    if not moments.isna().any():
        return _date_field(moments, base)
    if n_distinct > 0.5 * len(present) and n_distinct > MAX_LEVELS:
        notes.append(f'"{column}" looks like an identifier ({n_distinct:,} values), and was left out.')
        return None
    if n_distinct > MAX_OPEN_LEVELS:
        notes.append(f'"{column}" has {n_distinct:,} texts; name it as --entity, or it stays left out.')
        return None
    if not all(map(fits, texts.unique())):
        notes.append(
            f'"{column}" holds texts of over {MAX_TEXT} characters, or unprintable ones, and was left out.'
        )
        return None
    levels = texts.value_counts()
    if n_distinct > MAX_LEVELS:
        return base | {"kind": "category", "open_levels": True, "default": str(levels.index[0])}
    return base | {"kind": "category", "levels": sorted(levels.index), "default": str(levels.index[0])}


def _date_field(moments: "pd.Series[Any]", base: dict[str, Any]) -> dict[str, Any]:
    middle = moments.sort_values().iloc[len(moments) // 2]
    return base | {"kind": "date", "default": middle.date().isoformat()}


def _number_field(values: Any, base: dict[str, Any], notes: list[str]) -> dict[str, Any] | None:
    if not np.isfinite(values).all():
        raise TableError(
            f'Column "{base["column"]}" holds infinite numbers; replace them with empty cells.',
            code="bad_value",
            field=base["column"],
        )
    if np.abs(values).max() > MAX_NUMBER:
        notes.append(f'"{base["column"]}" holds numbers beyond {MAX_NUMBER:g}, and was left out.')
        return None
    whole = bool(np.all(values == np.round(values)))
    if whole and len(np.unique(values)) > 0.95 * len(values) and len(values) > 50:
        notes.append(f'"{base["column"]}" is different in almost every row, like an identifier; left out.')
        return None
    low, high = float(values.min()), float(values.max())
    if whole and (low, high) == (0.0, 1.0):
        return base | {"kind": "boolean", "default": False}
    spread = high - low
    minimum = 0.0 if low >= 0 else low - spread
    middle = float(np.median(values))
    maximum = min(MAX_NUMBER, high + 9 * max(abs(high), spread))
    default = int(middle) if whole else float(f"{middle:.4g}")
    bounds = {"minimum": max(-MAX_NUMBER, minimum), "maximum": maximum, "integer": whole}
    return base | {"kind": "number", "default": default} | bounds


def _label_values(raw: "pd.Series[Any]", label: str, notes: list[str]) -> dict[str, Any]:
    texts = raw.dropna().map(_text)
    counts = texts[texts != ""].value_counts()
    if len(counts) != 2:
        shown = ", ".join(map(str, counts.index[:5])) or "none"
        raise TableError(
            f'Column "{label}" must have exactly two values to be a label, and has {len(counts)} ({shown}); '
            "name another column or correct it, and leave unknown labels empty.",
            code="label",
            field=label,
        )
    common, rare = map(str, counts.index)
    named = [value for value in (common, rare) if value.lower() in _FRAUD_WORDS]
    # "1" against "2" is a numbering, not a truth value: there, as without a word, frauds are the rarer.
    numbering = named == [common] and common.isdigit() and rare not in ("0", "-1")
    fraud, honest = (common, rare) if named == [common] and not numbering else (rare, common)
    share = counts[fraud] / counts.sum()
    notes.append(
        f'"{label}" = "{fraud}" is taken for fraud ({share:.2%} of the labelled rows); correct it if not.'
    )
    return {"fraud_values": [fraud], "legitimate_values": [honest]}


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _time(raw: "pd.Series[Any]", name: str) -> tuple[dict[str, Any], float]:
    numbers = pd.to_numeric(raw, errors="coerce")
    if not pd.api.types.is_datetime64_any_dtype(raw) and not numbers.isna().any():
        unit, step = ("milliseconds", 1) if numbers.max() > 1e11 else ("seconds", 1000)
        if numbers.min() < 0 or numbers.max() * step >= END_OF_TIME_MS:
            raise TableError(
                f'Column "{name}" counts neither seconds nor milliseconds since 1970 (up to '
                f"{numbers.max():g}); give times from {TIME_YEARS[0]} to {TIME_YEARS[1]}, or texts such as "
                "2026-01-31T08:30:00.",
                code="bad_value",
                field=name,
            )
        span = float(numbers.max() - numbers.min()) * step / DAY_MS
        return {"time": name, "time_unit": unit}, span
    moments = pd.to_datetime(
        raw, errors="coerce", utc=True, format=None if raw.dtype.kind == "M" else "ISO8601"
    )
    if moments.isna().any():
        row = int(np.argmax(moments.isna().to_numpy()))
        raise TableError(
            f'Column "{name}", row {row + 1}: {str(raw.iloc[row])!r} is not a date and time such as '
            "2026-01-31T08:30:00.",
            code="bad_value",
            field=name,
        )
    return {"time": name}, (moments.max() - moments.min()).total_seconds() / 86_400


def _features(
    time: str | None,
    entities: Sequence[str],
    amount: str | None,
    delay: float,
    dates: Sequence[str],
    taken: set[str],
) -> dict[str, Any]:
    if time is None:
        return {}
    functions = ["count", "mean", "ratio"] if amount else ["count"]
    history: list[dict[str, Any]] = [
        {"by": [entity], "windows": ["1d", "7d", "30d"], "functions": functions, "last": ["hours"]}
        for entity in entities
    ]
    history += [{"by": [e], "windows": ["30d"], "functions": ["fraud_rate"]} for e in entities]
    return {
        "calendar": [name for name in _CALENDAR if name not in taken],
        "label_delay_days": delay,
        "history": history,
        "ages": [{"name": f"years since {column}", "since": column} for column in dates],
    }


def _evaluation(time: str | None, delay: float, notes: list[str]) -> dict[str, Any]:
    if time is None:
        notes.append(
            "There is no time column, so the evaluation is a random split: optimistic about the future."
        )
        return {"kind": "stratified", "test_fraction": 0.25, "calibration_fraction": 0.2}
    return {"kind": "time", "test_fraction": 0.25, "calibration_fraction": 0.2, "delay_days": delay}
