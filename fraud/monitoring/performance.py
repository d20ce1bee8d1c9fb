"""Realised performance of one model in one window, from the audit sample, with an interval for every figure.

How many predictions and alerts there were is known; how many of either were frauds is estimated. Hence
``F1 = 2 TP / (A + TP + FN)``: A is counted, TP is a weighted share of the alerts, FN a weighted count of rare
finds among the rest (`fraud.monitoring.intervals`). Intervals are for what *this window's* labels would say
if all were known; `f1_lasting` is wider, for what the model would show in windows like it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Costs
from fraud.models.evaluate import Estimate
from fraud.monitoring.audited import AuditedWindow
from fraud.monitoring.intervals import Limits, NextFind, combined, effective_number, share, weighted_count
from fraud.monitoring.observations import Booleans

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95% limits and what it rests on.

    Attributes
    ----------
    value, low, high : None where the sample says nothing
    n_answers, n_frauds : the answers that could move it, and the frauds among them
    effective_n : Kish's effective number of those answers
    basis : "audit" (weighted answers), "count" (known of every prediction), "highest_transaction" (CP@k where
        not every transaction of a card is known: a card counts by its highest-scored one)
    """

    value: float | None
    low: float | None
    high: float | None
    n_answers: int
    n_frauds: int
    effective_n: float
    basis: str = "audit"

    def to_json(self) -> dict[str, object]:
        """Return a JSON object with six significant decimals."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {k: None if v is None else round(v, 6) for k, v in numbers.items()} | {
            "n_answers": self.n_answers,
            "n_frauds": self.n_frauds,
            "effective_n": round(self.effective_n, 1),
            "basis": self.basis,
        }


@dataclass(frozen=True)
class RealisedPerformance:
    """One model's figures over the predictions on which a lot was drawn.

    Attributes
    ----------
    figures : name -> figure
    f1_lasting : F1 with limits for the model and not only for this window; None without an estimate
    naive : name -> the same figure of all known labels unweighted; biased, since people flag mistakes, and
        since the lot prefers what is likely to be fraud
    unused_share : of the stretch's predictions, by whatever model, the share that could not be read
    """

    n_predictions: int
    n_alerts: int
    n_without_lot: int
    n_asked: int
    n_answers: int
    n_frauds: int
    figures: Mapping[str, Figure]
    f1_lasting: Estimate | None
    naive: Mapping[str, float | None]
    unused_share: float = 0.0

    @property
    def response_rate(self) -> float | None:
        """The part of those asked who answered; None where nobody was asked."""
        return self.n_answers / self.n_asked if self.n_asked else None

    def to_json(self) -> dict[str, object]:
        """Return a JSON object; what is biased is named so."""
        rate = self.response_rate
        return {
            "n_predictions": self.n_predictions,
            "n_alerts": self.n_alerts,
            "n_without_lot": self.n_without_lot,
            "n_asked": self.n_asked,
            "n_answers": self.n_answers,
            "n_frauds": self.n_frauds,
            "unused_share": round(self.unused_share, 6),
            "response_rate": None if rate is None else round(rate, 6),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "f1_lasting": None if self.f1_lasting is None else self.f1_lasting.to_json(),
            "naive_biased": {k: None if v is None else round(v, 6) for k, v in self.naive.items()},
        }


def realised_figures(
    window: AuditedWindow, expected: F64, loss: F64 | None, costs: Costs
) -> dict[str, Figure]:
    """Return the figures at the alert cut-off.

    Parameters
    ----------
    expected : float64 [N]; the probability of fraud that scores mean (`estimated.Meaning`): where frauds not
        yet met are to be looked for. It widens intervals, and moves no estimate.
    loss : float64 [N]; what a missed fraud costs; None without amounts
    """
    n, alerts = len(window), int(window.alerted.sum())
    tp, fn = found_among_alerts(window), missed_among_rest(window, expected)
    every = np.ones(len(window.rows), bool)
    alerted = window.alerted[window.rows]

    def figure(limits: Limits | None, domain: Booleans, low: float = 0.0, high: float = 1.0) -> Figure:
        return _figure(window, limits, domain, low, high)

    def of(function: Callable[..., float], *parts: Limits | None) -> Limits | None:
        known = [part for part in parts if part is not None]
        return combined(function, known) if n and len(known) == len(parts) else None

    figures = {
        "f1": figure(of(lambda t, f: _ratio(2 * t, alerts + t + f), tp, fn), every),
        "precision": figure(of(lambda t: _ratio(t, alerts), tp), alerted),
        "recall": figure(of(lambda t, f: _ratio(t, t + f), tp, fn), every),
        "accuracy": figure(of(lambda t, f: 1 - (alerts - t + f) / n, tp, fn), every),
        "accuracy_never_fraud": figure(of(lambda t, f: 1 - (t + f) / n, tp, fn), every),
        "fraud_rate": figure(of(lambda t, f: (t + f) / n, tp, fn), every),
        "alert_rate": _counted(alerts, n),
    }
    if loss is not None and n:
        lost = missed_among_rest(window, expected, loss)
        cost = of(lambda lost: (costs.review * alerts + lost) / n * 1000, lost)
        figures["cost_per_1000"] = figure(cost, ~alerted, 0.0, float("inf"))
    return figures


def _counted(part: int, whole: int) -> Figure:
    value = part / whole if whole else None
    return Figure(value, value, value, whole, 0, float(whole), "count")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _figure(
    window: AuditedWindow, limits: Limits | None, domain: Booleans, low: float, high: float
) -> Figure:
    n_frauds = int(window.labels[domain].sum())
    basis = int(domain.sum()), n_frauds, effective_number(window.weight[domain])
    if limits is None or not np.isfinite([limits.value, limits.low, limits.high]).all():
        return Figure(None, None, None, *basis)
    return Figure(limits.value, max(low, limits.low), min(high, limits.high), *basis)


def found_among_alerts(window: AuditedWindow, *, lasting: bool = False) -> Limits | None:
    """Return how many alerts are frauds; None where no alert was answered though there are some."""
    return frauds_among(window, window.alerted, lasting=lasting)


def frauds_among(window: AuditedWindow, domain: Booleans, *, lasting: bool = False) -> Limits | None:
    """Return how many predictions of a domain are frauds, where frauds are not rare; None without an answer.

    Those answered are known; of the others, the weighted share (weights w - 1, by which the answers stand for
    predictions that were not answered). A `lasting` figure takes all of the domain for a sample itself.
    """
    inside = domain[window.rows]
    labels, weight = window.labels[inside], window.weight[inside]
    size, known = int(domain.sum()), int(inside.sum())
    if known == 0 or size == 0:
        return Limits.exactly(0.0) if size == 0 else None
    excess = weight if lasting else weight - 1
    unknown, frauds = (size, 0.0) if lasting else (size - known, float(labels.sum()))
    if unknown == 0:
        return Limits.exactly(frauds)
    total = float(excess.sum())
    if total <= 0:  # all answered were certain to be, so they speak for nobody else
        return Limits(frauds, frauds, frauds + unknown)
    value = min(1.0, max(0.0, float((excess * labels).sum()) / total))
    of_rest = share(value, total**2 / float((excess * weight).sum()))
    return Limits(*(frauds + unknown * x for x in (of_rest.value, of_rest.low, of_rest.high)))


def missed_among_rest(
    window: AuditedWindow, expected: F64, size: F64 | None = None, *, lasting: bool = False
) -> Limits | None:
    """Return how many predictions that raised no alert are frauds, or the sum of their `size`; None unasked.

    The frauds found are known; what the lot passed over is a weighted count of rare finds.
    """
    return rare_frauds_among(window, ~window.alerted, expected, size, lasting=lasting)


def rare_frauds_among(
    window: AuditedWindow, domain: Booleans, expected: F64, size: F64 | None = None, *, lasting: bool = False
) -> Limits | None:
    """Return the frauds of a domain where they are rare, or the sum of their `size`; None where unasked."""
    inside = domain[window.rows]
    if not domain.any():
        return Limits.exactly(0.0)
    if not inside.any():
        return None
    worth = np.ones(len(window)) if size is None else size
    found = window.rows[inside & (window.labels == 1)]
    weight, each = 1.0 / window.chance[found], worth[found]
    certain = 0.0 if lasting else float(each.sum())
    excess = (weight if lasting else weight - 1) * each
    limits = weighted_count(excess, weight * each, _next_find(window, domain, expected, worth, lasting))
    return Limits(certain + limits.value, certain + limits.low, certain + limits.high)


def _next_find(window: AuditedWindow, domain: Booleans, expected: F64, worth: F64, lasting: bool) -> NextFind:
    """Return the moments of the next find: a fraud with probability `expected`, met with its chance."""
    reach = domain & (window.chance > 0)
    chance, frauds, each = window.chance[reach], expected[reach], worth[reach]
    met = float((frauds * chance).sum())
    if met <= 0:
        return NextFind(0.0, 0.0)
    missed = np.ones(len(chance)) if lasting else 1 - chance
    mean = float((frauds * missed * each).sum()) / met
    return NextFind(mean, float((frauds * missed / chance * each**2).sum()) / met)


def lasting_f1(window: AuditedWindow, expected: F64) -> Estimate | None:
    """Return F1 with limits for the model in windows like this one; None without an estimate.

    The window is itself a sample here, so its answers keep all of their variance, ``w^2`` for ``w (w - 1)``.
    """
    alerts = int(window.alerted.sum())
    tp = found_among_alerts(window, lasting=True)
    fn = missed_among_rest(window, expected, lasting=True)
    if tp is None or fn is None or alerts + tp.value + fn.value == 0:
        return None
    limits = combined(lambda t, f: _ratio(2 * t, alerts + t + f), (tp, fn))
    if not np.isfinite([limits.low, limits.high]).all():
        return None
    return Estimate(limits.value, max(0.0, limits.low), min(1.0, limits.high))


def naive_figures(labels: F64, alerted: Booleans) -> dict[str, float | None]:
    """Return F1, precision, recall and accuracy of whatever labels are known, as if they were a sample.

    Biased: people speak up about mistakes. It is here to be shown beside the audited figure, and so named.
    """
    known = ~np.isnan(labels)
    y, yhat = labels[known], alerted[known].astype(np.float64)
    hits, alerts, frauds = float((y * yhat).sum()), float(yhat.sum()), float(y.sum())
    return {
        "f1": 2 * hits / (alerts + frauds) if alerts + frauds else None,
        "precision": hits / alerts if alerts else None,
        "recall": hits / frauds if frauds else None,
        "accuracy": 1 - (alerts + frauds - 2 * hits) / len(y) if len(y) else None,
    }
