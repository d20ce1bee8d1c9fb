"""A table of any length, scored by both models in pieces: what it needs in memory is its typed columns.

Two threads check pieces and score blocks, while this one parses what comes next, or writes what is scored:
Arrow's, numpy's and our own compiled loops all let go of the interpreter's lock.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fraud.data.table import Transactions, concatenate
from fraud.errors import TableError
from fraud.features.history import History
from fraud.serving.scorer import Scorer
from fraud.tables.accepting import Accepted, Matching, Refused, accept, texts_of
from fraud.tables.reading import Piece, Sheet, pieces
from fraud.tables.scored import ROWS_FILE, TYPED_FILE, ScoredTable, Seconds, typed_cells

SCORED_ROWS = 32_768
"""Rows scored at once; between two of them a job can be stopped."""
THREADS = 2
"""More threads than a small machine has cores help nobody, and each holds a block."""
Report = Callable[[str, int, int], None]
"""Told (step, rows done, rows in all) now and then; may raise to stop the work."""
Item = TypeVar("Item")
Result = TypeVar("Result")


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
    sheet: Sheet,
    matching: Matching,
    scorer: Scorer,
    now: datetime,
    folder: Path,
    report: Report = lambda step, n_done, n_rows: None,
    parquet: Path | None = None,
) -> ScoredTable:
    """Score every row of a table that fits the profile.

    A row sees what the bundle knows of the past, and the earlier rows of its own table.

    Parameters
    ----------
    folder : where the accepted rows' cells are kept, uncompressed, for the table's page and its downloads
    parquet : where to write the scored table, as `ScoredTable.write_parquet` does, while it is being scored

    Raises
    ------
    TableError
        The table cannot be read to its end, or not one row fits.
    """
    own = np.zeros(0 if scorer.past is None else len(scorer.past), bool)
    seconds = Seconds()
    with ThreadPoolExecutor(THREADS, "score-table") as threads:
        with seconds.timing("read and check"):
            read = _read(sheet, matching, scorer, now, folder, report, own, threads)
        rows, n = np.concatenate([*read.rows, np.zeros(0, np.int64)]), read.n_accepted
        if not n:
            raise none_fits(read.refused)
        with seconds.timing("history"):
            report("history", 0, n)
            joined, position = _joined(read, scorer, ~own)
            report("history", n // 2, n)
            wanted = scorer.bundle.profile.features.history
            history = History.of(joined, scorer.bundle.profile, threads) if wanted else None
        table = ScoredTable(
            folder=folder,
            sheet=sheet,
            matching=matching,
            profile=scorer.bundle.profile,
            model_version=scorer.version,
            thresholds={name: model.thresholds for name, model in scorer.bundle.models.items()},
            rows=rows,
            probability={name: np.empty(n) for name in scorer.bundle.models},
            refused=tuple(read.refused),
            n_blank=read.n_blank,
            seconds=seconds.of,
        )
        _score(scorer, joined, position, history, table, report, parquet, seconds, threads)
    report("score", n, n)
    return table


def _score(
    scorer: Scorer,
    joined: Transactions,
    position: NDArray[np.int64],
    history: History | None,
    table: ScoredTable,
    report: Report,
    parquet: Path | None,
    seconds: "Seconds",
    threads: ThreadPoolExecutor,
) -> None:
    """Fill in the table's probabilities, block by block in the table's order, and write what is scored."""
    n = len(table)
    own = np.flatnonzero(position >= 0)
    row_of = np.empty(n, np.int64)  # in `joined`, of each position in the table
    row_of[position[own]] = own

    def block(rows: NDArray[np.int64]) -> int:
        with seconds.timing("features", by_thread=True):
            features = scorer.pipeline.transform(joined.take(rows), history)
        for name, model in scorer.bundle.models.items():
            with seconds.timing(name, by_thread=True):
                answer = model.calibration(model.forest.probability(features))
                table.probability[name][position[rows]] = answer
        return len(rows)

    with (
        seconds.timing("score and write" if parquet is not None else "score"),
        nullcontext() if parquet is None else table.writing(parquet) as write_up_to,
        closing(_ahead(threads, block, _slices(row_of))) as blocks,
    ):
        done = 0
        report("score", done, n)
        for n_more in blocks:
            done += n_more
            report("score", done, n)
            if write_up_to is not None:
                with seconds.timing("write", by_thread=True):
                    write_up_to(done)


def _slices(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(rows), SCORED_ROWS):
        yield rows[first : first + SCORED_ROWS]


def _ahead(
    threads: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Yield the result of each item in order, while the next few are worked on or taken."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:  # whoever asked is gone: what has not begun need not begin
            future.cancel()


def _read(
    sheet: Sheet,
    matching: Matching,
    scorer: Scorer,
    now: datetime,
    folder: Path,
    report: Report,
    own: NDArray[np.bool_],
    threads: ThreadPoolExecutor,
) -> _Read:
    """Type every piece and write its accepted rows; `own` marks the rows of the past that it repeats."""
    profile = scorer.bundle.profile
    read = _Read([], [], [], [])
    id_column = matching.columns.get(profile.columns.id or "")
    past_ids = pa.array([] if scorer.past is None else scorer.past.ids.tolist(), pa.string())

    def check(piece: Piece) -> tuple[Piece, Accepted, pa.RecordBatch | None]:
        accepted = accept(piece, matching, profile, now)
        return piece, accepted, typed_cells(accepted, matching, profile)

    with (
        CellsFile(folder / ROWS_FILE) as cells,
        CellsFile(folder / TYPED_FILE) as typed_file,
        closing(_ahead(threads, check, pieces(sheet))) as checked,
    ):
        for piece, accepted, typed in checked:
            report("read", int(piece.rows[-1]) if len(piece.rows) else 0, sheet.n_rows)
            read.refused += accepted.refused
            read.n_blank += piece.n_blank
            if accepted.transactions is None:
                continue
            if id_column is not None and len(own):
                ids = texts_of(accepted.batch.column(id_column))
                known = ids.filter(pc.is_in(ids, value_set=past_ids))
                if len(known):
                    own |= pc.is_in(past_ids, value_set=known).to_numpy(zero_copy_only=False)
            cells.write(accepted.batch)
            if typed is not None:
                typed_file.write(typed)
            _keep(read, accepted, accepted.transactions)
    return read


class CellsFile:
    """A file of Arrow's that begins with its first batch, and ends with the block that it is opened for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def __enter__(self) -> "CellsFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), batch.schema)
        self._writer.write_batch(batch)


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


def none_fits(refused: Sequence[Refused]) -> TableError:
    """Return what is said of a table without one row that fits."""
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
