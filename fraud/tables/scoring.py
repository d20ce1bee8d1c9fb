"""A table of any length, scored by both models in pieces: what it needs in memory is its typed columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fraud.data.table import Transactions, concatenate
from fraud.errors import TableError
from fraud.features.history import History
from fraud.serving.scorer import Scorer
from fraud.tables.accepting import Accepted, Matching, Refused, accept, texts_of
from fraud.tables.reading import Sheet, pieces
from fraud.tables.scored import ROWS_FILE, ScoredTable

SCORED_ROWS = 32_768
"""Rows scored at once; between two of them a job can be stopped."""
Report = Callable[[str, int, int], None]
"""Told (step, rows done, rows in all) now and then; may raise to stop the work."""


@dataclass
class _Read:
    """What reading left: typed pieces and what was refused; the cells are in a file."""

    typed: list[Transactions]
    positions: list[NDArray[np.int64]]
    rows: list[NDArray[np.int64]]
    refused: list[Refused]
    n_blank: int = 0
    n_accepted: int = 0


def score_sheet(
    sheet: Sheet, matching: Matching, scorer: Scorer, now: datetime, folder: Path, report: Report
) -> ScoredTable:
    """Score every row of a table that fits the profile.

    As in `fraud.serving.batch.score_file` a row sees what the bundle knows of the past, and the earlier rows
    of its own table.

    Parameters
    ----------
    folder : where the accepted rows' cells are kept, uncompressed, for the table's page and its downloads

    Raises
    ------
    TableError
        The table cannot be read to its end, or not one row fits.
    """
    own = np.zeros(0 if scorer.past is None else len(scorer.past), bool)
    read = _read(sheet, matching, scorer, now, folder / ROWS_FILE, report, own)
    rows, n = np.concatenate([*read.rows, np.zeros(0, np.int64)]), read.n_accepted
    if not n:
        raise _none_fits(read.refused)
    report("history", 0, n)
    joined, position = _joined(read, scorer, ~own)
    report("history", n // 2, n)
    history = History.of(joined, scorer.bundle.profile) if scorer.bundle.profile.features.history else None
    probability = {name: np.empty(n) for name in scorer.bundle.models}
    done = 0
    for chunk in _slices(np.flatnonzero(position >= 0)):
        report("score", done, n)
        features = scorer.pipeline.transform(joined.take(chunk), history)
        for name, model in scorer.bundle.models.items():
            probability[name][position[chunk]] = model.calibration(model.forest.probability(features))
            report("score", done + len(chunk) // 2, n)
        done += len(chunk)
    report("score", n, n)
    return ScoredTable(
        folder=folder,
        sheet=sheet,
        matching=matching,
        profile=scorer.bundle.profile,
        model_version=scorer.version,
        thresholds={name: model.thresholds for name, model in scorer.bundle.models.items()},
        rows=rows,
        probability=probability,
        refused=tuple(read.refused),
        n_blank=read.n_blank,
    )


def _read(
    sheet: Sheet,
    matching: Matching,
    scorer: Scorer,
    now: datetime,
    path: Path,
    report: Report,
    own: NDArray[np.bool_],
) -> _Read:
    """Type every piece and write its accepted rows; `own` marks the rows of the past that it repeats."""
    profile = scorer.bundle.profile
    read = _Read([], [], [], [])
    id_column = matching.columns.get(profile.columns.id or "")
    past_ids = pa.array([] if scorer.past is None else scorer.past.ids.tolist(), pa.string())
    writer = None
    try:
        for piece in pieces(sheet):
            report("read", int(piece.rows[-1]) if len(piece.rows) else 0, sheet.n_rows)
            accepted = accept(piece, matching, profile, now)
            read.refused += accepted.refused
            read.n_blank += piece.n_blank
            if accepted.transactions is None:
                continue
            if id_column is not None and len(own):
                ids = texts_of(accepted.batch.column(id_column))
                own |= pc.is_in(past_ids, value_set=ids).to_numpy(zero_copy_only=False)
            if writer is None:
                writer = pa.ipc.new_file(str(path), accepted.batch.schema)
            writer.write_batch(accepted.batch)
            _keep(read, accepted, accepted.transactions)
    finally:
        if writer is not None:
            writer.close()
    return read


def _keep(read: _Read, accepted: Accepted, table: Transactions) -> None:
    read.typed.append(table)
    read.positions.append(read.n_accepted + table.rows)
    read.rows.append(accepted.rows)
    read.n_accepted += len(table)


def _joined(read: _Read, scorer: Scorer, others: NDArray[np.bool_]) -> tuple[Transactions, NDArray[np.int64]]:
    """Return past and table in order of time, and each row's position in the table: -1 for the past."""
    tables, positions = read.typed, read.positions
    if scorer.past is not None and scorer.bundle.profile.features.history:
        past = scorer.past.take(np.flatnonzero(others))
        tables, positions = [past, *tables], [np.full(len(past), -1, np.int64), *positions]
    joined = concatenate(tables)
    position = np.concatenate(positions)[joined.rows]
    read.typed, read.positions = [], []
    return joined, position


def _slices(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(rows), SCORED_ROWS):
        yield rows[first : first + SCORED_ROWS]


def _none_fits(refused: Sequence[Refused]) -> TableError:
    if not refused:
        return TableError("The table has no rows.", code="empty")
    first = min(refused, key=lambda one: int(one.rows[0]))
    column = f'column "{first.column}", ' if first.column else ""
    where = f"{column}line {first.lines[0]:,}"
    return TableError(
        f"Not one row fits the profile; {where}: {first.rule}.",
        code="no_row_fits",
        field=first.column or None,
        params={"line": int(first.lines[0]), "column": first.column, "rule": first.rule},
    )
