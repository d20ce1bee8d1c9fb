"""A table of transactions as typed columns, and the rules that a table must meet to become one.

Every later step (history, features, training, scoring) works on `Transactions`, whether it holds a million
rows or one, so training and serving cannot drift apart.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.columns import (
    DATE_YEARS,
    MAX_TEXT,
    TIME_YEARS,
    booleans,
    coded_texts,
    factorized,
    fits,
    moments,
    numbers,
    plain,
    refuse,
    unreadable,
)
from fraud.data.profile import DAY_MS, InputField, Profile
from fraud.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FIRST_TIME_MS, END_OF_TIME_MS = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000) for year in (TIME_YEARS[0], TIME_YEARS[1] + 1)
)
"""Bounds of a transaction's time, the second excluded."""
NEVER_MS = np.iinfo(np.int64).max
"""A time that no clock reaches: "this label is not known yet"."""


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

    def with_rows(self, rows: Integers) -> "Transactions":
        """Return the same transactions as coming from other positions of a table."""
        return replace(self, rows=rows)

    def times(self) -> Integers:
        """Return `time_ms`, for callers that have checked that the profile has a time column."""
        if self.time_ms is None:
            raise TableError("This needs a time column, and the profile declares none.", code="no_time")
        return self.time_ms


def read_table(path: Path) -> "pd.DataFrame":
    """Return a CSV or Parquet file as it is, text columns of a CSV unparsed.

    Raises
    ------
    TableError
        The file does not exist, is empty, or is neither; a CSV is not UTF-8, not separated by commas, has
        two columns of one name, or rows longer than its header.
    """
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        raise TableError(f"{path}: there is no such file.", code="file_missing")
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            # As floats, integers beside nulls would lose their last digits, and two cards become one.
            return pd.read_parquet(path, engine="pyarrow", to_pandas_kwargs={"integer_object_nulls": True})
        return _read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise TableError(
            f"{path.name}: the file is empty; name one with a header and rows.", code="file"
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path.name}: not text in UTF-8 ({error.reason}); save it as CSV in UTF-8, or as Parquet.",
            code="file",
        ) from error
    except (ValueError, OSError, MemoryError, pa.ArrowException) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        reason = (
            reason.removeprefix("Error tokenizing data. C error: ").replace(str(path), path.name).rstrip(".")
        )
        raise TableError(
            f"{path.name}: not a readable CSV or Parquet table ({reason}); correct or export it again.",
            code="file",
        ) from error


def _read_csv(path: Path) -> "pd.DataFrame":
    import pandas as pd

    first = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    header = [str(name) for name in first.iloc[0]]
    separator = next((s for s in (";", "\t", "|") if len(header) == 1 and s in header[0]), None)
    if separator is not None:
        raise TableError(
            f"{path.name}: its columns are separated by {separator!r}; separate them by commas "
            "and write numbers with a decimal point.",
            code="file",
        )
    repeated = [name for name, count in Counter(header).items() if count > 1 and name]
    if repeated:
        raise TableError(
            f'{path.name}: two columns are called "{min(repeated)}"; rename or remove one of them.',
            code="file",
            field=min(repeated),
        )
    with warnings.catch_warnings():
        # Rows longer than the header would lose their last cells, or shift all others by one column.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, dtype=str, index_col=False, encoding="utf-8-sig")
        except pd.errors.ParserWarning as error:
            raise TableError(
                f"{path.name}: rows have more cells than the header has names; give every column a name.",
                code="file",
            ) from error


def transactions_from_frame(frame: "pd.DataFrame", profile: Profile) -> Transactions:
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
    number_columns = {
        field.column: _number_column(frame, field) for field in profile.fields if field.kind != "category"
    }
    texts = {name: _text_column(frame, name, profile) for name in profile.text_columns}
    labels = _labels(frame, profile)
    table = Transactions(
        rows=np.arange(len(frame)),
        ids=_ids(frame, profile),
        time_ms=time_ms,
        numbers=number_columns,
        texts=texts,
        labels=labels,
        known_at_ms=_known_at(frame, profile, labels, time_ms),
        typology=_typology(frame, profile),
    )
    if time_ms is None or bool(np.all(time_ms[1:] >= time_ms[:-1])):
        return table
    return table.take(np.argsort(time_ms, kind="stable"))


def labels_of(frame: "pd.DataFrame", profile: Profile, time_ms: Integers | None) -> tuple[Floats, Integers]:
    """Return the labels of a table's rows and when each became known, given the rows' times.

    Raises
    ------
    TableError
        As `transactions_from_frame`, about a label or the time of its report.
    """
    labels = _labels(frame, profile)
    return labels, _known_at(frame, profile, labels, time_ms)


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


def _check_columns(frame: "pd.DataFrame", profile: Profile) -> None:
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
    named = {roles.label, roles.id, roles.label_at, roles.typology, *wanted, *profile.by_column}
    repeated = named & set(frame.columns[frame.columns.duplicated()])
    if repeated:
        column = min(map(str, repeated))
        raise TableError(
            f'Two columns are called "{column}"; rename or remove one of them.',
            code="column_repeated",
            field=column,
        )


def _times(raw: "pd.Series[Any]", profile: Profile) -> Integers:
    name = raw.name if isinstance(raw.name, str) else "time"
    step = profile.columns.time_step_ms
    if step is None:
        result = _epoch_ms(raw, name, TIME_YEARS)
        refuse(name, "is missing, and every transaction needs a time", result == NEVER_MS, raw)
        return result
    elapsed = numbers(raw, name)
    refuse(name, "is missing, and every transaction needs a time", np.isnan(elapsed), raw)
    moment = profile.time_origin_ms + np.round(elapsed * step)
    rule = f"in {profile.columns.time_unit} lies outside the years {TIME_YEARS[0]} to {TIME_YEARS[1]}"
    refuse(name, rule, (moment < FIRST_TIME_MS) | (moment >= END_OF_TIME_MS), raw)
    return moment.astype(np.int64)


def _epoch_ms(raw: "pd.Series[Any]", name: str, years: tuple[int, int]) -> Integers:
    """Return epoch milliseconds, NEVER_MS where missing."""
    stamps = moments(raw, name, years)
    result: Integers = stamps.astype(np.int64)
    result[np.isnat(stamps)] = NEVER_MS
    return result


def _number_column(frame: "pd.DataFrame", field: InputField) -> Floats:
    if field.column not in frame.columns:
        return np.full(len(frame), np.nan)
    raw = frame[field.column]
    if field.kind == "date":
        stamps = _epoch_ms(raw, field.column, DATE_YEARS)
        values = np.where(stamps == NEVER_MS, np.nan, np.floor(stamps / DAY_MS))
    elif field.kind == "boolean":
        values = booleans(raw, field.column)
    else:
        values = numbers(raw, field.column)
    if field.required:
        refuse(field.column, "is missing, and the profile requires it", np.isnan(values), raw)
    if field.minimum is not None:
        refuse(field.column, f"is below the minimum {field.minimum:g}", values < field.minimum, raw)
    if field.maximum is not None:
        refuse(field.column, f"is above the maximum {field.maximum:g}", values > field.maximum, raw)
    return values


def _text_column(frame: "pd.DataFrame", name: str, profile: Profile) -> Coded:
    field = profile.by_column.get(name)
    if name not in frame.columns:
        return Coded(np.full(len(frame), -1, np.int32), ())
    raw = frame[name]
    codes, values = coded_texts(raw, name)
    if field is not None:
        if field.required:
            refuse(name, "is missing, and the profile requires it", codes < 0, raw)
        if field.levels and not field.open_levels:
            unknown = np.array([v not in set(field.levels) for v in values] + [False])
            shown = ", ".join(field.levels[:8]) + (" ..." if len(field.levels) > 8 else "")
            refuse(name, f"is not one of the levels {shown}", unknown[codes], raw)
    return Coded(codes.astype(np.int32), values)


def _ids(frame: "pd.DataFrame", profile: Profile) -> NDArray[np.object_]:
    name = profile.columns.id
    if name is None or name not in frame.columns:
        return np.array([f"row-{i + 1}" for i in range(len(frame))], dtype=object)
    raw = frame[name]
    refuse(name, "is neither a text nor a number", unreadable(raw), raw)
    missing = raw.isna().tolist()
    ids = ["" if lost else plain(v) for v, lost in zip(raw.tolist(), missing, strict=True)]
    unfit = np.array([not fits(text) for text in ids], bool)
    refuse(name, f"is not a printable text of at most {MAX_TEXT} characters", unfit, raw)
    return np.array([text or f"row-{i + 1}" for i, text in enumerate(ids)], dtype=object)


def _labels(frame: "pd.DataFrame", profile: Profile) -> Floats:
    roles = profile.columns
    if roles.label not in frame.columns:
        return np.full(len(frame), np.nan)
    raw = frame[roles.label]
    codes, distinct = factorized(raw, roles.label)
    fraud, legitimate = set(roles.fraud_values), set(roles.legitimate_values)
    words = [plain(value) for value in distinct]
    # A CSV that was written with missing labels says 1.0 where it meant 1.
    words = [w if w in fraud | legitimate else w.removesuffix(".0") for w in words]
    meaning = [1.0 if w in fraud else 0.0 if w in legitimate else np.inf if w else np.nan for w in words]
    values: Floats = np.array([*meaning, np.nan])[codes]
    rule = f"is neither fraud ({', '.join(sorted(fraud))}) nor legitimate ({', '.join(sorted(legitimate))})"
    refuse(roles.label, rule, np.isinf(values), raw)
    return values


def _known_at(frame: "pd.DataFrame", profile: Profile, labels: Floats, time_ms: Integers | None) -> Integers:
    """Return when each label became known: the reporting time of a fraud, else time + the label delay."""
    if time_ms is None:
        return np.where(np.isnan(labels), NEVER_MS, 0).astype(np.int64)
    known = time_ms + int(profile.features.label_delay_days * DAY_MS)
    reported = profile.columns.label_at
    if reported is not None and reported in frame.columns:
        stamps = _epoch_ms(frame[reported], reported, (TIME_YEARS[0], DATE_YEARS[1]))
        known = np.where((labels == 1) & (stamps != NEVER_MS), stamps, known)
    return np.where(np.isnan(labels), NEVER_MS, known).astype(np.int64)


def _typology(frame: "pd.DataFrame", profile: Profile) -> NDArray[np.object_] | None:
    name = profile.columns.typology
    if name is None or name not in frame.columns:
        return None
    codes, values = coded_texts(frame[name], name)
    return np.array([*values, ""], dtype=object)[codes]
