"""Held-out metrics, with intervals.

AP is `sum (R_i - R_{i-1}) P_i` over distinct scores, as in scikit-learn. Intervals are percentile bootstraps
over transactions (Poisson weights): every replicate reuses one sort, so a thousand cost about a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Costs, Profile
from fraud.data.table import Transactions

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95% interval; the bounds are None where none was computed."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Return a JSON object with six significant decimals."""
        bounds = {"low": self.low, "high": self.high}
        return {"value": round(self.value, 6)} | {
            k: None if v is None else round(v, 6) for k, v in bounds.items()
        }


@dataclass(frozen=True)
class Ranking:
    """Labels ordered by falling score, with ties grouped: what every ranking metric needs, computed once."""

    order: NDArray[np.intp]
    labels: F64
    last_of_tie: NDArray[np.intp]

    @classmethod
    def of(cls, labels: F64, scores: F64) -> "Ranking":
        """Sort once."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        return cls(order, labels[order], last)

    def auc_and_ap(self, weights: F64 | None = None) -> tuple[float, float]:
        """Return (AUC, AP), the rows weighted by `weights` (in the original order)."""
        weight = np.ones(len(self.labels)) if weights is None else weights[self.order]
        positives = np.cumsum(weight * self.labels)[self.last_of_tie]
        negatives = np.cumsum(weight * (1 - self.labels))[self.last_of_tie]
        if positives[-1] == 0 or negatives[-1] == 0:
            return float("nan"), float("nan")
        gained = np.diff(positives, prepend=0.0)
        area = float(np.trapezoid(np.append(0, positives), np.append(0, negatives)))
        seen = positives + negatives
        precision = np.divide(positives, seen, out=np.zeros_like(seen), where=seen > 0)
        return area / (positives[-1] * negatives[-1]), float((gained * precision).sum() / positives[-1])


def evaluate(
    test: Transactions,
    probability: F64,
    threshold: float,
    profile: Profile,
    seed: int,
    n_bootstrap: int = 400,
) -> dict[str, Estimate]:
    """Return the metrics of one model on held-out transactions.

    `auc`, `ap`, `f1`, `precision`, `recall` come with bootstrap intervals; `card_precision_at_k` (the name
    carries k), `alerts_per_day`, `brier`, `calibration_error` and `cost_per_1000` without.
    """
    labels = test.labels
    ranking = Ranking.of(labels, probability)
    flagged = (probability >= threshold).astype(np.float64)
    replicates = _bootstrap(ranking, labels, flagged, seed, n_bootstrap)
    auc, ap = ranking.auc_and_ap()
    point = {"auc": auc, "ap": ap} | _at_threshold(labels, flagged, np.ones(len(labels)))
    metrics = {name: _estimate(value, replicates[name]) for name, value in point.items()}
    metrics |= {name: Estimate(value) for name, value in _probability_quality(labels, probability).items()}
    metrics["cost_per_1000"] = Estimate(_cost_per_1000(test, flagged, profile))
    if test.time_ms is not None:
        days = len(np.unique(test.time_ms // DAY_MS))
        metrics["alerts_per_day"] = Estimate(float(flagged.sum()) / days)
        k = profile.costs.precision_at
        if profile.main_entity is not None:
            name = f"card_precision_at_{k}"
            metrics[name] = Estimate(card_precision(test, probability, profile.main_entity.column, k))
    return metrics


def card_precision(test: Transactions, probability: F64, column: str, k: int) -> float:
    """Return CP@k: daily share of frauds among the k cards of highest score, averaged over days.

    Per card and day the highest score and label count; a card caught once is left out of the days after
    (Fraud Detection Handbook, ch. 4).
    """
    days = test.times() // DAY_MS
    cards = test.texts[column].codes
    caught: set[int] = set()
    precision = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & (cards >= 0))
        if caught:
            rows = rows[~np.isin(cards[rows], list(caught))]
        best: dict[int, tuple[float, float]] = {}
        for card, score, label in zip(
            cards[rows].tolist(), probability[rows].tolist(), test.labels[rows].tolist(), strict=True
        ):
            old = best.get(card, (-1.0, 0.0))
            best[card] = (max(old[0], score), max(old[1], label))
        top = sorted(best.items(), key=lambda item: -item[1][0])[:k]
        found = {card for card, (_, label) in top if label == 1}
        precision.append(len(found) / k)
        caught |= found
    return float(np.mean(precision))


def confusion(labels: F64, flagged: F64) -> dict[str, int]:
    """Return the four counts at a threshold."""
    return {
        "true_positives": int((labels * flagged).sum()),
        "false_positives": int(((1 - labels) * flagged).sum()),
        "false_negatives": int((labels * (1 - flagged)).sum()),
        "true_negatives": int(((1 - labels) * (1 - flagged)).sum()),
    }


def _at_threshold(labels: F64, flagged: F64, weights: F64) -> dict[str, float]:
    hits = float((weights * labels * flagged).sum())
    alerts, frauds = float((weights * flagged).sum()), float((weights * labels).sum())
    return {
        "f1": 2 * hits / (alerts + frauds) if alerts + frauds else 0.0,
        "precision": hits / alerts if alerts else 0.0,
        "recall": hits / frauds if frauds else 0.0,
    }


def _bootstrap(ranking: Ranking, labels: F64, flagged: F64, seed: int, n_bootstrap: int) -> Mapping[str, F64]:
    rng = np.random.default_rng(seed)
    rows: dict[str, list[float]] = {name: [] for name in ("auc", "ap", "f1", "precision", "recall")}
    for _ in range(n_bootstrap):
        weights = rng.poisson(1.0, len(labels)).astype(np.float64)
        auc, ap = ranking.auc_and_ap(weights)
        for name, value in ({"auc": auc, "ap": ap} | _at_threshold(labels, flagged, weights)).items():
            rows[name].append(value)
    return {name: np.array(values) for name, values in rows.items()}


def _estimate(value: float, replicates: F64) -> Estimate:
    usable = replicates[np.isfinite(replicates)]
    if len(usable) < 20:
        return Estimate(value)
    low, high = np.quantile(usable, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _probability_quality(labels: F64, probability: F64) -> dict[str, float]:
    return {
        "brier": float(np.mean((probability - labels) ** 2)),
        "calibration_error": calibration_error(labels, probability),
    }


def calibration_error(labels: F64, probability: F64) -> float:
    """Return the expected calibration error over ten bins of equal size."""
    order = np.argsort(probability)
    parts = np.array_split(order, min(10, len(order)))
    gaps = [abs(float(probability[p].mean() - labels[p].mean())) * len(p) for p in parts]
    return sum(gaps) / len(labels)


def loss_of_fraud(amount: F64, costs: Costs) -> F64:
    """Return what missing a fraud of each amount costs, in the same currency; a missing amount counts 0."""
    return np.nan_to_num(amount) * costs.loss_share + costs.fraud_fee


def _cost_per_1000(test: Transactions, flagged: F64, profile: Profile) -> float:
    """Return reviews paid plus frauds missed, in the profile's currency per 1,000 transactions."""
    costs, column = profile.costs, profile.columns.amount
    loss = loss_of_fraud(np.zeros(len(test)) if column is None else test.numbers[column], costs)
    total = flagged.sum() * costs.review + (loss * test.labels * (1 - flagged)).sum()
    return float(total) / len(test) * 1000
