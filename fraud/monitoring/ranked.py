"""How well scores rank, from the audit sample: AUC, AP, precision at k a day, card precision at k a day.

Every score is known, so ranks are those among all predictions; only the frauds among them are estimated:

    AUC = sum_f w_f (rows below f - frauds below f) / (F (N - F))
    AP  = sum_f w_f (frauds >= f / rows >= f) / F

with ties counted half in AUC, F the weighted number of frauds and N that of predictions. With every label
known these are the figures of `fraud.models.evaluate`. Their variance is the jackknife's over the frauds
found, each counted by the part of it that is chance, 1 - pi r; limits are on the log-odds scale, with t.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from fraud.monitoring.audited import AuditedWindow
from fraud.monitoring.intervals import LEVEL, Limits, effective_number, logit_interval
from fraud.monitoring.performance import Figure, frauds_among

F64 = NDArray[np.float64]
Integers = NDArray[np.int64]
_FEWEST_FRAUDS = 3


def ranking_figures(window: AuditedWindow) -> dict[str, Figure]:
    """Return AUC and AP; without a fraud found they are unknown, and with fewer than 3 without limits."""
    found = window.rows[window.labels == 1]
    weight = 1.0 / window.chance[found]
    n_answers, effective = len(window.rows), effective_number(weight)
    ranks = _Ranks.of(window.probability, found)
    figures = {}
    for i, name in enumerate(("auc", "ap")):
        value = ranks.figures(weight)[i] if len(found) else float("nan")
        limits = _jackknife(ranks, weight, window.chance[found], i) if np.isfinite(value) else None
        figures[name] = Figure(
            value=float(value) if np.isfinite(value) else None,
            low=None if limits is None else limits.low,
            high=None if limits is None else limits.high,
            n_answers=n_answers,
            n_frauds=len(found),
            effective_n=effective,
        )
    return figures


class _Ranks:
    """Where the frauds found stand among all predictions and among each other."""

    def __init__(self, n: int, below: F64, at_least: F64, beneath: F64, above: F64) -> None:
        self._n, self._below, self._at_least = n, below, at_least
        self._beneath, self._above = beneath, above

    @classmethod
    def of(cls, probability: F64, found: NDArray[np.intp]) -> "_Ranks":
        """Sort once; the comparisons of the found with each other are [found, found]."""
        every, own = np.sort(probability), probability[found]
        less = np.searchsorted(every, own, side="left").astype(np.float64)
        up_to = np.searchsorted(every, own, side="right").astype(np.float64)
        equal = (own[:, None] == own[None, :]).astype(np.float64)
        beneath = (own[None, :] < own[:, None]) + equal / 2
        above = (own[None, :] >= own[:, None]).astype(np.float64)
        return cls(len(every), (less + up_to) / 2, len(every) - less, beneath, above)

    def figures(self, weight: F64) -> tuple[float, float]:
        """Return (AUC, AP) of the frauds found, weighted; NaN where they are all that there is."""
        frauds = float(weight.sum())
        if frauds <= 0:
            return float("nan"), float("nan")
        precision = np.minimum(1.0, self._above @ weight / self._at_least)
        ap = float(weight @ precision) / frauds
        others = self._n - frauds
        if others <= 0:
            return float("nan"), ap
        auc = float(weight @ (self._below - self._beneath @ weight)) / (frauds * others)
        return min(1.0, max(0.0, auc)), ap


def _jackknife(ranks: _Ranks, weight: F64, chance: F64, which: int) -> Limits | None:
    n = len(weight)
    value = ranks.figures(weight)[which]
    if n < _FEWEST_FRAUDS:
        return None
    moved = np.empty(n)
    for i in range(n):
        without = weight.copy()
        without[i] = 0.0
        moved[i] = ranks.figures(without)[which] - value
    usable = np.where(np.isfinite(moved), moved, 0.0)
    sd = float(np.sqrt(n / (n - 1) * ((1 - chance) * usable**2).sum()))
    return logit_interval(value, sd, float(student.ppf((1 + LEVEL) / 2, n - 1)))


def precision_at_k(window: AuditedWindow, day: Integers, k: int) -> Figure:
    """Return P@k: the share of frauds among the k highest scores of each day, averaged over the days.

    The k highest are known; where the lot is certain to fall on them the figure is exact, else it is their
    weighted share of frauds. A day with fewer than k predictions counts the missing ones as honest.

    Parameters
    ----------
    day : int [N]; below 0 the prediction is left out
    """
    order = np.lexsort((np.arange(len(window)), -window.probability, day))
    order = order[day[order] >= 0]
    top = np.zeros(len(window), bool)
    top[order[_place_within(day[order]) < k]] = True
    return _share_of(window, top, k * len(np.unique(day[order])))


def _place_within(ordered: Integers) -> Integers:
    """Return 0, 1, 2, ... within each run of equal values."""
    starts = (
        np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(ordered) else np.empty(0, int)
    )
    lengths = np.diff(np.append(starts, len(ordered)))
    return np.arange(len(ordered)) - np.repeat(starts, lengths)


def _share_of(window: AuditedWindow, domain: NDArray[np.bool_], places: int, basis: str = "audit") -> Figure:
    inside = domain[window.rows]
    weight, n_frauds = window.weight[inside], int(window.labels[inside].sum())
    total = frauds_among(window, domain) if places else None
    if total is None:
        return Figure(None, None, None, int(inside.sum()), n_frauds, effective_number(weight), basis)
    limits = (total.value / places, total.low / places, total.high / places)
    return Figure(*limits, int(inside.sum()), n_frauds, effective_number(weight), basis)


def card_precision_at_k(window: AuditedWindow, day: Integers, card: Integers, k: int) -> Figure:
    """Return CP@k: daily share of frauds among the k cards of highest score, a caught card left out after.

    A card is a fraud of the day when any of its transactions is. Where the label of every transaction of the
    cards at the top is certain to be known, that is what is counted, as in `evaluate.card_precision`.
    Elsewhere lots fall on transactions and not on cards, so a card counts by its highest-scored transaction
    (basis "highest_transaction"), which finds fewer frauds; and only a card that an answer calls a fraud is
    known to be caught.

    Parameters
    ----------
    day, card : int [N]; a card below 0 is unknown and left out, and so is a day below 0
    """
    label = np.full(len(window), np.nan)
    label[window.rows] = window.labels
    certain = ~np.isnan(label) & (window.chance >= 1)
    caught: set[int] = set()
    leading: list[int] = []
    n_found, exact = 0, True
    days = np.unique(day[day >= 0])
    for today in days:
        best, members = _cards_of(window.probability, day, card, int(today), caught)
        for code in sorted(best, key=lambda c: -window.probability[best[c]])[:k]:
            rows = members[code]
            exact = exact and bool(certain[rows].all())
            leading.append(best[code])
            if (label[rows] == 1).any():
                caught.add(code)
                n_found += 1
    top = np.zeros(len(window), bool)
    top[leading] = True
    if exact and leading:
        value = n_found / (k * len(days))
        return Figure(value, value, value, len(leading), n_found, float(len(leading)))
    return _share_of(window, top, k * len(days), "highest_transaction")


def _cards_of(
    probability: F64, day: Integers, card: Integers, today: int, caught: set[int]
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return each card's highest-scored row of a day, and all its rows of that day."""
    best: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero((day == today) & (card >= 0)).tolist():
        code = int(card[row])
        if code in caught:
            continue
        members.setdefault(code, []).append(row)
        if code not in best or probability[row] > probability[best[code]]:
            best[code] = row
    return best, members
