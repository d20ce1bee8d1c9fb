"""From a piece's cells to typed transactions: the rows that fit the profile, and the first rule others break.

The rules are those of `fraud.data.table`. Arrow converts a column as a whole where all of its cells are
clean, which they nearly always are; only a column with an odd cell takes the slower way that names it.
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

from fraud.data.columns import MAX_TEXT
from fraud.data.profile import Profile
from fraud.data.table import Transactions, transactions_from_frame
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
    positions: NDArray[np.intp] = np.arange(len(piece.rows))
    unfit = _unfit_ids(piece, matching, profile)
    if unfit.any():
        rule = f"is not a printable text of at most {MAX_TEXT} characters"
        refused.append(_refused(piece, positions[unfit], profile.columns.id or "", rule))
        positions = positions[~unfit]
    frame = _frame(piece, matching, profile)
    table = None
    while len(positions) and table is None:
        try:
            table = transactions_from_frame(frame.iloc[positions], profile)
            refuse_future(table, profile, now)
        except TableError as error:
            table, bad = None, np.asarray(error.rows, np.intp)
            if not len(bad):
                raise
            rule = str(error.params["rule"])
            refused.append(_refused(piece, positions[bad], error.field or "", rule))
            positions = np.delete(positions, bad)
    if table is not None:
        table = replace(table, ids=np.full(len(table), "", object), typology=None)
    whole = len(positions) == len(piece.rows)
    batch = piece.batch if whole else piece.batch.take(pa.array(positions))
    return Accepted(batch, piece.rows[positions], table, tuple(refused))


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


def _unfit_ids(piece: Piece, matching: Matching, profile: Profile) -> NDArray[np.bool_]:
    name = matching.columns.get(profile.columns.id or "")
    if name is None:
        return np.zeros(len(piece.rows), bool)
    ids = texts_of(piece.batch.column(name))
    fits = pc.and_(
        pc.less_equal(pc.utf8_length(ids), MAX_TEXT), pc.or_(pc.utf8_is_printable(ids), pc.equal(ids, ""))
    )
    unfit: NDArray[np.bool_] = ~pc.fill_null(fits, True).to_numpy(zero_copy_only=False)
    return unfit


def _frame(piece: Piece, matching: Matching, profile: Profile) -> pd.DataFrame:
    """Return the matched columns under the profile's names; those of clean numbers or times are converted."""
    roles = profile.columns
    moments = {f.column for f in profile.fields if f.kind == "date"} | {roles.label_at}
    numbers = {f.column for f in profile.fields if f.kind == "number"}
    (numbers if roles.time_step_ms is not None else moments).add(roles.time or "")
    columns: dict[str, Any] = {}
    for name, own in matching.columns.items():
        if name in (roles.id, roles.typology):
            continue
        cells = piece.batch.column(own)
        if pa.types.is_string(cells.type) and name in numbers:
            cells = _as_numbers(cells, matching.decimal_comma)
        elif pa.types.is_string(cells.type) and name in moments:
            cells = _as_moments(cells)
        elif pa.types.is_date(cells.type):
            cells = pc.cast(cells, pa.timestamp("ms"))
        columns[name] = _series(cells)
    return pd.DataFrame(columns, index=np.arange(len(piece.rows)))


def _series(cells: pa.Array) -> Any:
    # As floats, integers beside nulls would lose their last digits, and two cards become one.
    return cells.to_pandas(integer_object_nulls=True)


def _as_numbers(cells: pa.Array, decimal_comma: bool) -> pa.Array:
    if decimal_comma and _any(pc.match_substring(cells, ",")) and not _any(_matches(cells, _POINT)):
        cells = pc.if_else(_matches(cells, _DECIMAL_COMMA), with_point(cells), cells)
    return _cast(cells, pa.float64())


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
