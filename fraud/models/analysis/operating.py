"""What both models would do at other cut-offs: tables by which a page moves without asking again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.models.analysis.held_out import HeldOut
from fraud.models.evaluate import Estimate, loss_of_fraud
from fraud.records import MODELS

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
N_POINTS = 240
_REPLICATES = 1_000


@dataclass(frozen=True)
class _Ranked:
    """One model's scores, sorted once; `frauds[k]` and `saved[k]` are those of the k highest."""

    falling: F64
    frauds: F64
    saved: F64

    def n_above(self, cuts: F64) -> I64:
        """Return how many scores are at or above each cut-off."""
        rising = self.falling[::-1]
        return np.asarray(len(rising) - np.searchsorted(rising, cuts, side="left"), np.int64)


def by_probability(held_out: HeldOut, n_points: int = N_POINTS) -> pd.DataFrame:
    """Return what happens where both models alert from one calibrated probability on.

    Cut-offs are spaced evenly in log-odds from 0.1% to 99%, strictest first.

    Returns
    -------
    DataFrame, one row a cut-off: `value` (the cut-off); for each model M `M_threshold`, `M_alerts` and
    `M_hits` (counts of alerts, and of frauds among them), `M_cost` (reviews and missed frauds, in currency
    per 1,000 transactions); `both`, `both_hits` where both alert
    """
    odds = np.linspace(np.log(99.0), np.log(0.001 / 0.999), n_points)
    cuts = 1 / (1 + np.exp(-odds))
    return _table(held_out, cuts, {name: cuts for name in MODELS})


def by_alerts(held_out: HeldOut, n_points: int = N_POINTS) -> pd.DataFrame:
    """Return what happens where each model has its own cut-off, so that both raise about as many alerts.

    `value` is the number of alerts a day, or per 1,000 transactions where the window has no days; the other
    columns are those of `by_probability`. Ties may raise a model's alerts above it.
    """
    n = len(held_out)
    counts = np.unique(np.geomspace(1, max(2, n // 4), n_points).round().astype(np.int64))
    cuts = {name: _ranked(held_out, name).falling[counts - 1] for name in MODELS}
    per = held_out.n_days or n / 1_000
    return _table(held_out, counts / per, cuts)


def at_released(held_out: HeldOut) -> pd.DataFrame:
    """Return the one row of the released cut-offs, with the columns of `by_probability`; `value` is NaN."""
    return _table(held_out, np.array([np.nan]), {n: np.array([held_out.threshold(n)]) for n in MODELS})


def _ranked(held_out: HeldOut, name: str) -> _Ranked:
    order = np.argsort(-held_out.probability[name], kind="stable")
    labels = held_out.labels[order]
    saved = (_loss(held_out) * held_out.labels)[order]
    return _Ranked(held_out.probability[name][order], _running(labels), _running(saved))


def _loss(held_out: HeldOut) -> F64:
    amount = np.zeros(len(held_out)) if held_out.amount is None else held_out.amount
    return loss_of_fraud(amount, held_out.profile.costs)


def _running(values: F64) -> F64:
    return np.concatenate([np.zeros(1), np.cumsum(values)])


def _table(held_out: HeldOut, value: F64, cuts: Mapping[str, F64]) -> pd.DataFrame:
    columns: dict[str, F64 | I64] = {"value": value}
    per_1000, review = 1_000 / len(held_out), held_out.profile.costs.review
    for name in MODELS:
        ranked = _ranked(held_out, name)
        n_alerts = ranked.n_above(cuts[name])
        missed = ranked.saved[-1] - ranked.saved[n_alerts]
        columns[f"{name}_threshold"] = cuts[name]
        columns[f"{name}_alerts"] = n_alerts
        columns[f"{name}_hits"] = ranked.frauds[n_alerts].astype(np.int64)
        columns[f"{name}_cost"] = (n_alerts * review + missed) * per_1000
    # Cut-offs fall from row to row: a transaction joins a model's alerts at one row and stays.
    joined = [np.searchsorted(-cuts[name], -held_out.probability[name], side="left") for name in MODELS]
    both = np.maximum(*joined)
    size = len(value) + 1
    columns["both"] = np.cumsum(np.bincount(both, minlength=size))[:-1]
    hits = np.bincount(both, weights=held_out.labels, minlength=size)
    columns["both_hits"] = np.cumsum(hits)[:-1].astype(np.int64)
    return pd.DataFrame(columns)


def expected_at(held_out: HeldOut, name: str, threshold: float, seed: int = 7) -> dict[str, Estimate]:
    """Return a model's held-out metrics at a cut-off, with 95% percentile bootstrap intervals.

    Rows are drawn with Poisson weights, as in `evaluate`; transactions of one cell of the confusion matrix
    are alike, so cells are drawn, and only missed frauds one by one, for what each costs.
    """
    labels, alerts = held_out.labels, held_out.probability[name] >= threshold
    losses = _loss(held_out)[(labels == 1) & ~alerts]
    counts = np.array([labels[alerts].sum(), (1 - labels[alerts]).sum(), ((labels == 0) & ~alerts).sum()])
    hits, false_alarms, passed = counts.astype(np.float64)[:, None]
    missed = np.array([float(len(losses))])
    point = _figures(held_out, hits, false_alarms, passed, missed, np.array([losses.sum()]))
    rng = np.random.default_rng(seed)
    drawn = rng.poisson(counts[:, None], (3, _REPLICATES)).astype(np.float64)
    weights = rng.poisson(1.0, (_REPLICATES, len(losses)))
    missed = weights.sum(axis=1).astype(np.float64)
    spread = _figures(held_out, drawn[0], drawn[1], drawn[2], missed, weights @ losses)
    return {metric: _estimate(float(point[metric][0]), spread[metric]) for metric in point}


def _figures(
    held_out: HeldOut, hits: F64, false_alarms: F64, passed: F64, missed: F64, lost: F64
) -> dict[str, F64]:
    alerts, frauds, n = hits + false_alarms, hits + missed, hits + false_alarms + passed + missed
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "precision": hits / alerts,
            "recall": hits / frauds,
            "f1": 2 * hits / (alerts + frauds),
            "cost_per_1000": (alerts * held_out.profile.costs.review + lost) / n * 1_000,
        }
    if held_out.n_days is not None:
        found["alerts_per_day"] = alerts / held_out.n_days
    return found


def _estimate(value: float, spread: F64) -> Estimate:
    usable = spread[np.isfinite(spread)]
    if not np.isfinite(value) or len(usable) < 20:
        return Estimate(0.0 if not np.isfinite(value) else value)
    low, high = np.quantile(usable, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
