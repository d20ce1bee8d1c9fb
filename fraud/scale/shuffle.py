"""History features over partitions: all rows of one card in one bucket, and their features back to them.

A shuffle moves rows by one column's text, which every grouping that has the column among its keys shares: all
rows of a card lie in one bucket, so all rows of a card and a merchant do. Within a bucket rows are ordered by
time and then as in the table, as they are in a single process, and `fraud.features.history` computes what it
would compute there: it looks at one group at a time, and sums in whole hundredths. So the features are equal
to the last bit; tests compare them.

A unit is one partition's file. Row `at` of unit `u` is told by (u, at), and units follow the table's order.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fraud.data.profile import HistoryAggregate, Profile
from fraud.data.table import Transactions
from fraud.features.history import History, history_names
from fraud.features.reach import rows_in_reach
from fraud.scale.typed import coded_of, numbers_of, read_batch, save_array, write_batches

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
PAST_UNIT = "past"
REACH_FILE = "reach.npy"
PARTITIONS_A_BUCKET = 2
"""A bucket's rows have few columns, so more of them take the room of a partition; fewer are fewer reads."""


@dataclass(frozen=True)
class Shuffle:
    """A movement of rows by the text of `column`; `profile` asks for the features computed after it."""

    number: int
    column: str
    profile: Profile

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that the groupings' keys are made of."""
        return tuple(dict.fromkeys(name for a in self.profile.features.history for name in a.by))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that the features are made of."""
        amount, position = self.profile.columns.amount, self.profile.features.position
        return tuple(dict.fromkeys([*([] if amount is None else [amount]), *(position or ())]))

    @property
    def feature_names(self) -> list[str]:
        """Names of the features that are computed after it, in their order."""
        return [name for aggregate in self.profile.features.history for name in history_names(aggregate)]

    def file(self, folder: Path, unit: str) -> Path:
        """Return where a unit's rows lie, a batch for each bucket."""
        return folder / f"events-{self.number}-{unit}.arrow"

    def features_file(self, folder: Path, bucket: int) -> Path:
        """Return where a bucket's features lie, a batch for each unit."""
        return folder / f"features-{self.number}-{bucket}.arrow"

    def reach_file(self, folder: Path, bucket: int) -> Path:
        """Return where the rows lie that serving looks back on."""
        return folder / f"reach-{self.number}-{bucket}.npy"


def shuffles_of(profile: Profile) -> tuple[Shuffle, ...]:
    """Return the fewest movements that serve every grouping, of entities' columns where there are any."""
    remaining = list(dict.fromkeys(aggregate.by for aggregate in profile.features.history))
    entities = {entity.column for entity in profile.entities}
    found: list[Shuffle] = []
    while remaining:
        columns = list(dict.fromkeys(name for by in remaining for name in by))
        # Few buckets would hold all rows of a column with few texts, such as a channel.
        column = max(columns, key=lambda c: (c in entities, sum(c in by for by in remaining)))
        served = {by for by in remaining if column in by}
        mine = tuple(a for a in profile.features.history if a.by in served)
        found.append(Shuffle(len(found), column, _limited(profile, mine)))
        remaining = [by for by in remaining if by not in served]
    return tuple(found)


def _limited(profile: Profile, history: tuple[HistoryAggregate, ...]) -> Profile:
    """Return the profile with some of its aggregates, and with positions only if these need them."""
    far = any({"km", "speed"} & set(aggregate.last) for aggregate in history)
    position = profile.features.position if far else None
    features = profile.features.model_copy(update={"history": history, "position": position})
    return profile.model_copy(update={"features": features})


@dataclass(frozen=True)
class Asked:
    """Which rows get features: those of [from_ms, before_ms), with `labelled` only where a label is known.

    `reach_ms`: also note the rows that a transaction at that moment or later looks back on (None: do not).
    """

    from_ms: int
    before_ms: int
    labelled: bool
    reach_ms: int | None = None


def scatter(
    transactions: Transactions, shuffles: Sequence[Shuffle], n_buckets: int, folder: Path, unit: str
) -> None:
    """Write a unit's rows, in the order they have, to one file per shuffle with a batch for each bucket."""
    for shuffle in shuffles:
        bucket = _buckets(transactions, shuffle.column, n_buckets)
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(n_buckets + 1))
        batch = _events(transactions, shuffle).take(pa.array(order))
        parts = [batch.slice(low, high - low) for low, high in itertools.pairwise(bounds)]
        write_batches(shuffle.file(folder, unit), batch.schema, parts)


def _buckets(transactions: Transactions, column: str, n_buckets: int) -> I64:
    """Return each row's bucket; rows without a text have no past to be brought together with."""
    coded = transactions.texts[column]
    # A hash that does not change from process to process, as Python's own does.
    hashed = pd.util.hash_array(np.array([*coded.values, ""], dtype=object), categorize=False)
    of_text = (hashed % np.uint64(n_buckets)).astype(np.int64)[coded.codes]
    return np.where(coded.codes >= 0, of_text, np.arange(len(transactions)) % n_buckets)


def _events(transactions: Transactions, shuffle: Shuffle) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {
        "at": pa.array(np.arange(len(transactions)), pa.int32()),
        "time_ms": pa.array(transactions.times(), pa.int64()),
        "labels": pa.array(transactions.labels),
        "known_at_ms": pa.array(transactions.known_at_ms, pa.int64()),
    }
    columns |= {f"number:{name}": pa.array(transactions.numbers[name]) for name in shuffle.numbers}
    for name in shuffle.texts:
        coded = transactions.texts[name]
        values = pa.array([*coded.values, None], pa.string())  # code -1 is the last one
        codes = np.where(coded.codes < 0, len(coded.values), coded.codes)
        columns[f"text:{name}"] = values.take(pa.array(codes))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def bucket_features(
    shuffle: Shuffle, bucket: int, folder: Path, units: Sequence[str], first: Sequence[int], asked: Asked
) -> int:
    """Compute a bucket's features and write them, a batch for each unit; return the bucket's rows.

    Parameters
    ----------
    units : in the table's order; one called `PAST_UNIT` is looked back on and gets no features
    first : the number in the table of each unit's first row
    """
    batches = [read_batch(shuffle.file(folder, unit), bucket) for unit in units]
    unit = np.repeat(np.arange(len(units)), [batch.num_rows for batch in batches])
    table = pa.Table.from_batches(batches).combine_chunks()
    del batches
    at, time = numbers_of(table["at"]).astype(np.int64), numbers_of(table["time_ms"])
    order = np.lexsort((at, unit, time))
    unit, at = unit[order], at[order]
    rows = np.asarray(first, np.int64)[unit] + at
    events = _transactions(table.take(pa.array(order)), shuffle, rows)
    del table
    wanted = (events.times() >= asked.from_ms) & (events.times() < asked.before_ms)
    if asked.labelled:
        wanted &= ~np.isnan(events.labels)
    if PAST_UNIT in units:
        wanted &= unit != units.index(PAST_UNIT)
    chosen = np.flatnonzero(wanted)
    history = History.of(events, shuffle.profile)
    features = history.features(events.take(chosen))
    _write_features(shuffle.features_file(folder, bucket), unit[chosen], at[chosen], features, len(units))
    if asked.reach_ms is not None:
        kept = rows[rows_in_reach(events, shuffle.profile, asked.reach_ms)] if len(events) else rows
        save_array(shuffle.reach_file(folder, bucket), np.sort(kept))
    return len(events)


def _transactions(table: pa.Table, shuffle: Shuffle, rows: I64) -> Transactions:
    return Transactions(
        rows=rows,
        ids=np.full(len(rows), "", dtype=object),
        time_ms=numbers_of(table["time_ms"]),
        numbers={name: numbers_of(table[f"number:{name}"]) for name in shuffle.numbers},
        texts={name: coded_of(table[f"text:{name}"]) for name in shuffle.texts},
        labels=numbers_of(table["labels"]),
        known_at_ms=numbers_of(table["known_at_ms"]),
    )


def _write_features(path: Path, unit: I64, at: I64, features: dict[str, Any], n_units: int) -> None:
    order = np.lexsort((at, unit))
    bounds = np.searchsorted(unit[order], np.arange(n_units + 1))
    # The matrix that models see is float32, so nothing is lost by rounding here rather than there.
    values = np.stack([column[order] for column in features.values()], axis=1).astype(np.float32)
    # One column of rows, not a column for each feature: what is read back is many small pieces.
    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    batch = pa.RecordBatch.from_arrays([pa.array(at[order], pa.int32()), rows], names=["at", "features"])
    parts = [batch.slice(low, high - low) for low, high in itertools.pairwise(bounds)]
    write_batches(path, batch.schema, parts)


class Joined(History):
    """History features that were computed elsewhere, for the transactions that they were computed for."""

    def __init__(self, profile: Profile, columns: dict[str, F32]) -> None:
        super().__init__(profile, {})
        self._columns = columns

    def features(self, transactions: Transactions) -> dict[str, Any]:
        """Return the columns; `transactions` are those whose features they are, in their order."""
        return dict(self._columns)


def join(
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    folder: Path,
    number: int,
    n_rows: int,
) -> dict[str, F32]:
    """Return a unit's history features, name -> float32 [n_rows]; NaN in rows that none were asked for.

    Parameters
    ----------
    number : the unit's place among the units
    n_rows : of the unit
    """
    columns: dict[str, F32] = {}
    for shuffle in shuffles:
        names = shuffle.feature_names
        values = np.full((n_rows, len(names)), np.nan, np.float32)
        for bucket in range(n_buckets):
            at, rows = read_batch(shuffle.features_file(folder, bucket), number).columns
            values[at.to_numpy()] = rows.flatten().to_numpy().reshape(len(at), len(names))
        columns |= {name: values[:, i] for i, name in enumerate(names)}
    return columns


def gather_reach(shuffles: Sequence[Shuffle], n_buckets: int, folder: Path) -> int:
    """Write which rows serving looks back on into one file, for `in_reach`; return how many there are."""
    files = [shuffle.reach_file(folder, bucket) for shuffle in shuffles for bucket in range(n_buckets)]
    rows = np.unique(np.concatenate([np.load(path) for path in files]))
    save_array(folder / REACH_FILE, rows)
    return len(rows)


def in_reach(folder: Path, first: int, n_rows: int) -> NDArray[np.bool_]:
    """Return which rows of a unit serving looks back on, bool [n_rows]."""
    kept = np.zeros(n_rows, bool)
    rows = np.load(folder / REACH_FILE, mmap_mode="r")
    low, high = np.searchsorted(rows, [first, first + n_rows])
    kept[rows[low:high] - first] = True
    return kept
