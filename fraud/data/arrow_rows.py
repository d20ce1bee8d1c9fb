"""Rows of an Arrow table as transactions, column by column and without pandas, for what is plainly right.

As with `fraud.data.quick`: a cell that any reader would understand is taken here, a whole column at a time.
A row with any other cell (a number with blanks around, a time of another spelling, a word for "missing", or
something wrong) goes to `fraud.serving.batch.sift`, whose rules are the only ones. So both ways give the same
transactions and the same refusals; the tests compare them.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fraud.data.columns import DATE_YEARS, FALSE_WORDS, MAX_NUMBER, MAX_TEXT, TRUE_WORDS, fits
from fraud.data.parquet_batches import as_coded, held
from fraud.data.profile import InputField, Profile
from fraud.data.table import (
    END_OF_TIME_MS,
    FIRST_TIME_MS,
    NEVER_MS,
    Coded,
    Floats,
    Integers,
    Transactions,
    concatenate,
)

MISSING_WORDS = frozenset(
    {
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    }
)
"""Texts that a CSV's reader (pandas) takes for a missing value; the empty text is another."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EVEN = r"^[!-~]([ -~]*[!-~])?\z"
Flags = NDArray[np.bool_]


class _Doubts:
    """Collects which rows only the full rules can judge."""

    def __init__(self, n: int) -> None:
        self.rows: Flags = np.zeros(n, bool)

    def add(self, rows: Flags) -> None:
        self.rows |= rows

    def all(self) -> None:
        self.rows[:] = True


@cache
def _missing_words() -> pa.Array:
    return pa.array(sorted(MISSING_WORDS), pa.string())  # not at import: it loads pandas, which a node spares


def plain_rows(table: pa.Table, profile: Profile, latest: datetime) -> tuple[Transactions, Flags]:
    """Return the rows that are plainly right, in the table's order, and which rows are in doubt.

    Parameters
    ----------
    table : has every column that the profile needs; of a CSV, all of them texts
    latest : a time after it lies in the future

    Returns
    -------
    transactions : without ids and labels; `rows` are positions in `table`
    doubtful : bool [n]
    """
    n = table.num_rows
    doubts = _Doubts(n)
    columns = {name: _whole(table, name) for name in table.column_names if name in _used(profile)}
    roles = profile.columns
    if not profile.needed_columns <= set(columns):
        doubts.all()  # the full rules say which is missing
    time_ms = None
    if roles.time is not None:
        given = columns.get(roles.time)
        time_ms = np.zeros(n, np.int64) if given is None else _times(given, profile, latest, doubts)
    numbers = {}
    for field in profile.fields:
        if field.kind != "category":
            numbers[field.column] = _values(columns.get(field.column), field, n, doubts)
    texts = {
        name: _texts(columns.get(name), profile.by_column.get(name), n, doubts)
        for name in profile.text_columns
    }
    if roles.id is not None and roles.id in columns:
        _check_ids(columns[roles.id], doubts)
    kept = np.flatnonzero(~doubts.rows)
    transactions = Transactions(
        rows=np.arange(n),
        ids=np.full(n, "", dtype=object),
        time_ms=time_ms,
        numbers=numbers,
        texts=texts,
        labels=np.full(n, np.nan),
        known_at_ms=np.full(n, NEVER_MS),
    )
    return transactions.take(kept), doubts.rows


def join(pieces: Sequence[Transactions]) -> Transactions:
    """Return all rows ordered by time, each with its own `rows`; ids and labels are left out."""
    rows = np.concatenate([piece.rows for piece in pieces])
    joined = concatenate(pieces)
    return joined.with_rows(rows[joined.rows])


def _used(profile: Profile) -> set[str | None]:
    roles = profile.columns
    return {roles.id, roles.time, *profile.by_column, *profile.text_columns}


def _whole(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _values(column: pa.Array | None, field: InputField, n: int, doubts: _Doubts) -> Floats:
    """Return one number per row; rows whose cell is no plain number within its bounds are doubted."""
    if column is None:
        values = np.full(n, np.nan)
    elif field.kind == "boolean":
        values = _booleans(column, doubts)
    else:
        values = _numbers(column, doubts) if field.kind == "number" else _dates(column, doubts)
    if field.required:
        doubts.add(np.isnan(values))
    low = -MAX_NUMBER if field.minimum is None else field.minimum
    high = MAX_NUMBER if field.maximum is None else field.maximum
    if field.kind == "number":
        with np.errstate(invalid="ignore"):
            doubts.add((values < low) | (values > high))
    return values


def _numbers(column: pa.Array, doubts: _Doubts) -> Floats:
    if _is_text(column):
        try:
            column = pc.cast(column, pa.float64())
        except pa.ArrowInvalid:
            given = pc.fill_null(pc.match_substring_regex(column, _NUMBER), False)
            empty = pc.fill_null(pc.equal(column, ""), True)
            doubts.add(~(_flags(given) | _flags(empty)))
            column = pc.cast(pc.if_else(given, column, pa.scalar(None, column.type)), pa.float64())
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        column = pc.cast(column, pa.float64(), safe=False)
    else:
        doubts.all()
        return np.full(len(column), np.nan)
    values, valid = held(column, np.float64)
    # A text such as "nan" or "inf" is a number to the parser, and a number that is none.
    doubts.add(valid & ~(np.abs(values) <= MAX_NUMBER))
    return np.where(valid, values, np.nan)


def _dates(column: pa.Array, doubts: _Doubts) -> Floats:
    try:
        if _is_text(column) or pa.types.is_date(column.type):
            days = pc.cast(pc.cast(column, pa.date32()), pa.int32())
            values, valid = held(days, np.int32)
            first, last = (np.datetime64(f"{year:04d}-01-01", "D").astype(int) for year in DATE_YEARS)
            doubts.add(valid & ((values < first) | (values > last)))
            return np.where(valid, values.astype(np.float64), np.nan)
    except pa.ArrowInvalid:
        pass
    doubts.all()
    return np.full(len(column), np.nan)


def _booleans(column: pa.Array, doubts: _Doubts) -> Floats:
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.string())
    if not _is_text(column):
        doubts.all()
        return np.full(len(column), np.nan)
    coded = as_coded(column)
    words = [text.lower() for text in coded.values]
    meaning = [
        1.0 if w in TRUE_WORDS else 0.0 if w in FALSE_WORDS else np.nan if not w else np.inf for w in words
    ]
    values = np.array([*meaning, np.nan])[coded.codes]
    doubts.add(np.isinf(values))
    return values


def _texts(column: pa.Array | None, field: InputField | None, n: int, doubts: _Doubts) -> Coded:
    if column is None:
        coded = Coded(np.full(n, -1, np.int32), ())
    elif pa.types.is_integer(column.type):
        coded = as_coded(pc.cast(column, pa.string()))
    elif _is_text(column) or (
        pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type)
    ):
        coded = as_coded(column)
    else:
        doubts.all()
        return Coded(np.full(n, -1, np.int32), ())
    levels = None if field is None or field.open_levels or not field.levels else frozenset(field.levels)
    odd = [
        (not plain and _is_odd(text)) or (levels is not None and text != "" and text not in levels)
        for plain, text in zip(_plainly_even(coded.values), coded.values, strict=True)
    ]
    empty = [text == "" for text in coded.values]
    codes = np.where(np.array([*empty, False])[coded.codes], np.int32(-1), coded.codes)
    doubts.add(np.array([*odd, False])[coded.codes])
    if field is not None and field.required:
        doubts.add(codes < 0)
    return Coded(codes, coded.values)


def _plainly_even(texts: Sequence[str]) -> list[bool]:
    """Return which texts `_is_odd` need not look at: short printable ASCII without blanks at its ends."""
    column = pa.array(texts, pa.string())
    fine = pc.and_(pc.match_substring_regex(column, _EVEN), pc.less_equal(pc.binary_length(column), MAX_TEXT))
    return pc.and_not(fine, pc.is_in(column, _missing_words())).to_pylist()  # type: ignore[no-any-return]


def _is_odd(text: str) -> bool:
    return not fits(text) or text != text.strip() or text in MISSING_WORDS


def _check_ids(column: pa.Array, doubts: _Doubts) -> None:
    if not _is_text(column):
        if not pa.types.is_integer(column.type):
            doubts.all()
        return
    good = pc.and_(pc.utf8_is_printable(column), pc.less_equal(pc.utf8_length(column), MAX_TEXT))
    blank = pc.match_substring_regex(column, r"^\s|\s$")
    doubts.add(~_flags(pc.fill_null(pc.and_not(good, blank), True)))


def _times(column: pa.Array, profile: Profile, latest: datetime, doubts: _Doubts) -> Integers:
    """Return epoch milliseconds; rows without a plain time in the past are doubted."""
    step = profile.columns.time_step_ms
    if step is not None:
        moments = profile.time_origin_ms + np.round(_numbers(column, doubts) * step)
    else:
        micros = _micros(column)
        if micros is None:
            doubts.all()
            return np.zeros(len(column), np.int64)
        values, valid = held(pc.cast(micros, pa.int64()), np.int64)
        moments = np.where(valid, values // 1000, np.nan)
    with np.errstate(invalid="ignore"):
        fine = (moments >= FIRST_TIME_MS) & (moments < END_OF_TIME_MS)
        fine &= moments <= latest.timestamp() * 1000
    doubts.add(~fine)
    return np.where(fine, moments, 0).astype(np.int64)


def _micros(column: pa.Array) -> pa.Array | None:
    """Return a column of times as timestamps; None where it is no such column, or not all of one spelling."""
    if pa.types.is_timestamp(column.type):
        zone = column.type.tz
        return pc.cast(column, pa.timestamp("us", tz=zone), safe=False)
    if not _is_text(column):
        return None
    for zone in ("UTC", None):
        try:
            return pc.cast(column, pa.timestamp("us", tz=zone))
        except pa.ArrowInvalid:
            continue
    return None


def _flags(column: pa.Array) -> Flags:
    return np.asarray(held(pc.cast(column, pa.uint8()), np.uint8)[0], bool)


def unparsed(table: pa.Table, rows: NDArray[np.intp]) -> Any:
    """Return these rows as the DataFrame that reading them from a file would have given."""
    import pandas as pd

    taken = table.take(pa.array(rows))
    columns: dict[str, Any] = {}
    for name in taken.column_names:
        column = taken.column(name)
        if pa.types.is_string(column.type):
            texts = [
                None if text is None or text == "" or text in MISSING_WORDS else text
                for text in column.to_pylist()
            ]
            columns[name] = pd.Series(texts, dtype="str")
        else:
            columns[name] = column.to_pandas(integer_object_nulls=True)
    return pd.DataFrame(columns)
