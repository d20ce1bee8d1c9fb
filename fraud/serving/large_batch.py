"""Scoring a file of a million rows: CSV or Parquet in, Parquet out, by columns.

The answers are those of `fraud.serving.batch.score_file`: a row sees what the bundle knows of the past and
the earlier rows of its own file. Therefore the typed columns of all rows are held at once (a few hundred
bytes a row); features are only held for a block.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fraud.data.arrow_rows import join, plain_rows, unparsed
from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.data.validate import CLOCK_TOLERANCE
from fraud.errors import TableError
from fraud.features.history import History
from fraud.records import ModelVersion
from fraud.serving.batch import Rejection, decisions, history_of, no_row_fits, score_file, sift
from fraud.serving.scorer import Scorer

F64 = NDArray[np.float64]
CSV_BLOCK_BYTES = 16 * 2**20
BLOCK_ROWS = 65_536
THREADS = 2
"""The kernels let go of the interpreter's lock; more threads than cores help nobody."""


@dataclass
class LargeResult:
    """What came of a file: counts, the rejected rows, who answered, and the seconds of each stage."""

    model_version: ModelVersion
    n_scored: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - start


def score_large_file(scorer: Scorer, source: Path, target: Path, now: datetime) -> LargeResult:
    """Score every row of `source` that fits the profile; write them in their order to a Parquet file.

    Added columns: `<model>_probability` (calibrated) and `<model>_decision` for each model. Columns of the
    profile are written as what they are, those of a CSV that it does not name as text. `target` appears whole
    or not at all.

    Raises
    ------
    TableError
        The file is no table, lacks a column, or holds not one row that fits.
    """
    try:
        return _score_plain(scorer, source, target, now)
    except _Unplain:
        result = score_file(scorer, source, now)  # slower, and knows what is wrong with any file
        with _whole_file(target) as path:
            result.scored.to_parquet(path, index=False)
        return LargeResult(scorer.version, len(result.scored), list(result.rejected))


def _score_plain(scorer: Scorer, source: Path, target: Path, now: datetime) -> LargeResult:
    result = LargeResult(scorer.version)
    profile = scorer.bundle.profile
    own_ids = _Copies(scorer)
    held: list[pa.Table] = []
    pieces: list[Transactions] = []
    n_rows = 0
    names: list[str] = []
    chunks = _chunks(source, profile)
    while True:
        with result.timing("read"):
            chunk = next(chunks, None)
        if chunk is None:
            break
        with result.timing("check"):
            own_ids.note(chunk)
            pieces += _accept(chunk, profile, now, n_rows, result.rejected)
            held.append(_slim(chunk, profile))
            names = chunk.column_names
            n_rows += chunk.num_rows
    if not pieces:
        if result.rejected:
            raise no_row_fits(result.rejected)
        raise TableError("The table has no rows.", code="empty")
    with result.timing("order"):
        batch = join(pieces)
        pieces.clear()
    with result.timing("history"):
        history = history_of(scorer, batch, own_ids.found)
    answers = _answers(scorer, batch, history, result)
    with result.timing("write"):
        _write(target, names, held, batch, answers, scorer)
    result.n_scored = len(batch)
    return result


class _Copies:
    """Finds ids of the bundle's past in a file, so that no row is its own past."""

    def __init__(self, scorer: Scorer) -> None:
        self._column = scorer.bundle.profile.columns.id
        self.found: set[str] = set()
        self._known = None if scorer.past is None else pa.array(scorer.past.ids.tolist(), pa.string())

    def note(self, chunk: pa.Table) -> None:
        """Look at one chunk's ids."""
        if self._known is None or self._column is None or self._column not in chunk.column_names:
            return
        ids = pc.cast(chunk.column(self._column), pa.string())
        self.found.update(ids.filter(pc.is_in(ids, self._known)).to_pylist())


def _chunks(source: Path, profile: Profile) -> Iterator[pa.Table]:
    """Yield a file's rows; what Arrow cannot read as a plain table is left to the reader that says why."""
    try:
        if source.suffix.lower() in {".parquet", ".pq"}:
            with pq.ParquetFile(source) as file:
                _require(file.schema_arrow.names, profile)
                for batch in file.iter_batches(BLOCK_ROWS):
                    yield pa.Table.from_batches([batch])
            return
        with source.open("rb") as stream:
            header = stream.readline(1_000_000).decode("utf-8-sig").strip("\r\n")
        names = [name.strip('"') for name in header.split(",")]
        _require(names, profile)
        reader = pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
        with reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError):
        raise _Unplain from None


class _Unplain(Exception):
    """Only the full reader can say what this file is."""


def _require(names: Sequence[str], profile: Profile) -> None:
    if len(set(names)) != len(names) or not profile.needed_columns <= set(names):
        raise _Unplain


def _accept(
    chunk: pa.Table, profile: Profile, now: datetime, first: int, rejected: list[Rejection]
) -> list[Transactions]:
    """Return a chunk's transactions with `rows` of the whole file; note the others."""
    table, doubtful = plain_rows(chunk, profile, now + CLOCK_TOLERANCE)
    pieces = [table.with_rows(table.rows + first)] if len(table) else []
    rows = np.flatnonzero(doubtful)
    if len(rows):
        judged, refused = sift(unparsed(chunk, rows), profile, now)
        rejected += [Rejection(int(rows[r.row - 1]) + first + 1, r.column, r.reason) for r in refused]
        if judged is not None:
            pieces.append(judged.with_rows(rows[judged.rows] + first))
    return pieces


def _slim(chunk: pa.Table, profile: Profile) -> pa.Table:
    """Return a chunk in less memory: repeated texts once, and no column that the transactions hold anyway."""
    columns = {}
    for name in chunk.column_names:
        column = chunk.column(name)
        if name in profile.number_columns:
            continue
        repeated = pa.types.is_string(column.type) and name != profile.columns.id
        columns[name] = column.dictionary_encode() if repeated else column
    return pa.table(columns)


def _answers(
    scorer: Scorer, batch: Transactions, history: History | None, result: LargeResult
) -> dict[str, F64]:
    """Return each model's calibrated probabilities in the order of `batch`."""
    answers = {name: np.empty(len(batch)) for name in scorer.bundle.models}
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(batch), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(batch)))
            with result.timing("features"):
                features = scorer.pipeline.transform(batch.take(rows), history)
            halves = np.array_split(features, THREADS)
            for name, model in scorer.bundle.models.items():
                with result.timing(name):
                    raw = np.concatenate(list(threads.map(model.forest.probability, halves)))
                    answers[name][rows] = model.calibration(raw)
    return answers


def _write(
    target: Path,
    names: Sequence[str],
    held: list[pa.Table],
    batch: Transactions,
    answers: Mapping[str, F64],
    scorer: Scorer,
) -> None:
    """Write the scored rows in the file's order; `held` is emptied on the way."""
    order = np.argsort(batch.rows)
    rows = batch.rows[order]
    first = 0
    held.reverse()
    with _whole_file(target) as path:
        writer = None
        while held:
            chunk = held.pop()
            begin, end = np.searchsorted(rows, (first, first + chunk.num_rows))
            part = order[begin:end]
            table = chunk.take(pa.array(rows[begin:end] - first))
            columns = {name: _column(name, table, batch, part, scorer.bundle.profile) for name in names}
            for name, model in scorer.bundle.models.items():
                columns[f"{name}_probability"] = pa.array(answers[name][part])
                words = decisions(answers[name][part], model.thresholds)
                columns[f"{name}_decision"] = pa.array(words, pa.string()).dictionary_encode()
            first += chunk.num_rows
            out = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, out.schema, compression="zstd", compression_level=1)
            writer.write_table(out)
        if writer is not None:
            writer.close()


def _column(
    name: str, table: pa.Table, batch: Transactions, part: NDArray[np.intp], profile: Profile
) -> pa.Array:
    """Return one column of the output: from the transactions where they hold it, as it came otherwise."""
    field = profile.by_column.get(name)
    if name in profile.number_columns and field is not None:
        values = batch.numbers[name][part]
        missing = np.isnan(values)
        if field.kind == "boolean":
            return pa.array(values == 1, pa.bool_(), mask=missing)
        if field.kind == "date":
            days = np.where(missing, 0, values).astype(np.int32)
            return pa.array(days, pa.int32(), mask=missing).cast(pa.date32())
        return pa.array(values, mask=missing)
    column = table.column(name)
    if (
        name == profile.columns.time
        and pa.types.is_dictionary(column.type)
        and profile.columns.time_step_ms is None
    ):
        return pa.array(batch.times()[part], pa.timestamp("ms", tz="UTC"))
    return column


@contextmanager
def _whole_file(target: Path) -> Iterator[Path]:
    """Yield where to write: what is there at the end takes the target's name; a failure leaves nothing."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield partial
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
