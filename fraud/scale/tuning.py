"""`tune --engine dask`: the folds of a trial side by side on the workers, their matrices in files.

The search itself stays where it is, one trial after the other, because each proposal learns from those before
it; so a search finds what it finds in one process, and goes on from the same journal. What a trial is pruned
by is told in the folds' order, and folds that nobody asks for any more are not begun.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib

from fraud.data.profile import ModelSettings, Profile
from fraud.data.table import Transactions, concatenate
from fraud.errors import TableError
from fraud.models.folds import Figures, FoldData, judge
from fraud.scale.agreement import check_seen
from fraud.scale.cluster import Engine
from fraud.scale.partitions import Partition, file_digest, partitions_of, read_partition, table_digest
from fraud.scale.typed import from_batch, read_batch, to_batch, write_batch

MAX_ROWS = 20_000_000
"""Rows of a table to search on: this process holds all of them, some 4 GB, and every fold's matrix."""


class FoldsOnWorkers:
    """Judges folds on the workers: a `JudgeFolds`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._files: dict[int, tuple[FoldData, Path]] = {}

    def __call__(
        self,
        name: str,
        data: Sequence[FoldData],
        settings: ModelSettings,
        seed: int,
        profile: Profile,
        cards: bool,
    ) -> Iterator[Figures]:
        """Yield each fold's figures in their order; raises as `fraud.models.folds.judge`."""
        work = [(name, self._file(fold), settings, seed, profile, cards) for fold in data]
        return self._engine.one_by_one(_judged, work)

    def _file(self, fold: FoldData) -> Path:
        """Return the file of a fold's matrices; the fold is kept, lest another gets its place in memory."""
        if id(fold) not in self._files:
            path = self._engine.folder / f"fold-{len(self._files)}.joblib"
            joblib.dump(fold, path)
            self._files[id(fold)] = (fold, path)
        return self._files[id(fold)][1]


def _judged(work: tuple[str, Path, ModelSettings, int, Profile, bool]) -> Figures:
    name, path, settings, seed, profile, cards = work
    return judge(name, joblib.load(path), settings, seed, profile, cards)


def load_here(
    engine: Engine, files: Sequence[Path], profile: Profile, n_rows: int
) -> tuple[Transactions, str]:
    """Return a partitioned table in this process, typed by the workers, and its digest.

    Raises
    ------
    TableError
        A row breaks the profile, or there are more than `MAX_ROWS`.
    """
    check_seen(engine, files[0])
    partitions = partitions_of(files, n_rows)
    total = sum(map(len, partitions))
    if total > MAX_ROWS:
        raise TableError(
            f"A search needs its table in one process, {MAX_ROWS:,} rows at most, and it has {total:,}; "
            "search on a part of its cards, whole, and train on all.",
            code="too_large",
        )
    engine.each(_typed, partitions, profile, engine.folder)
    tables = [from_batch(read_batch(_file(engine.folder, p))) for p in partitions]
    digests = engine.each(file_digest, [str(path) for path in files])
    return concatenate(tables), table_digest(digests)


def _typed(partition: Partition, profile: Profile, folder: Path) -> int:
    write_batch(_file(folder, partition), to_batch(read_partition(partition, profile)))
    return len(partition)


def _file(folder: Path, partition: Partition) -> Path:
    return folder / f"table-{partition.number}.arrow"
