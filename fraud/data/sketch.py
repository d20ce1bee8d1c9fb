"""Counts of a stretch of transactions on fixed bins: small, mergeable, the same in whatever order they came.

A sketch keeps no row. Bins are chosen once, on the stretch that others are compared with; after that
everything is an integer count, so that merging two sketches gives what one pass over both would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS
from fraud.data.table import Coded, Floats, Integers

Hashes = NDArray[np.uint64]
N_BINS = 128
"""Number of quantile bins: the distance of Kolmogorov and Smirnov is met to within a bin's share, 0.8%."""
N_GROUPS = 10
"""Coarser bins, about a tenth of the rows each, for PSI and for what varies by day and by entity."""
MAX_LEVELS = 500
HOURS_PER_CELL = 3
N_CELLS = 2 * 24 // HOURS_PER_CELL
"""Calendar cells: three hours of a working day or of a weekend day, in UTC."""
MAX_CLUSTERS = 512
"""Entities that the design effect is estimated from; its standard error is then about 6%."""


@dataclass(frozen=True)
class NumberBins:
    """Bins of a number: bin i holds (bounds[i - 1], bounds[i]], the last one everything above.

    A value that many rows share has a bin of its own, so ties cost no accuracy; where no more than N_BINS
    values are found, all have (`exact`). The first bin holds what lies below anything found.
    """

    bounds: Floats
    exact: bool

    @classmethod
    def of(cls, values: Floats) -> "NumberBins":
        """Return bins for values like these; NaN are left out."""
        distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        if len(distinct) == 0:
            return cls(np.empty(0), exact=True)
        below = np.nextafter(distinct[0], -np.inf)
        if len(distinct) <= N_BINS:
            return cls(np.concatenate([[below], distinct]), exact=True)
        below_or_at = np.cumsum(counts)
        # Tails are cut ever finer: a wide last bin would spoil distances that have a unit.
        tail = 2.0 ** -np.arange(7.5, 17, 0.5)
        shares = np.concatenate([np.arange(1, N_BINS) / N_BINS, tail, 1 - tail])
        picked = np.searchsorted(below_or_at, shares * below_or_at[-1])
        heavy = np.flatnonzero(counts * N_BINS >= below_or_at[-1])
        picked = np.unique(np.concatenate([picked, heavy, heavy - 1, [len(distinct) - 1]]))
        return cls(np.concatenate([[below], distinct[picked[picked >= 0]]]), exact=False)

    def __len__(self) -> int:
        return len(self.bounds) + 1

    def index(self, values: Floats) -> NDArray[np.intp]:
        """Return each value's bin, -1 where missing."""
        return np.where(np.isnan(values), -1, np.searchsorted(self.bounds, values))


@dataclass(frozen=True)
class LevelBins:
    """Bins of a category: one for each level, the last one for all others.

    Where the stretch had more than MAX_LEVELS levels the last bin holds the rarest of them (not `complete`),
    and what is new cannot be told from what is rare.
    """

    levels: tuple[str, ...]
    complete: bool

    @classmethod
    def of(cls, column: Coded) -> "LevelBins":
        """Return bins for the levels that occur, the most frequent first."""
        counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
        found = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], column.values[i]))
        kept = tuple(column.values[i] for i in found[:MAX_LEVELS])
        return cls(kept, complete=len(found) <= MAX_LEVELS)

    def __len__(self) -> int:
        return len(self.levels) + 1

    @cached_property
    def position(self) -> dict[str, int]:
        """Each level's bin."""
        return {level: i for i, level in enumerate(self.levels)}

    def index(self, column: Coded) -> NDArray[np.intp]:
        """Return each row's bin, -1 where missing."""
        last = len(self.levels)
        lookup = np.array([self.position.get(value, last) for value in column.values] + [-1], np.intp)
        return lookup[column.codes]


Bins = NumberBins | LevelBins


def groups_of(bins: Bins, counts: Integers) -> NDArray[np.intp]:
    """Return each bin's coarser group: neighbours for numbers, the most frequent levels and a rest.

    Parameters
    ----------
    counts : int64 [bins], of the stretch that the bins were chosen on
    """
    if isinstance(bins, LevelBins):
        return np.minimum(np.arange(len(bins)), N_GROUPS - 1)
    total = counts.sum()
    groups = np.zeros(len(bins), np.intp)
    inside, group = 0, 0
    for i, count in enumerate(counts.tolist()):
        # A group is closed when it is full, or when a value that would fill one by itself comes next.
        if inside and (inside + count / 2 > total / N_GROUPS or count >= total / N_GROUPS):
            group, inside = group + 1, 0
        groups[i] = group
        inside += count
    return groups


def calendar_cells(time_ms: Integers | None, n_rows: int) -> NDArray[np.intp]:
    """Return each row's calendar cell, 0 without times."""
    if time_ms is None:
        return np.zeros(n_rows, np.intp)
    day = time_ms // DAY_MS
    weekend = (day + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    hours = (time_ms - day * DAY_MS) // (HOURS_PER_CELL * 3_600_000)
    return (hours + weekend * (N_CELLS // 2)).astype(np.intp)


@dataclass(frozen=True)
class Slices:
    """The rows of a batch ordered by day and calendar cell."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    days: Integers
    cells: NDArray[np.intp]

    @classmethod
    def of(cls, time_ms: Integers | None, n_rows: int) -> "Slices":
        """Sort once for all columns."""
        cells = calendar_cells(time_ms, n_rows)
        days = np.zeros(n_rows, np.int64) if time_ms is None else time_ms // DAY_MS
        key = days * N_CELLS + cells
        order = np.argsort(key, kind="stable")
        found, starts = np.unique(key[order], return_index=True)
        return cls(order, np.append(starts, n_rows), found // N_CELLS, (found % N_CELLS).astype(np.intp))

    def numbers(self, bins: NumberBins, values: Floats) -> Integers:
        """Return int64 [slices, bins + 1], the last column the missing ones."""
        ordered = values[self.order]
        # Of each slice, how many lie at or below a bound: sorting is faster than looking each value up.
        below = np.zeros((len(self.days), len(bins) + 2), np.int64)
        for i, (start, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            part = np.sort(ordered[start:end])  # NaN last
            below[i, 1:-2] = part.searchsorted(bins.bounds, side="right")
            below[i, -2] = part.searchsorted(np.nan)
            below[i, -1] = len(part)
        return np.diff(below, axis=1)

    def levels(self, bins: LevelBins, column: Coded) -> Integers:
        """Return int64 [slices, bins + 1], the last column the missing ones."""
        index = bins.index(column)[self.order]
        index[index < 0] = len(bins)
        row = np.repeat(np.arange(len(self.days)), np.diff(self.starts))
        width = len(bins) + 1
        return np.bincount(row * width + index, minlength=len(self.days) * width).reshape(-1, width)


class Clusters:
    """Counts by entity, of the MAX_CLUSTERS entities whose texts have the smallest hashes.

    An entity among the smallest of all is among the smallest of any part, so its rows are all there,
    whatever the order in which they came.

    Parameters
    ----------
    widths : for each column the number of its groups, and one for missing values
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self._ends = np.cumsum(widths)
        self.keys = np.empty(0, np.uint64)
        self.sums = np.zeros((0, int(self._ends[-1])), np.int64)
        self.n_rows = 0
        self._known: tuple[tuple[str, ...], Hashes] = ((), np.empty(0, np.uint64))

    def rows(self, column: Coded) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Take note of a batch's entities; return the rows of the sampled ones, and the place of each."""
        hashes = self._hashes(column)
        self.n_rows += int((column.codes >= 0).sum())
        present = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values)) > 0
        self._admit(np.unique(hashes[present]))
        place = np.full(len(hashes) + 1, -1, np.intp)
        if len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
            place[:-1] = np.where(self.keys[at] == hashes, at, -1)
        places = place[column.codes]
        rows = np.flatnonzero(places >= 0)
        return rows, places[rows]

    def add(self, column: int, places: NDArray[np.intp], groups: NDArray[np.intp]) -> None:
        """Count one column of the rows that `rows` returned."""
        mine = self.of_column(column)
        width = mine.shape[1]
        mine += np.bincount(places * width + groups, minlength=mine.size).reshape(mine.shape)

    def merge(self, other: "Clusters") -> None:
        """Take in what another stretch counted."""
        self._admit(other.keys)
        self.n_rows += other.n_rows
        _, mine, theirs = np.intersect1d(self.keys, other.keys, assume_unique=True, return_indices=True)
        self.sums[mine] += other.sums[theirs]

    def of_column(self, column: int) -> Integers:
        """Return int64 [entities, groups + 1]: a view."""
        start = 0 if column == 0 else self._ends[column - 1]
        return self.sums[:, start : self._ends[column]]

    def _admit(self, hashes: Hashes) -> None:
        keys = np.union1d(self.keys, hashes)[:MAX_CLUSTERS]
        sums = np.zeros((len(keys), self.sums.shape[1]), np.int64)
        _, new, old = np.intersect1d(keys, self.keys, assume_unique=True, return_indices=True)
        sums[new] = self.sums[old]
        self.keys, self.sums = keys, sums

    def _hashes(self, column: Coded) -> Hashes:
        if self._known[0] is not column.values:
            import pandas as pd

            values = np.array(column.values, dtype=object)
            self._known = (column.values, np.asarray(pd.util.hash_array(values, categorize=False)))
        return self._known[1]


def design_effect(counts: Integers, *, cumulative: bool) -> float:
    """Return how many times larger the variance of shares is than if rows were independent; at least 1.

    The ratio of the linearised variance of clusters to the binomial one, both summed over the groups: the
    first-order correction of Rao and Scott (1981).

    Parameters
    ----------
    counts : int64 [clusters, groups]
    cumulative : compare shares at or below each group, as numbers are
    """
    counts = counts[counts.sum(axis=1) > 0]
    n_clusters, n_rows = len(counts), counts.sum()
    if n_clusters < 2:
        return float(max(n_rows, 1))  # one entity's rows say no more than one row
    seen = np.cumsum(counts, axis=1)[:, :-1] if cumulative else counts
    share = seen.sum(axis=0) / n_rows
    error = seen - counts.sum(axis=1, keepdims=True) * share
    clustered = n_clusters / (n_clusters - 1) * (error**2).sum() / n_rows
    independent = (share * (1 - share)).sum()
    return max(1.0, float(clustered / independent)) if independent > 0 else 1.0
