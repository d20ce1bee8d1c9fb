"""What has to be known of every partition before a table can be split: small counts, never the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.scale.partitions import Partition, read_partition
from fraud.scale.shuffle import Shuffle, scatter
from fraud.scale.typed import from_batch, read_batch, to_batch, write_batch

I64 = NDArray[np.int64]
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Frauds:
    """The frauds of some rows: when they happened and became known, which row, whose (None: nobody's)."""

    time_ms: I64
    rows: I64
    known_at_ms: I64
    entities: NDArray[np.object_]


@dataclass(frozen=True)
class Counted:
    """One partition in numbers.

    Attributes
    ----------
    n_rows, n_frauds, n_legitimate : by the labels as they stand in the end
    first_ms, last_ms : of its rows' times; 0 without times
    hours, per_hour : hours since 1970 with labelled rows, and how many
    frauds : for the plan that drops compromised cards; empty for others
    """

    n_rows: int
    n_frauds: int
    n_legitimate: int
    first_ms: int
    last_ms: int
    hours: I64
    per_hour: I64
    frauds: Frauds

    @property
    def n_labelled(self) -> int:
        """Rows with a label."""
        return self.n_frauds + self.n_legitimate


def typed_file(folder: Path, partition: Partition) -> Path:
    """Return where a partition lies once it is typed."""
    return folder / f"typed-{partition.number}.arrow"


def unit_name(partition: Partition) -> str:
    """Return what a partition is called among the units of a shuffle."""
    return f"{partition.number}"


def type_partition(
    partition: Partition,
    profile: Profile,
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    folder: Path,
    dropped: str | None,
) -> Counted:
    """Read a partition by the profile's rules, write it typed and scattered; return its counts.

    Parameters
    ----------
    dropped : column of the entity whose compromised members a plan leaves out of its test

    Raises
    ------
    TableError
        A row breaks the profile.
    """
    table = read_partition(partition, profile)
    write_batch(typed_file(folder, partition), to_batch(table))
    scatter(table, shuffles, n_buckets, folder, unit_name(partition))
    return count(table, dropped)


def read_typed(folder: Path, partition: Partition) -> Transactions:
    """Return a typed partition, in the table's order."""
    return from_batch(read_batch(typed_file(folder, partition)))


def count(table: Transactions, dropped: str | None) -> Counted:
    """Return the counts of typed transactions."""
    known = ~np.isnan(table.labels)
    time = np.zeros(len(table), np.int64) if table.time_ms is None else table.time_ms
    hours, per_hour = np.unique(time[known] // HOUR_MS, return_counts=True)
    at = np.flatnonzero(table.labels == 1) if dropped is not None else np.zeros(0, np.intp)
    texts = [] if dropped is None else table.texts[dropped].take(at).texts()
    return Counted(
        n_rows=len(table),
        n_frauds=int((table.labels == 1).sum()),
        n_legitimate=int((table.labels == 0).sum()),
        first_ms=int(time.min()),
        last_ms=int(time.max()),
        hours=hours,
        per_hour=per_hour.astype(np.int64),
        frauds=Frauds(time[at], table.rows[at], table.known_at_ms[at], np.array(texts, dtype=object)),
    )


def labelled_within(folder: Path, partition: Partition, from_ms: int, before_ms: int) -> tuple[I64, I64]:
    """Return times and rows of a partition's labelled transactions of [from, before)."""
    table = read_typed(folder, partition)
    time = table.times()
    chosen = np.flatnonzero(~np.isnan(table.labels) & (time >= from_ms) & (time < before_ms))
    return time[chosen], table.rows[chosen]


def labels_of_partition(folder: Path, partition: Partition) -> tuple[NDArray[np.float32], I64]:
    """Return a partition's labels, NaN where unknown, and its moments, 0 without time."""
    table = read_typed(folder, partition)
    time = np.zeros(len(table), np.int64) if table.time_ms is None else table.time_ms
    return table.labels.astype(np.float32), time
