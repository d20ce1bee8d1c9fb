"""Curves over all cut-offs of a score: calibration, precision and recall, and what each cut-off costs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import Costs
from fraud.models.analysis.intervals import wilson
from fraud.models.evaluate import Ranking, loss_of_fraud

F64 = NDArray[np.float64]


def calibration_table(labels: F64, probability: F64, n_bins: int = 10) -> pd.DataFrame:
    """Return what share of each band of scores was fraud, with Wilson's 95% interval.

    Bands hold about as many *expected* frauds each (the sum of their scores), so that every band can be
    judged; bands of equal size would put nearly all frauds into the last one. Equal scores share a band.

    Returns
    -------
    DataFrame, one row a band, lowest scores first: `n`, `n_frauds`, `mean_score`, `share`, `low`, `high`
    """
    ranked = np.sort(probability)
    expected = np.cumsum(ranked)
    cuts = np.searchsorted(expected, expected[-1] * np.arange(1, n_bins) / n_bins)
    edges = np.unique(ranked[np.minimum(cuts, len(ranked) - 1)])
    band = np.searchsorted(edges, probability, side="right")
    _, position, n = np.unique(band, return_inverse=True, return_counts=True)
    n_frauds = np.bincount(position, weights=labels)
    share = n_frauds / n
    low, high = wilson(share, n)
    mean = np.bincount(position, weights=probability) / n
    return pd.DataFrame(
        {
            "n": n,
            "n_frauds": n_frauds.astype(int),
            "mean_score": mean,
            "share": share,
            "low": low,
            "high": high,
        }
    )


def precision_recall_table(
    labels: F64, probability: F64, n_days: int | None, n_points: int = 400
) -> pd.DataFrame:
    """Return precision and recall where each cut-off finds another fraud, at most `n_points` of them.

    Returns
    -------
    DataFrame by falling cut-off: `threshold`, `n_alerts`, `recall`, `precision`, and `alerts_per_day` where
    there are days
    """
    ranking = Ranking.of(labels, probability)
    found = np.cumsum(ranking.labels)[ranking.last_of_tie]
    at = np.flatnonzero(np.diff(found, prepend=0.0) > 0)
    at = at[np.unique(np.linspace(0, len(at) - 1, min(n_points, len(at))).astype(int))]
    last = ranking.last_of_tie[at]
    table = pd.DataFrame(
        {
            "threshold": probability[ranking.order[last]],
            "n_alerts": last + 1,
            "recall": found[at] / labels.sum(),
            "precision": found[at] / (last + 1),
        }
    )
    if n_days is not None:
        table["alerts_per_day"] = table["n_alerts"] / n_days
    return table


@dataclass(frozen=True, slots=True)
class Operating:
    """What a model does at one cut-off."""

    threshold: float
    n_alerts: int
    recall: float
    precision: float


def at_budget(labels: F64, probability: F64, n_alerts: float) -> Operating:
    """Return the lowest cut-off that raises at most `n_alerts` alerts in all, ties together."""
    ranking = Ranking.of(labels, probability)
    seen = ranking.last_of_tie + 1
    within = int(np.searchsorted(seen, n_alerts, side="right")) - 1
    if within < 0:
        return Operating(float(probability.max(initial=0.0)), 0, 0.0, float("nan"))
    return at_threshold(labels, probability, float(probability[ranking.order[ranking.last_of_tie[within]]]))


def at_threshold(labels: F64, probability: F64, threshold: float) -> Operating:
    """Return what a model does at a cut-off; the precision of no alerts is NaN."""
    alerts = probability >= threshold
    n_alerts, hits = int(alerts.sum()), float(labels[alerts].sum())
    frauds = float(labels.sum())
    return Operating(
        threshold, n_alerts, hits / frauds if frauds else 0.0, hits / n_alerts if n_alerts else float("nan")
    )


def cost_table(
    labels: F64, probability: F64, amount: F64 | None, costs: Costs, thresholds: F64 | None = None
) -> pd.DataFrame:
    """Return what each cut-off would have cost: reviews paid, and frauds missed.

    Parameters
    ----------
    amount : [n], in the profile's currency; None where there is none
    thresholds : by default 121 from 0.0001 to 1, evenly spaced by ratio

    Returns
    -------
    DataFrame by rising `threshold`: `n_alerts`, and `reviews`, `missed`, `total` in the currency per 1,000
    transactions
    """
    cuts = np.geomspace(1e-4, 1.0, 121) if thresholds is None else np.sort(thresholds)
    loss = loss_of_fraud(np.zeros(len(labels)) if amount is None else amount, costs) * labels
    order = np.argsort(probability, kind="stable")
    below = np.searchsorted(probability[order], cuts, side="left")
    lost = np.append(0.0, np.cumsum(loss[order]))[below]
    n_alerts = len(labels) - below
    per_1000 = 1000 / len(labels)
    reviews, missed = n_alerts * costs.review * per_1000, lost * per_1000
    return pd.DataFrame(
        {
            "threshold": cuts,
            "n_alerts": n_alerts,
            "reviews": reviews,
            "missed": missed,
            "total": reviews + missed,
        }
    )
