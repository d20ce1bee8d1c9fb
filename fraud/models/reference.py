"""What a model saw: the columns, scores and decisions of a stretch of transactions, as counts.

The reference of a release is the sketch of its held-out window. It goes into the bundle, so monitoring never
needs a training row. A current window is sketched on the bins of the reference, and so is any other stretch
that it is compared with. docs/decisions/0016-drift.md says what rests on what.

Columns of a sketch: the profile's fields by name; `score:<model>`, the calibrated probability;
`alert:<model>`, whether the decision was another than "approve"; `disagreement`, whether one model alerts
and the other does not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.sketch import (
    N_CELLS,
    Bins,
    Clusters,
    LevelBins,
    NumberBins,
    Slices,
    design_effect,
    groups_of,
)
from fraud.data.table import Coded, Floats, Integers, Transactions, concatenate

Kind = Literal["number", "category", "rate"]
DISAGREEMENT = "disagreement"
MAX_SAMPLE = 200_000
"""Rows that bins are chosen on."""
MAX_BLOCKS = 64
"""Blocks of days of a sketch; a longer stretch has longer blocks."""
_YES_NO = ("no", "yes")


@dataclass(frozen=True, slots=True)
class Batch:
    """Scored transactions, in any order.

    Attributes
    ----------
    transactions : n rows
    probability : model -> float64 [n], calibrated; empty where nothing was scored
    alerted : model -> bool [n]
    """

    transactions: Transactions
    probability: Mapping[str, Floats] = field(default_factory=dict)
    alerted: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def column(self, name: str, kind: Kind) -> Floats | Coded:
        """Return one column of a sketch, row by row; all missing where the batch does not have it."""
        table = self.transactions
        if name == DISAGREEMENT:
            answers = list(self.alerted.values())
            return _yes_no(answers[0] != answers[1]) if len(answers) == 2 else _nothing(len(table), kind)
        source, _, model = name.partition(":")
        if source == "score" and model in self.probability:
            return self.probability[model]
        if source == "alert" and model in self.alerted:
            return _yes_no(self.alerted[model])
        if name in table.texts:
            return table.texts[name]
        if name in table.numbers:
            numbers = table.numbers[name]
            return numbers if kind == "number" else _yes_no(numbers)
        return _nothing(len(table), kind)


def _yes_no(flags: NDArray[Any]) -> Coded:
    codes = np.where(np.isnan(flags), -1, flags) if flags.dtype.kind == "f" else flags
    return Coded(codes.astype(np.int32), _YES_NO)


def _nothing(n_rows: int, kind: Kind) -> Floats | Coded:
    return np.full(n_rows, np.nan) if kind == "number" else Coded(np.full(n_rows, -1, np.int32), ())


@dataclass(frozen=True)
class Column:
    """How one column is counted: its bins, and which coarser group each bin belongs to."""

    name: str
    kind: Kind
    unit: str
    bins: Bins
    groups: NDArray[np.intp]

    @property
    def is_answer(self) -> bool:
        """Whether the models made it, so that it is never missing but where nothing was scored."""
        return self.name == DISAGREEMENT or self.name.partition(":")[0] in ("score", "alert")

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.groups.max(initial=0)) + 1

    def grouped(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Sum bins [..., bins] to groups [..., groups]."""
        total = np.zeros((*counts.shape[:-1], self.n_groups), counts.dtype)
        np.add.at(total.T, self.groups, counts.T)
        return total


@dataclass(frozen=True)
class Layout:
    """The columns of a sketch and the entities whose rows depend on each other."""

    columns: tuple[Column, ...]
    entities: tuple[str, ...]

    @classmethod
    def of(cls, profile: Profile, sample: Batch) -> "Layout":
        """Choose bins on rows like those that will be counted."""
        wanted: list[tuple[str, Kind, str]] = [
            (f.column, _KINDS[f.kind], "days" if f.kind == "date" else f.unit) for f in profile.fields
        ]
        wanted += [(f"score:{model}", "number", "") for model in sample.probability]
        wanted += [(f"alert:{model}", "rate", "") for model in sample.alerted]
        if len(sample.alerted) == 2:
            wanted.append((DISAGREEMENT, "rate", ""))
        columns = tuple(_layout_column(name, kind, unit, sample) for name, kind, unit in wanted)
        return cls(columns, tuple(dict.fromkeys(e.column for e in profile.entities)))


_KINDS: Mapping[str, Kind] = {
    "number": "number",
    "date": "number",
    "category": "category",
    "boolean": "category",
}


def _layout_column(name: str, kind: Kind, unit: str, sample: Batch) -> Column:
    values = sample.column(name, kind)
    bins: Bins
    if isinstance(values, Coded):
        bins = LevelBins(_YES_NO, complete=True) if kind == "rate" else LevelBins.of(values)
    else:
        bins = NumberBins.of(values)
    index = bins.index(values)  # type: ignore[arg-type]
    counts = np.bincount(index[index >= 0], minlength=len(bins))
    return Column(name, kind, unit, bins, groups_of(bins, counts))


@dataclass(frozen=True)
class ColumnCounts:
    """One column of a sketch.

    Attributes
    ----------
    cells : int64 [calendar cells, bins + 1], the last column the missing values
    blocks : int64 [blocks of days, groups + 1], the last column the missing values
    effect, missing_effect : design effects of the distribution, and of the share of missing values
    outside : sums of how far values lie below the first bound and above the last, in the column's unit
    """

    cells: Integers
    blocks: Integers
    effect: float
    missing_effect: float
    outside: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def total(self) -> Integers:
        """Return int64 [bins], missing values left out."""
        total: Integers = self.cells[:, :-1].sum(axis=0)
        return total

    @property
    def n_missing(self) -> int:
        """Number of missing values."""
        return int(self.cells[:, -1].sum())


@dataclass(frozen=True)
class Sketch:
    """Counts of a stretch of transactions.

    Attributes
    ----------
    counts : one for each column of the layout
    cell_rows : int64 [calendar cells]
    block_rows : int64 [blocks of days, calendar cells]; without rows where transactions have no time
    block_days : length of a block
    n_days : days with a transaction, 0 without times
    first_ms, last_ms : the transactions' own times, None without
    extensions : what else a release wants monitored, JSON by name; not interpreted here
    """

    layout: Layout
    counts: tuple[ColumnCounts, ...]
    cell_rows: Integers
    block_rows: Integers
    block_days: int
    n_days: int
    first_ms: int | None
    last_ms: int | None
    extensions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of transactions."""
        return int(self.cell_rows.sum())

    def with_extension(self, name: str, content: Mapping[str, Any]) -> "Sketch":
        """Return the same sketch with one more thing for monitoring to find."""
        return replace(self, extensions={**self.extensions, name: content})


Reference = Sketch
"""What a release saw on its held-out window."""


class Tally:
    """Counts in the making: `update` by batches, `merge` with another of the same layout, then `sketch`.

    Peak memory is a batch's, plus a few kilobytes for each column and day.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        n = len(layout.columns)
        self._cells = [np.zeros((N_CELLS, len(c.bins) + 1), np.int64) for c in layout.columns]
        self._outside = np.zeros((n, 2))
        self._day_rows: dict[int, Integers] = {}
        self._day_groups: dict[int, list[Integers]] = {}
        self._clusters = [Clusters([c.n_groups + 1 for c in layout.columns]) for _ in layout.entities]
        self._times: tuple[int, int] | None = None
        self._timed = True

    def update(self, batch: Batch) -> None:
        """Count a batch."""
        table = batch.transactions
        if len(table) == 0:
            return
        self._note_times(table.time_ms)
        slices = Slices.of(table.time_ms, len(table))
        self._count_days(slices)
        sampled = [
            clusters.rows(table.texts[entity]) if entity in table.texts else None
            for clusters, entity in zip(self._clusters, self._layout.entities, strict=True)
        ]
        for i, column in enumerate(self._layout.columns):
            values = batch.column(column.name, column.kind)
            self._count(i, column, values, slices)
            for clusters, rows in zip(self._clusters, sampled, strict=True):
                if rows is not None:
                    clusters.add(i, rows[1], _groups(column, values, rows[0]))

    def merge(self, other: "Tally") -> None:
        """Take in what another tally of the same layout counted."""
        for mine, theirs in zip(self._cells, other._cells, strict=True):
            mine += theirs
        self._outside += other._outside
        for day, rows in other._day_rows.items():
            self._day(day)
            self._day_rows[day] += rows
            for mine, theirs in zip(self._day_groups[day], other._day_groups[day], strict=True):
                mine += theirs
        for clusters, others in zip(self._clusters, other._clusters, strict=True):
            clusters.merge(others)
        self._timed &= other._timed
        if other._times is not None:
            low, high = self._times or other._times
            self._times = min(low, other._times[0]), max(high, other._times[1])

    def sketch(self) -> Sketch:
        """Return what was counted so far."""
        days = sorted(self._day_rows) if self._timed else []
        length = 1 if not days else -(-(days[-1] - days[0] + 1) // MAX_BLOCKS)
        blocks = sorted({(day - days[0]) // length for day in days})
        place = {block: i for i, block in enumerate(blocks)}
        rows = np.zeros((len(blocks), N_CELLS), np.int64)
        groups = [np.zeros((len(blocks), c.n_groups + 1), np.int64) for c in self._layout.columns]
        for day in days:
            at = place[(day - days[0]) // length]
            rows[at] += self._day_rows[day]
            for i, counts in enumerate(self._day_groups[day]):
                groups[i][at] += counts
        first, last = self._times or (None, None)
        cell_rows = sum(self._day_rows.values(), np.zeros(N_CELLS, np.int64))
        columns = tuple(self._column(i, groups[i]) for i in range(len(groups)))
        return Sketch(self._layout, columns, cell_rows, rows, length, len(days), first, last)

    def _note_times(self, time_ms: Integers | None) -> None:
        if time_ms is None:
            self._timed = False
            return
        low, high = int(time_ms.min()), int(time_ms.max())
        known = self._times or (low, high)
        self._times = min(low, known[0]), max(high, known[1])

    def _day(self, day: int) -> None:
        if day not in self._day_rows:
            self._day_rows[day] = np.zeros(N_CELLS, np.int64)
            self._day_groups[day] = [np.zeros(c.n_groups + 1, np.int64) for c in self._layout.columns]

    def _count_days(self, slices: Slices) -> None:
        sizes = np.diff(slices.starts)
        for day, cell, size in zip(slices.days.tolist(), slices.cells.tolist(), sizes.tolist(), strict=True):
            self._day(day)
            self._day_rows[day][cell] += size

    def _count(self, i: int, column: Column, values: Floats | Coded, slices: Slices) -> None:
        if isinstance(column.bins, NumberBins) and not isinstance(values, Coded):
            counts = slices.numbers(column.bins, values)
            bounds = column.bins.bounds
            if len(bounds) and (counts[:, 0].any() or counts[:, -2].any()):
                self._outside[i, 0] += np.nansum(np.maximum(bounds[0] - values, 0))
                self._outside[i, 1] += np.nansum(np.maximum(values - bounds[-1], 0))
        elif isinstance(column.bins, LevelBins) and isinstance(values, Coded):
            counts = slices.levels(column.bins, values)
        else:
            raise TypeError(f"column {column.name} is not of the layout's kind")
        np.add.at(self._cells[i], slices.cells, counts)
        groups = np.hstack([column.grouped(counts[:, :-1]), counts[:, -1:]])
        for day, row in zip(slices.days.tolist(), groups, strict=True):
            self._day_groups[day][i] += row

    def _column(self, i: int, blocks: Integers) -> ColumnCounts:
        cells, effect, missing_effect = self._cells[i].copy(), 1.0, 1.0
        number = self._layout.columns[i].kind == "number"
        n_rows = max(int(cells.sum()), 1)
        for clusters in self._clusters:
            counts = clusters.of_column(i)
            # Rows without this entity depend on nobody's.
            share = min(clusters.n_rows / n_rows, 1.0)
            here = design_effect(counts[:, :-1], cumulative=number)
            effect = max(effect, 1 + share * (here - 1))
            missing = np.stack([counts[:, :-1].sum(axis=1), counts[:, -1]], axis=1)
            missing_effect = max(missing_effect, 1 + share * (design_effect(missing, cumulative=False) - 1))
        low, high = self._outside[i].tolist()
        return ColumnCounts(cells, blocks, effect, missing_effect, (low, high))


def _groups(column: Column, values: Floats | Coded, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the groups of some rows, the last one the missing values."""
    part = values.take(rows) if isinstance(values, Coded) else values[rows]
    index = column.bins.index(part)  # type: ignore[arg-type]
    return np.append(column.groups, column.n_groups)[np.where(index < 0, len(column.bins), index)]


def build_reference(profile: Profile, batches: Callable[[], Iterable[Batch]]) -> Reference:
    """Return the sketch of a stretch that is read twice: to choose bins on a sample, and to count.

    Parameters
    ----------
    batches : called twice; yields the same rows both times
    """
    tally = Tally(Layout.of(profile, _sample(batches())))
    for batch in batches():
        tally.update(batch)
    return tally.sketch()


def in_batches(batch: Batch, n_rows: int = MAX_SAMPLE) -> Iterator[Batch]:
    """Yield a large batch in smaller ones."""
    for start in range(0, len(batch.transactions), n_rows):
        yield _take(batch, np.arange(start, min(start + n_rows, len(batch.transactions))))


def _take(batch: Batch, rows: NDArray[np.intp]) -> Batch:
    return Batch(
        batch.transactions.take(rows),
        {model: values[rows] for model, values in batch.probability.items()},
        {model: values[rows] for model, values in batch.alerted.items()},
    )


def _sample(batches: Iterable[Batch]) -> Batch:
    """Return every k-th row, k doubled whenever there are too many."""
    kept: list[Batch] = []
    step, passed, size = 1, 0, 0
    for batch in batches:
        n = len(batch.transactions)
        part = _take(batch, np.arange((-passed) % step, n, step))
        passed += n
        kept.append(part)
        size += len(part.transactions)
        while size > MAX_SAMPLE:
            step *= 2
            kept = [_take(b, np.arange(0, len(b.transactions), 2)) for b in kept]
            size = sum(len(b.transactions) for b in kept)
    # The columns of the sample are looked at one by one, so their rows need not stay side by side.
    return Batch(
        concatenate([b.transactions for b in kept]),
        {m: np.concatenate([b.probability[m] for b in kept]) for m in kept[0].probability},
        {m: np.concatenate([b.alerted[m] for b in kept]) for m in kept[0].alerted},
    )
