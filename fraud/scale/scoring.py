"""`score --engine dask`: a directory of Parquet files into another, scored as one table.

Rules, features, trees and the written columns are those of `fraud.tables`: a row sees what the bundle knows
of the past, and the earlier rows of the whole table, whichever file they are in.
"""

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fraud.data.spreadsheet import safe_texts
from fraud.data.table import NEVER_MS, Transactions
from fraud.errors import StorageError
from fraud.features.history import History
from fraud.models.bundle import Bundle, load_bundle
from fraud.records import ModelVersion
from fraud.scale.agreement import check_folder, check_seen
from fraud.scale.cluster import Engine
from fraud.scale.partitions import PARTITION_ROWS, parquet_files
from fraud.scale.shuffle import (
    PARTITIONS_A_BUCKET,
    PAST_UNIT,
    Asked,
    Joined,
    Shuffle,
    bucket_features,
    join,
    scatter,
    shuffles_of,
)
from fraud.scale.typed import from_batch, read_batch, to_batch, write_batch
from fraud.serving.scorer import Scorer
from fraud.tables.accepting import Matching, Refused, accept, texts_of
from fraud.tables.matching import by_name
from fraud.tables.reading import Sheet, open_sheet, pieces
from fraud.tables.scored import ROWS_FILE, TYPED_FILE, ScoredTable, typed_cells
from fraud.tables.scoring import CellsFile, none_fits
from fraud.tables.to_file import OWN

SHOWN = 20
EVER = Asked(-(2**62), NEVER_MS, labelled=False)


@dataclass(frozen=True)
class Source:
    """One file of the table: its place among the files, and where its steps lie."""

    number: int
    path: Path
    folder: Path

    def unit(self, piece: int) -> str:
        """Return what a piece is called among the units of a shuffle."""
        return f"{self.number}-{piece}"


@dataclass(frozen=True)
class AcceptedFile:
    """What came of reading a file: rows of its units, rows refused, and which rows of the past it repeats."""

    unit_rows: tuple[int, ...]
    n_refused: int
    refused: tuple[Refused, ...]
    repeated: NDArray[np.intp]


@dataclass(frozen=True)
class DirectoryResult:
    """What came of a directory; `first_refused` are (file, row, column, rule)."""

    version: str
    n_files: int
    n_scored: int
    n_refused: int
    first_refused: tuple[tuple[str, int, str, str], ...]


def score_directory(
    engine: Engine,
    scorer: Scorer,
    source: Path,
    target: Path,
    now: datetime,
    refused: Path | None = None,
    partition_rows: int = PARTITION_ROWS,
) -> DirectoryResult:
    """Score every row that fits the profile; write a file of the same name for each file with such rows.

    Parameters
    ----------
    target : a directory that does not exist yet; it appears whole or not at all
    refused : where to write the rows that do not fit, as a CSV

    Raises
    ------
    TableError
        A file is no table, lacks a column, or not one row of all fits.
    StorageError
        There is something at `target`, or `refused` cannot be written.
    """
    if refused is not None:
        _check_writable(refused)
    files = parquet_files(source.absolute())
    n_rows = {path: pq.read_metadata(path).num_rows for path in files}
    files = tuple(path for path in files if n_rows[path]) or files[:1]  # other engines write empty files too
    for path in (files[0], scorer.bundle.directory):
        check_seen(engine, path)
    sources = [Source(i, path, engine.folder / f"file-{i}") for i, path in enumerate(files)]
    bundle, shuffles = scorer.bundle, shuffles_of(scorer.bundle.profile)
    n_buckets = max(1, -(-sum(n_rows.values()) // (PARTITIONS_A_BUCKET * partition_rows)))
    past_ids = engine.folder / "past-ids.arrow"
    ids = [] if scorer.past is None else scorer.past.ids.tolist()
    write_batch(past_ids, pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], names=["ids"]))
    with _appearing(engine, target) as folder:
        accepted = engine.each(
            accept_file,
            sources,
            bundle.directory.absolute(),
            shuffles,
            n_buckets,
            engine.folder,
            now,
            past_ids,
        )
        n_scored = sum(sum(one.unit_rows) for one in accepted)
        if not n_scored:
            raise none_fits([part for one in accepted for part in one.refused])
        engine.progress(f"{n_scored:,} rows of {len(files)} files fit the profile")
        units = [s.unit(p) for s, a in zip(sources, accepted, strict=True) for p in range(len(a.unit_rows))]
        if shuffles and scorer.past is not None:
            repeated = np.concatenate([a.repeated for a in accepted])
            others = np.setdiff1d(np.arange(len(scorer.past)), repeated)
            scatter(scorer.past.take(others), shuffles, n_buckets, engine.folder, PAST_UNIT)
            units = [PAST_UNIT, *units]
        if shuffles:
            engine.progress("computing history features")
            work = [(shuffle, bucket) for bucket in range(n_buckets) for shuffle in shuffles]
            engine.each(_one_bucket, work, engine.folder, units)
        engine.progress("scoring")
        engine.each(
            score_one,
            sources,
            bundle.directory.absolute(),
            scorer.version,
            shuffles,
            n_buckets,
            units,
            folder,
        )
        if refused is not None:
            _write_refused(refused, sources)
    return DirectoryResult(
        scorer.version.version,
        len(files),
        n_scored,
        sum(one.n_refused for one in accepted),
        tuple(_first_refused(sources, accepted)),
    )


def _check_writable(refused: Path) -> None:
    """Refuse now what would be refused after all rows were scored, and then cost all of them."""
    if refused.suffix.lower() in (".parquet", ".pq") or refused.is_dir() or not refused.parent.is_dir():
        raise StorageError(
            f"--rejected {refused}: name a .csv file in a directory that there is.",
            code="storage",
            field="--rejected",
        )


@contextmanager
def _appearing(engine: Engine, target: Path) -> Iterator[Path]:
    """Yield a directory that takes the target's name once all is in it."""
    if target.exists():
        raise StorageError(
            f"{target}: there is something already; remove it, or name another directory with --out.",
            code="exists",
        )
    # Beside the target: only within one file system does a name change hands at once.
    folder = target.absolute().with_name(f".{target.name}.partial-{uuid4().hex[:8]}")
    try:
        folder.mkdir()
    except OSError as error:
        raise StorageError(f"{folder.parent} cannot be written: {error.strerror}.", code="storage") from error
    try:
        check_folder(engine, folder)
        yield folder
        for left in folder.glob(".*"):  # what a worker was writing when it died; another wrote it anew
            left.unlink()
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def accept_file(
    source: Source,
    bundle: Path,
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    folder: Path,
    now: datetime,
    past_ids: Path,
) -> AcceptedFile:
    """Type a file's rows by the profile's rules, write them and their cells, and scatter them."""
    profile = _bundle(bundle).profile
    sheet = open_sheet(source.path, source.path.name, OWN)
    matching = by_name(sheet, profile)
    known = read_batch(past_ids).column(0)
    repeated = np.zeros(len(known), bool)
    id_column = matching.columns.get(profile.columns.id or "")
    rows: list[NDArray[np.int64]] = []
    refused: list[Refused] = []
    partial = source.folder.with_name(f"{source.folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    with CellsFile(partial / ROWS_FILE) as cells, CellsFile(partial / TYPED_FILE) as typed_file:
        for piece in pieces(sheet):
            accepted = accept(piece, matching, profile, now)
            refused += accepted.refused
            if accepted.transactions is None:
                continue
            if id_column is not None and len(known):
                repeated |= _among(known, texts_of(accepted.batch.column(id_column)))
            cells.write(accepted.batch)
            typed = typed_cells(accepted, matching, profile)
            if typed is not None:
                typed_file.write(typed)
            table = accepted.transactions.take(np.argsort(accepted.transactions.rows))
            scatter(table, shuffles, n_buckets, folder, source.unit(len(rows)))
            write_batch(_unit_file(folder, source.unit(len(rows))), to_batch(table))
            rows.append(accepted.rows)
    joblib.dump((sheet, matching, rows, tuple(refused)), partial / "accepted.joblib")
    shutil.rmtree(source.folder, ignore_errors=True)  # of a worker that died after this line
    partial.rename(source.folder)
    n_refused = sum(len(one.rows) for one in refused)
    return AcceptedFile(
        tuple(map(len, rows)), n_refused, tuple(map(_head, refused)), np.flatnonzero(repeated)
    )


def _among(known: pa.Array, ids: pa.Array) -> NDArray[np.bool_]:
    """Return which of the known ids occur among others, bool [n_known]."""
    return np.asarray(pc.is_in(known, value_set=ids).to_numpy(zero_copy_only=False), bool)


def _head(one: Refused) -> Refused:
    return Refused(one.rows[:SHOWN], one.lines[:SHOWN], one.column, one.rule)


def _unit_file(folder: Path, unit: str) -> Path:
    return folder / f"typed-{unit}.arrow"


@lru_cache(maxsize=1)
def _bundle(directory: Path) -> Bundle:
    return load_bundle(directory)


def _one_bucket(work: tuple[Shuffle, int], folder: Path, units: Sequence[str]) -> int:
    return bucket_features(*work, folder, units, [0] * len(units), EVER)


def score_one(
    source: Source,
    bundle: Path,
    version: ModelVersion,
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    units: Sequence[str],
    target: Path,
) -> int:
    """Score a file's units and write them with both models' answers; return the number of rows."""
    loaded = _bundle(bundle)
    sheet, matching, rows, refused = joblib.load(source.folder / "accepted.joblib")
    answers: dict[str, list[NDArray[np.float64]]] = {name: [] for name in loaded.models}
    folder = source.folder.parent
    for piece in range(len(rows)):
        unit = source.unit(piece)
        table = from_batch(read_batch(_unit_file(folder, unit)))
        features = _features(loaded, table, shuffles, n_buckets, folder, list(units).index(unit))
        for name, model in loaded.models.items():
            answers[name].append(model.calibration(model.forest.probability(features)))
    if rows:
        table_of = _scored(source, sheet, matching, loaded, version, np.concatenate(rows), answers, refused)
        partial = target / f".{source.path.name}.{os.getpid()}"
        table_of.write_parquet(partial)
        os.replace(partial, target / source.path.name)
    return sum(map(len, rows))


def _features(
    bundle: Bundle,
    table: Transactions,
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    folder: Path,
    number: int,
) -> NDArray[np.float32]:
    history: History | None = None
    if shuffles:
        history = Joined(bundle.profile, join(shuffles, n_buckets, folder, number, len(table)))
    return bundle.pipeline.transform(table, history)


def _scored(
    source: Source,
    sheet: Sheet,
    matching: Matching,
    bundle: Bundle,
    version: ModelVersion,
    rows: NDArray[np.int64],
    answers: dict[str, list[NDArray[np.float64]]],
    refused: tuple[Refused, ...],
) -> ScoredTable:
    return ScoredTable(
        folder=source.folder,
        sheet=sheet,
        matching=matching,
        profile=bundle.profile,
        model_version=version,
        thresholds={name: model.thresholds for name, model in bundle.models.items()},
        rows=rows,
        probability={name: np.concatenate(parts) for name, parts in answers.items()},
        refused=refused,
    )


def _first_refused(
    sources: Sequence[Source], accepted: Sequence[AcceptedFile]
) -> Iterator[tuple[str, int, str, str]]:
    n_shown = 0
    for source, one in zip(sources, accepted, strict=True):
        listed = sorted((int(row), part.column, part.rule) for part in one.refused for row in part.rows)
        for row, column, rule in listed[: SHOWN - n_shown]:
            n_shown += 1
            yield source.path.name, row, column, rule


def _write_refused(path: Path, sources: Sequence[Source]) -> None:
    """Write the refused rows of all files in their order, as the CSV of one file, each with its name."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "line", "row", "column", "rule"])
        for source in sources:
            _, _, _, refused = joblib.load(source.folder / "accepted.joblib")
            found = [
                (int(row), int(line), one.column, one.rule)
                for one in refused
                for row, line in zip(one.rows, one.lines, strict=True)
            ]
            for row, line, *words in sorted(found, key=lambda each: each[0]):
                name, column, rule = safe_texts(pa.array([source.path.name, *words], pa.string())).to_pylist()
                writer.writerow([name, line, row, column, rule])
