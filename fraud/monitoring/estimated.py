"""Performance before labels are known: what the scores say it should be (CBPE).

If a score of 0.3 means that 3 in 10 are fraud, then the frauds found, missed and wrongly suspected can be
expected from the scores alone (confidence-based performance estimation; NannyML). What scores mean is taken
from held-out labelled predictions, and how well that is known counts in the error.

Blind spot: it holds the meaning of a score fixed. When the same scores come to mean something else (concept
drift: a new kind of fraud that looks honest), it stays where it was; `fraud.monitoring.gap` looks at that. It
also takes the labels of different predictions for independent, given their scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from fraud.errors import EvidenceError
from fraud.models.calibration import LARGEST
from fraud.models.evaluate import Estimate, Ranking
from fraud.monitoring.observations import Booleans

F64 = NDArray[np.float64]
BLIND_SPOT = "concept_drift"
_LEAST_OF_EITHER = 20
_MOST_KNOTS = 4
_FRAUDS_PER_KNOT = 25


@dataclass(frozen=True)
class Meaning:
    """What a score means: log-odds that are piecewise linear in the log-odds of the score.

    A flexible calibration curve (Van Calster et al., "A calibration hierarchy for risk models", 2016): three
    parameters bend where frauds are plenty, and would promise almost none among what looks perfectly honest.

    Attributes
    ----------
    theta : float64 [2 + n_knots]: intercept, slope, and the changes of slope at the knots
    covariance : float64 [2 + n_knots, 2 + n_knots] (sandwich; of whole groups where groups were given)
    knots : float64 [n_knots], log-odds
    smallest : smaller scores are taken for this one: the reference cannot tell them apart
    dispersion : how much more a group's number of frauds varies than independent labels would, at least 1
    """

    theta: F64
    covariance: F64
    knots: F64
    smallest: float
    n: int
    n_frauds: int
    dispersion: float = 1.0

    def design(self, probability: F64) -> F64:
        """Return the terms of the log-odds, float64 [n, 2 + n_knots]."""
        return _design(probability, self.smallest, self.knots)

    def __call__(self, probability: F64) -> F64:
        """Return the probability of fraud, float64 [n]."""
        return np.asarray(expit(self.design(probability) @ self.theta))

    def draws(self, n: int, rng: np.random.Generator) -> F64:
        """Return n draws of theta from its approximate distribution, float64 [n, 2 + n_knots]."""
        values, vectors = np.linalg.eigh(self.covariance)
        noise = rng.standard_normal((n, len(self.theta))) * np.sqrt(np.maximum(values, 0))
        return np.asarray(self.theta + noise @ vectors.T)


def fit_meaning(labels: F64, probability: F64, groups: NDArray[np.int64] | None = None) -> Meaning:
    """Return what the scores of held-out, fully labelled predictions mean.

    Parameters
    ----------
    labels : float64 [n]; 1 fraud, 0 legitimate
    probability : float64 [n], calibrated as the model calibrates
    groups : int [n]; what varies together (a day, a card), so that its variation counts in the error

    Raises
    ------
    EvidenceError
        Fewer than 20 frauds or legitimate ones, a missing label, or scores outside [0, 1].
    """
    frauds = int((labels == 1).sum())
    if not np.isin(labels, (0.0, 1.0)).all() or min(frauds, len(labels) - frauds) < _LEAST_OF_EITHER:
        raise EvidenceError(
            f"The reference holds {frauds} frauds among {len(labels)} predictions; it needs "
            f"{_LEAST_OF_EITHER} of either kind and no unknown label.",
            code="reference",
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise EvidenceError("A score must be a probability from 0 to 1.", code="probability")
    smallest = 1.0 / len(labels)
    n_knots = min(_MOST_KNOTS, frauds // _FRAUDS_PER_KNOT)
    odds = _log_odds(probability, smallest)
    inner = np.quantile(odds[labels == 1], np.arange(1, n_knots + 1) / (n_knots + 1))
    knots = np.unique(inner[inner > odds.min()])
    design = _design(probability, smallest, knots)
    theta = _fit(design, labels)
    return Meaning(
        theta=theta,
        covariance=_sandwich(design, theta, labels, groups),
        knots=knots,
        smallest=smallest,
        n=len(labels),
        n_frauds=frauds,
        dispersion=_dispersion(expit(design @ theta), labels, groups),
    )


def _dispersion(expected: F64, labels: F64, groups: NDArray[np.int64] | None) -> float:
    """Return Pearson's chi-squared of the groups' frauds over their number, at least 1 (1 without groups)."""
    if groups is None:
        return 1.0
    _, group = np.unique(groups, return_inverse=True)
    beyond = np.bincount(group, labels - expected)
    variance = np.bincount(group, expected * (1 - expected))
    return max(1.0, float(np.mean(beyond**2 / np.maximum(variance, 1e-12))))


def _log_odds(probability: F64, smallest: float) -> F64:
    p = np.clip(probability.astype(np.float64), smallest, LARGEST)  # in float32, LARGEST would be 1
    return np.asarray(logit(p))


def _design(probability: F64, smallest: float, knots: F64) -> F64:
    odds = _log_odds(probability, smallest)
    return np.column_stack([np.ones(len(odds)), odds, np.maximum(0.0, odds[:, None] - knots[None, :])])


def _fit(design: F64, labels: F64) -> F64:
    """Return the penalised maximum likelihood: a prior sd of 10 keeps separated frauds from infinity."""

    def loss(theta: F64) -> tuple[float, F64]:
        odds = design @ theta
        value = float(np.sum(np.logaddexp(0.0, odds) - labels * odds)) + float(theta @ theta) / 200
        return value, design.T @ (expit(odds) - labels) + theta / 100

    start = np.zeros(design.shape[1])
    start[1] = 1.0
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-13})
    return np.asarray(found.x)


def _sandwich(design: F64, theta: F64, labels: F64, groups: NDArray[np.int64] | None) -> F64:
    c = expit(design @ theta)
    scores = design * (labels - c)[:, None]
    bread = np.linalg.inv(design.T @ (design * (c * (1 - c))[:, None]) + np.eye(len(theta)) / 100)
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        summed = np.zeros((int(group.max()) + 1, len(theta)))
        np.add.at(summed, group, scores)
        scores = summed * np.sqrt(len(summed) / max(1, len(summed) - 1))
    return np.asarray(bread @ (scores.T @ scores) @ bread)


@dataclass(frozen=True)
class EstimatedPerformance:
    """Figures expected from the scores, with 95% limits for what the labels of this window would show.

    `n_expected_frauds` is what the figures rest on; `blind_to` names what they cannot see.
    """

    figures: Mapping[str, Estimate]
    n_predictions: int
    n_expected_frauds: float
    n_reference_frauds: int
    blind_to: str = BLIND_SPOT

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "n_predictions": self.n_predictions,
            "n_expected_frauds": round(self.n_expected_frauds, 3),
            "n_reference_frauds": self.n_reference_frauds,
            "blind_to": self.blind_to,
        }


def estimated_performance(
    probability: F64, alerted: Booleans, meaning: Meaning, *, n_draws: int = 200, seed: int = 7
) -> EstimatedPerformance:
    """Return what F1, precision, recall, accuracy, fraud rate, AUC and AP should be, from the scores alone.

    The point is each figure of the expected counts (a ratio of expectations). The limits are quantiles of the
    figures over `n_draws` draws of the meaning (how well it is known) and of labels given it (chance), their
    distances stretched by the root of the dispersion, since frauds come in bursts.
    """
    expected = meaning(probability)
    ranking = Ranking.of(expected, probability)
    yhat = alerted.astype(np.float64)
    point = _figures(ranking, expected, yhat)
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    design = meaning.design(probability)
    for theta in meaning.draws(n_draws, rng):
        labels = (rng.random(len(probability)) < expit(design @ theta)).astype(np.float64)
        drawn = Ranking(ranking.order, labels[ranking.order], ranking.last_of_tie)
        rows.append(list(_figures(drawn, labels, yhat).values()))
    replicates = np.array(rows)
    figures = {}
    for i, (name, value) in enumerate(point.items()):
        usable = replicates[np.isfinite(replicates[:, i]), i]
        if np.isfinite(value) and len(usable) > n_draws / 2:
            ends = value + np.sqrt(meaning.dispersion) * (np.quantile(usable, [0.025, 0.975]) - value)
            low, high = np.clip(ends, 0.0, 1.0)
            figures[name] = Estimate(value, min(float(low), value), max(float(high), value))
    return EstimatedPerformance(figures, len(probability), float(expected.sum()), meaning.n_frauds)


def _figures(ranking: Ranking, labels: F64, alerted: F64) -> dict[str, float]:
    """Return the figures of labels that may be probabilities."""
    hits, alerts, frauds = float((labels * alerted).sum()), float(alerted.sum()), float(labels.sum())
    auc, ap = ranking.auc_and_ap()
    return {
        "f1": 2 * hits / (alerts + frauds) if alerts + frauds else float("nan"),
        "precision": hits / alerts if alerts else float("nan"),
        "recall": hits / frauds if frauds else float("nan"),
        "accuracy": 1 - (alerts + frauds - 2 * hits) / len(labels),
        "fraud_rate": frauds / len(labels),
        "auc": auc,
        "ap": ap,
    }
