"""From a piece's cells to typed transactions: the rows that fit the profile, and the first rule others break.

The rules are those of `fraud.data.table`. Rows that are plainly right, nearly all of most tables, are taken
by columns (`fraud.data.arrow_rows`); those with an odd cell take the slower way that names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fraud.data.arrow_rows import plain_rows
from fraud.data.profile import Profile
from fraud.data.table import Transactions, concatenate, labels_of, transactions_from_frame
from fraud.data.validate import CLOCK_TOLERANCE
from fraud.errors import TableError
from fraud.serving.batch import refuse_future
from fraud.tables.reading import Piece

I64 = NDArray[np.int64]
_DECIMAL_COMMA = r"^\s*-?\d{1,3}(\.\d{3})+(,\d+)?\s*$|^\s*-?\d+(,\d+)?\s*$"

_POINT = r"^\s*-?\d+\.(\d{1,2}|\d{4,})\s*$"


@dataclass(frozen=True)
class Refused:
    """Rows that break one rule of one column; `rows` counts from 1, `lines` as the file does."""

    rows: I64
    lines: I64
    column: str
    rule: str


@dataclass(frozen=True)
class Accepted:
    """What fits: its cells as they came, and typed. `transactions.rows` are positions in `batch`."""

    batch: pa.RecordBatch
    rows: I64
    transactions: Transactions | None
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Matching:
    """Which column of a table holds which of the profile's: profile column -> the table's.

    With `decimal_comma` a column of numbers may be written as in 1.234,56; its cells show whether it is.
    """

    columns: Mapping[str, str]
    decimal_comma: bool = False


def accept(piece: Piece, matching: Matching, profile: Profile, now: datetime) -> Accepted:
    """Return the rows of a piece that fit the profile, typed, and the others with the rule that they break.

    Raises
    ------
    TableError
        A column that the profile needs is matched with none.
    """
    refused = [_ragged(piece)] if piece.ragged else []
    cells = _cells(piece.batch, matching, profile)
    plain, doubtful = plain_rows(cells, profile, now + CLOCK_TOLERANCE)
    plain, doubtful = _labelled(plain, doubtful, cells, profile)
    judged = _judge(piece, np.flatnonzero(doubtful), cells, profile, now, refused)
    tables = [table for table in (plain, judged) if table is not None and len(table)]
    if not tables:
        return Accepted(piece.batch.slice(0, 0), piece.rows[:0], None, tuple(refused))
    table = _in_time(tables)
    positions = np.sort(table.rows)
    if len(positions) == len(piece.rows):
        return Accepted(piece.batch, piece.rows, table, tuple(refused))
    table = table.with_rows(np.searchsorted(positions, table.rows))
    return Accepted(piece.batch.take(pa.array(positions)), piece.rows[positions], table, tuple(refused))


def _labelled(
    plain: Transactions, doubtful: NDArray[np.bool_], cells: pa.Table, profile: Profile
) -> tuple[Transactions, NDArray[np.bool_]]:
    """Return the plain rows with the labels that the table has; what breaks a label's rule is in doubt."""
    roles = profile.columns
    if roles.label not in cells.column_names or not len(plain):
        return plain, doubtful
    named = [name for name in (roles.label, roles.label_at) if name in cells.column_names]
    frame = _frame(cells.select(named).take(pa.array(plain.rows)), profile)
    try:
        return plain.with_labels(*labels_of(frame, profile, plain.time_ms)), doubtful
    except TableError as error:
        bad = np.asarray(error.rows, np.intp)
        if not len(bad):
            raise
        doubtful = doubtful.copy()
        doubtful[plain.rows[bad]] = True
        return _labelled(plain.take(np.delete(np.arange(len(plain)), bad)), doubtful, cells, profile)


def _judge(
    piece: Piece,
    positions: NDArray[np.intp],
    cells: pa.Table,
    profile: Profile,
    now: datetime,
    refused: list[Refused],
) -> Transactions | None:
    """Return those of the rows that fit by the full rules, ordered by time; add the others to `refused`."""
    if not len(positions):
        return None
    frame = _frame(cells.take(pa.array(positions)), profile)
    here = np.arange(len(positions))
    while len(here):
        try:
            table = transactions_from_frame(frame.iloc[here], profile)
            refuse_future(table, profile, now)
        except TableError as error:
            bad = np.asarray(error.rows, np.intp)
            if not len(bad):
                raise
            refused.append(
                _refused(piece, positions[here[bad]], error.field or "", str(error.params["rule"]))
            )
            here = np.delete(here, bad)
        else:
            table = replace(table, ids=np.full(len(table), "", object), typology=None)
            return table.with_rows(positions[here[table.rows]])
    return None


def _in_time(tables: list[Transactions]) -> Transactions:
    """Return all rows ordered by time, and those of one moment as the piece has them."""
    rows = np.concatenate([table.rows for table in tables])
    whole = concatenate(tables) if len(tables) > 1 else tables[0]
    if len(tables) > 1:
        whole = whole.with_rows(rows[whole.rows])
    if whole.time_ms is None:
        return whole.take(np.argsort(whole.rows))
    ordered = bool(np.all(whole.time_ms[1:] >= whole.time_ms[:-1]))
    if ordered and len(tables) == 1:
        return whole
    return whole.take(np.lexsort((whole.rows, whole.time_ms)))


def _ragged(piece: Piece) -> Refused:
    rows, lines = (np.array([row[i] for row in piece.ragged], np.int64) for i in (0, 1))
    return Refused(rows, lines, "", "has another number of cells than the header")


def _refused(piece: Piece, positions: NDArray[np.intp], column: str, rule: str) -> Refused:
    return Refused(piece.rows[positions], piece.lines[positions], column, rule)


def texts_of(column: pa.Array) -> pa.Array:
    """Return ids as the profile writes them: 596.0 is 596."""
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py()
        column = pc.cast(column, pa.int64()) if whole else column
    return pc.utf8_trim_whitespace(pc.cast(column, pa.string()))


def _cells(batch: pa.RecordBatch, matching: Matching, profile: Profile) -> pa.Table:
    """Return the matched columns under the profile's names, numbers with decimal points."""
    roles = profile.columns
    numbers = {f.column for f in profile.fields if f.kind == "number"}
    if roles.time_step_ms is not None:
        numbers.add(roles.time or "")
    columns: dict[str, pa.Array] = {}
    for name, own in matching.columns.items():
        if name == roles.typology:
            continue
        cells = batch.column(own)
        if matching.decimal_comma and name in numbers and pa.types.is_string(cells.type):
            cells = _pointed(cells)
        columns[name] = cells
    return pa.table(columns) if columns else pa.table({"": pa.nulls(batch.num_rows)})


def _frame(cells: pa.Table, profile: Profile) -> pd.DataFrame:
    """Return the cells as the full rules take them; a column of clean numbers or times is converted."""
    roles = profile.columns
    moments = {f.column for f in profile.fields if f.kind == "date"} | {roles.label_at}
    numbers = {f.column for f in profile.fields if f.kind == "number"}
    (numbers if roles.time_step_ms is not None else moments).add(roles.time or "")
    columns: dict[str, Any] = {}
    for name in cells.column_names:
        column = cells.column(name).combine_chunks()
        if pa.types.is_string(column.type) and name in numbers:
            column = _cast(column, pa.float64())
        elif pa.types.is_string(column.type) and name in moments:
            column = _as_moments(column)
        elif pa.types.is_date(column.type):
            column = pc.cast(column, pa.timestamp("ms"))
        columns[name] = _series(column)
    return pd.DataFrame(columns, index=np.arange(cells.num_rows))


def _series(cells: pa.Array) -> Any:
    # As floats, integers beside nulls would lose their last digits, and two cards become one.
    return cells.to_pandas(integer_object_nulls=True)


def _pointed(cells: pa.Array) -> pa.Array:
    if _any(pc.match_substring(cells, ",")) and not _any(_matches(cells, _POINT)):
        return pc.if_else(_matches(cells, _DECIMAL_COMMA), with_point(cells), cells)
    return cells


def with_point(cells: pa.Array) -> pa.Array:
    """Return numbers written as 1.234,56 as 1234.56."""
    return pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")


def _matches(cells: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(cells, pattern)


def _any(flags: pa.Array) -> bool:
    return bool(pc.any(flags).as_py())


def _as_moments(cells: pa.Array) -> pa.Array:
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        converted = _cast(cells, kind)
        if converted.type == kind:
            return converted
    return cells


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return cells
