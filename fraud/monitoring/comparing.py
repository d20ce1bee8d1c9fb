"""Two stretches side by side: shares that can be compared, and what their rows are worth.

Calendar. A window's hours and weekdays are not those of the reference, so that is *standardised*: its
distributions by calendar cell (three hours of a working day or of a weekend day, UTC) are weighted as the
window's rows are. A window of one night is compared with nights.

Dependence. The variance of the difference between two shares has three parts, in units of p(1 - p):

    1 / n                    independent rows, of both stretches
    (d - 1) / n, the excess  rows of one card or merchant resemble each other (d is the design effect of Rao
                             and Scott); entities are taken to be those of the reference, whose own
                             (d - 1) / n is therefore subtracted, as for a finite population
    rho * l / days           days differ: rho is what the shares of l days in the reference vary by beyond
                             chance, with l as long as the window, or a sixth of the reference if that is less

An effective size is 1 over the sum. Assumed and not tested: that days of the reference vary as those after
it would, and, where the window brings as many entities as the reference but other ones, that these are
alike. A slow change of the data itself is drift here, whatever its cause.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.sketch import N_CELLS
from fraud.models.reference import Sketch

Floats = NDArray[np.float64]
MIN_BLOCKS = 6
"""Blocks of days below which their variation is not known."""
MIN_BLOCK_ROWS = 30
PRIOR_ROWS = 50.0
"""Rows of the whole reference that are added to each of its calendar cells, for those nearly empty."""
_HOURS = N_CELLS // 2


@dataclass(frozen=True, slots=True)
class Samples:
    """Shares of two stretches over the same bins.

    Attributes
    ----------
    reference, current : float64 [bins], each sums to 1; the reference as if it had the window's calendar
    rows_reference, rows_current : rows counted
    n_reference, n_current : what they are worth in independent rows
    """

    reference: Floats
    current: Floats
    rows_reference: int
    rows_current: int
    n_reference: float
    n_current: float

    @property
    def n(self) -> float:
        """Effective size of the comparison, 1 / (1 / n_reference + 1 / n_current)."""
        return 1 / (1 / self.n_reference + 1 / self.n_current)


def distribution(reference: Sketch, current: Sketch, column: int) -> Samples | None:
    """Return the shares of a column's bins, missing values left out; None where one side has no value."""
    then, now = reference.counts[column], current.counts[column]
    place = reference.layout.columns[column]
    groups = place.grouped(then.cells[:, :-1])
    rho = _variation(reference, current, then.blocks[:, :-1], groups, cumulative=place.kind == "number")
    return _samples(
        then.cells[:, :-1], now.cells[:, :-1], (then.effect, now.effect), rho, _days(reference, current)
    )


def missing(reference: Sketch, current: Sketch, column: int) -> Samples | None:
    """Return the shares of present and missing values."""
    then, now = reference.counts[column], current.counts[column]
    cells = _present_or_not(then.cells)
    rho = _variation(reference, current, _present_or_not(then.blocks), cells, cumulative=False)
    effects = then.missing_effect, now.missing_effect
    return _samples(cells, _present_or_not(now.cells), effects, rho, _days(reference, current))


def hours(reference: Sketch, current: Sketch) -> Samples | None:
    """Return the shares of the hours of a day, working days and weekends in the window's proportion."""
    then, now = (sketch.cell_rows.reshape(2, _HOURS) for sketch in (reference, current))
    blocks = reference.block_rows.reshape(-1, 2, _HOURS)
    rho = _correlation(
        blocks.sum(axis=1), blocks.sum(axis=2), _shares(then), _length(reference, current), False
    )
    return _samples(then, now, (1.0, 1.0), rho, _days(reference, current))


def variation_is_known(reference: Sketch) -> bool:
    """Return whether the reference is long enough to tell how much its days vary."""
    return len(reference.block_rows) >= MIN_BLOCKS


def _present_or_not(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([counts[:, :-1].sum(axis=1), counts[:, -1]], axis=1)


def _days(reference: Sketch, current: Sketch) -> tuple[float, float]:
    """Return the lengths of both stretches in blocks that vary together."""
    length = _length(reference, current) * reference.block_days
    return max(reference.n_days, 1) / length, max(current.n_days, 1) / length


def _length(reference: Sketch, current: Sketch) -> int:
    """Return how many blocks are taken together, so that they are about as long as the window."""
    wanted = current.n_days // reference.block_days
    return max(1, min(wanted, len(reference.block_rows) // MIN_BLOCKS))


def _shares(cells: NDArray[np.int64]) -> Floats:
    """Return each calendar cell's distribution, drawn a little towards that of all."""
    total = cells.sum()
    overall = cells.sum(axis=0) / max(total, 1)
    shares: Floats = (cells + PRIOR_ROWS * overall) / (cells.sum(axis=1, keepdims=True) + PRIOR_ROWS)
    return shares


def _samples(
    then: NDArray[np.int64],
    now: NDArray[np.int64],
    effects: tuple[float, float],
    rho: float,
    days: tuple[float, float],
) -> Samples | None:
    """Return standardised shares of counts [cells, bins], with effective sizes."""
    n_then, n_now = int(then.sum()), int(now.sum())
    if n_then == 0 or n_now == 0:
        return None
    weight = now.sum(axis=1) / n_now
    rows = then.sum(axis=1)
    if np.count_nonzero(weight) == 1 and np.count_nonzero(rows) == 1 and (weight > 0)[rows > 0].all():
        shares, kish = then.sum(axis=0) / n_then, 1 / n_then
    else:
        shares = weight @ _shares(then)
        kish = float((weight**2 / np.maximum(rows, PRIOR_ROWS)).sum())
    excess = max(0.0, (effects[1] - 1) / n_now - (effects[0] - 1) / n_then)
    return Samples(
        reference=shares / shares.sum(),
        current=now.sum(axis=0) / n_now,
        rows_reference=n_then,
        rows_current=n_now,
        n_reference=1 / (max(kish, 1 / n_then) + rho / days[0]),
        n_current=1 / (1 / n_now + excess + rho / days[1]),
    )


def _variation(
    reference: Sketch,
    current: Sketch,
    blocks: NDArray[np.int64],
    cells: NDArray[np.int64],
    *,
    cumulative: bool,
) -> float:
    mix = reference.block_rows
    return _correlation(blocks, mix, _shares(cells), _length(reference, current), cumulative)


def _correlation(
    blocks: NDArray[np.int64], mix: NDArray[np.int64], shares: Floats, length: int, cumulative: bool
) -> float:
    """Return what the shares of blocks vary by beyond chance, in units of p(1 - p); 0 if it is not known.

    Parameters
    ----------
    blocks : int64 [blocks, groups]
    mix : int64 [blocks, cells], their rows by calendar cell
    shares : float64 [cells, groups]
    length : blocks that are taken together
    cumulative : compare shares at or below each group
    """
    if len(blocks) < MIN_BLOCKS:
        return 0.0
    starts = np.arange(0, len(blocks) - length + 1, length)
    blocks, mix = (np.array([part[s : s + length].sum(axis=0) for s in starts]) for part in (blocks, mix))
    n = blocks.sum(axis=1)
    used = n >= MIN_BLOCK_ROWS
    if used.sum() < MIN_BLOCKS:
        return 0.0
    n = n[used, None]
    expected = (mix[used] / mix[used].sum(axis=1, keepdims=True)) @ shares
    observed = blocks[used] / n
    if cumulative:
        expected, observed = np.cumsum(expected, axis=1)[:, :-1], np.cumsum(observed, axis=1)[:, :-1]
    chance = expected * (1 - expected)
    beyond = ((observed - expected) ** 2 - chance / n).mean(axis=0).sum()
    scale = chance.mean(axis=0).sum()
    return max(0.0, float(beyond / scale)) if scale > 0 else 0.0
