"""A table of transactions as typed columns, and the rules that a table must meet to become one.

Every later step (history, features, training, scoring) works on `Transactions`, whether it holds a million
rows or one, so training and serving cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, InputField, Profile
from fraud.errors import TableError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NEVER_MS = np.iinfo(np.int64).max
"""A time that no clock reaches: "this label is not known yet"."""
MAX_ELAPSED_MS = 100_000 * DAY_MS
"""The furthest from its origin that a numeric time may lie, about 270 years."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column: `values[codes[i]]` is row i's text, code -1 a missing one."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]

    def take(self, rows: NDArray[np.intp]) -> "Coded":
        """Return the rows at these positions; the vocabulary is shared."""
        return Coded(self.codes[rows], self.values)

    def texts(self) -> list[str | None]:
        """Return one text per row, None where missing."""
        return [self.values[code] if code >= 0 else None for code in self.codes.tolist()]


@dataclass(frozen=True)
class Transactions:
    """Typed columns of n transactions, ordered by time where there is a time.

    Attributes
    ----------
    rows : int64 [n], each transaction's position in the table it came from
    ids : object array [n] of str
    time_ms : int64 [n], epoch milliseconds; None without a time column
    numbers : column -> float64 [n]; NaN is missing; a date is days since 1970, a boolean 0 or 1
    texts : column -> Coded
    labels : float64 [n]; 1 fraud, 0 legitimate, NaN unknown
    known_at_ms : int64 [n]; when the label became known; NEVER_MS where it is not
    typology : object array [n] of str, for analysis only; None if the table has none
    """

    rows: Integers
    ids: NDArray[np.object_]
    time_ms: Integers | None
    numbers: Mapping[str, Floats]
    texts: Mapping[str, Coded]
    labels: Floats
    known_at_ms: Integers
    typology: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> "Transactions":
        """Return the rows at these positions."""
        return Transactions(
            rows=self.rows[rows],
            ids=self.ids[rows],
            time_ms=None if self.time_ms is None else self.time_ms[rows],
            numbers={name: column[rows] for name, column in self.numbers.items()},
            texts={name: column.take(rows) for name, column in self.texts.items()},
            labels=self.labels[rows],
            known_at_ms=self.known_at_ms[rows],
            typology=None if self.typology is None else self.typology[rows],
        )

    def with_labels(self, labels: Floats, known_at_ms: Integers) -> "Transactions":
        """Return the same transactions with other labels; an unknown one is known at no time."""
        return replace(self, labels=labels, known_at_ms=np.where(np.isnan(labels), NEVER_MS, known_at_ms))

    def times(self) -> Integers:
        """Return `time_ms`, for callers that have checked that the profile has a time column."""
        if self.time_ms is None:
            raise TableError("This needs a time column, and the profile declares none.", code="no_time")
        return self.time_ms


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV or Parquet file as it is, text columns of a CSV unparsed.

    Raises
    ------
    TableError
        The file does not exist, is empty, or is neither.
    """
    if not path.is_file():
        raise TableError(f"{path}: there is no such file.", code="file_missing")
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=True, encoding="utf-8-sig")
    except (ValueError, OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(
            f"{path.name}: not a readable CSV or Parquet table: {reason}.", code="file"
        ) from error


def transactions_from_frame(frame: pd.DataFrame, profile: Profile) -> Transactions:
    """Return a validated table, ordered by time.

    Parameters
    ----------
    frame : DataFrame with (at least) the profile's columns; a missing label column means unknown labels.

    Raises
    ------
    TableError
        Naming the column, the rule and the first row (from 1, header not counted) that breaks it.
    """
    if len(frame) == 0:
        raise TableError("The table has no rows.", code="empty")
    _check_columns(frame, profile)
    roles = profile.columns
    time_ms = None if roles.time is None else _times(frame[roles.time], profile)
    numbers = {
        field.column: _number_column(frame, field) for field in profile.fields if field.kind != "category"
    }
    texts = {name: _text_column(frame, name, profile) for name in profile.text_columns}
    labels = _labels(frame, profile)
    table = Transactions(
        rows=np.arange(len(frame)),
        ids=_ids(frame, profile),
        time_ms=time_ms,
        numbers=numbers,
        texts=texts,
        labels=labels,
        known_at_ms=_known_at(frame, profile, labels, time_ms),
        typology=_typology(frame, profile),
    )
    if time_ms is None or bool(np.all(time_ms[1:] >= time_ms[:-1])):
        return table
    return table.take(np.argsort(time_ms, kind="stable"))


def concatenate(tables: Sequence[Transactions]) -> Transactions:
    """Return all rows of tables of one profile, ordered by time."""
    first = tables[0]
    joined = Transactions(
        rows=np.arange(sum(len(t) for t in tables)),
        ids=np.concatenate([t.ids for t in tables]),
        time_ms=None if first.time_ms is None else np.concatenate([t.times() for t in tables]),
        numbers={n: np.concatenate([t.numbers[n] for t in tables]) for n in first.numbers},
        texts={n: _join_texts([t.texts[n] for t in tables]) for n in first.texts},
        labels=np.concatenate([t.labels for t in tables]),
        known_at_ms=np.concatenate([t.known_at_ms for t in tables]),
        typology=None,
    )
    if joined.time_ms is None:
        return joined
    return joined.take(np.argsort(joined.time_ms, kind="stable"))


def _join_texts(columns: Sequence[Coded]) -> Coded:
    position: dict[str, int] = {}
    codes = []
    for column in columns:
        lookup = np.array([position.setdefault(v, len(position)) for v in column.values] + [-1], np.int32)
        codes.append(lookup[column.codes])
    return Coded(np.concatenate(codes), tuple(position))


def _check_columns(frame: pd.DataFrame, profile: Profile) -> None:
    roles = profile.columns
    wanted = [roles.time] if roles.time else []
    wanted += [f.column for f in profile.fields if f.required] + [e.column for e in profile.entities]
    for column in wanted:
        if column not in frame.columns:
            present = ", ".join(f'"{c}"' for c in list(frame.columns)[:12])
            raise TableError(
                f'Column "{column}" is missing; the profile "{profile.name}" needs it. '
                f"The table has {present}{' ...' if len(frame.columns) > 12 else ''}.",
                code="column_missing",
                field=column,
            )


def _refuse(column: str, rule: str, bad: NDArray[np.bool_], raw: "pd.Series[Any]") -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    raise TableError(
        f'Column "{column}", row {row + 1}: {str(raw.iloc[row])[:60]!r} {rule} '
        f"({int(bad.sum()):,} such rows); correct or remove them.",
        code="bad_value",
        field=column,
        params={"row": row + 1, "rule": rule},
    )


def _times(raw: "pd.Series[Any]", profile: Profile) -> Integers:
    name = raw.name if isinstance(raw.name, str) else "time"
    _refuse(name, "is missing, and every transaction needs a time", raw.isna().to_numpy(), raw)
    step = profile.columns.time_step_ms
    if step is not None:
        elapsed = pd.to_numeric(raw, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~(np.abs(elapsed * step) < MAX_ELAPSED_MS)
        _refuse(name, f"is not a number of {profile.columns.time_unit} that a calendar reaches", bad, raw)
        return profile.time_origin_ms + np.round(elapsed * step).astype(np.int64)
    return _epoch_ms(raw, name)


def _epoch_ms(raw: "pd.Series[Any]", name: str) -> Integers:
    """Return epoch milliseconds (NEVER_MS where missing); naive times are taken as UTC."""
    if pd.api.types.is_datetime64_any_dtype(raw):
        parsed = pd.to_datetime(raw, utc=True)
    else:
        parsed = pd.to_datetime(raw, utc=True, errors="coerce", format="ISO8601")
        _refuse(
            name,
            "is not a date and time such as 2026-01-31T08:30:00",
            (parsed.isna() & raw.notna()).to_numpy(),
            raw,
        )
    stamps = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    result: Integers = stamps.astype(np.int64)
    result[np.isnat(stamps)] = NEVER_MS
    return result


def _number_column(frame: pd.DataFrame, field: InputField) -> Floats:
    if field.column not in frame.columns:
        return np.full(len(frame), np.nan)
    raw = frame[field.column]
    if field.kind == "date":
        stamps = _epoch_ms(raw, field.column)
        values = np.where(stamps == NEVER_MS, np.nan, np.floor(stamps / DAY_MS))
    elif field.kind == "boolean":
        values = _booleans(raw, field.column)
    else:
        values = pd.to_numeric(raw, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        _refuse(field.column, "is not a number", np.isnan(values) & raw.notna().to_numpy(), raw)
        _refuse(field.column, "is not a finite number", np.isinf(values), raw)
    if field.required:
        _refuse(field.column, "is missing, and the profile requires it", np.isnan(values), raw)
    if field.minimum is not None:
        _refuse(field.column, f"is below the minimum {field.minimum:g}", values < field.minimum, raw)
    if field.maximum is not None:
        _refuse(field.column, f"is above the maximum {field.maximum:g}", values > field.maximum, raw)
    return values


_TRUE = {"1", "1.0", "true", "yes", "y", "t", "sim"}
_FALSE = {"0", "0.0", "false", "no", "n", "f", "não", "nao"}


def _booleans(raw: "pd.Series[Any]", name: str) -> Floats:
    codes, uniques = pd.factorize(raw)
    meaning = np.array(
        [
            1.0 if _plain(u).lower() in _TRUE else 0.0 if _plain(u).lower() in _FALSE else np.inf
            for u in uniques
        ]
        + [np.nan]
    )
    values: Floats = meaning[codes]
    _refuse(name, "is neither true nor false", np.isinf(values), raw)
    return values


def _plain(value: object) -> str:
    """Return the text of a key or level: 596.0 and "596" are the same customer."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _text_column(frame: pd.DataFrame, name: str, profile: Profile) -> Coded:
    field = profile.by_column.get(name)
    if name not in frame.columns:
        return Coded(np.full(len(frame), -1, np.int32), ())
    raw = frame[name]
    codes, values = _coded_texts(raw)
    if field is not None:
        if field.required:
            _refuse(name, "is missing, and the profile requires it", codes < 0, raw)
        if field.levels and not field.open_levels:
            unknown = np.array([v not in set(field.levels) for v in values] + [False])
            shown = ", ".join(field.levels[:8]) + (" ..." if len(field.levels) > 8 else "")
            _refuse(name, f"is not one of the levels {shown}", unknown[codes], raw)
    return Coded(codes.astype(np.int32), values)


def _coded_texts(raw: "pd.Series[Any]") -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return codes and distinct texts; " A" and "A" are one text, and a blank one is missing."""
    codes, uniques = pd.factorize(raw)
    position: dict[str, int] = {}
    texts = [_plain(u) for u in uniques]
    lookup = [position.setdefault(t, len(position)) if t else -1 for t in texts]
    return np.array([*lookup, -1])[codes], tuple(position)


def _ids(frame: pd.DataFrame, profile: Profile) -> NDArray[np.object_]:
    name = profile.columns.id
    if name is None or name not in frame.columns:
        return np.array([f"row-{i + 1}" for i in range(len(frame))], dtype=object)
    return frame[name].map(_plain).to_numpy(dtype=object)


def _labels(frame: pd.DataFrame, profile: Profile) -> Floats:
    roles = profile.columns
    if roles.label not in frame.columns:
        return np.full(len(frame), np.nan)
    raw = frame[roles.label]
    codes, uniques = pd.factorize(raw)
    fraud, legitimate = set(roles.fraud_values), set(roles.legitimate_values)
    meaning = [1.0 if _plain(u) in fraud else 0.0 if _plain(u) in legitimate else np.inf for u in uniques]
    values: Floats = np.array([*meaning, np.nan])[codes]
    rule = f"is neither fraud ({', '.join(sorted(fraud))}) nor legitimate ({', '.join(sorted(legitimate))})"
    _refuse(roles.label, rule, np.isinf(values), raw)
    return values


def _known_at(frame: pd.DataFrame, profile: Profile, labels: Floats, time_ms: Integers | None) -> Integers:
    """Return when each label became known: the reporting time of a fraud, else time + the label delay."""
    if time_ms is None:
        return np.where(np.isnan(labels), NEVER_MS, 0).astype(np.int64)
    known = time_ms + int(profile.features.label_delay_days * DAY_MS)
    reported = profile.columns.label_at
    if reported is not None and reported in frame.columns:
        stamps = _epoch_ms(frame[reported], reported)
        known = np.where((labels == 1) & (stamps != NEVER_MS), stamps, known)
    return np.where(np.isnan(labels), NEVER_MS, known).astype(np.int64)


def _typology(frame: pd.DataFrame, profile: Profile) -> NDArray[np.object_] | None:
    name = profile.columns.typology
    if name is None or name not in frame.columns:
        return None
    return frame[name].map(_plain).to_numpy(dtype=object)
