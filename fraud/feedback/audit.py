"""The audit sample: predictions that are asked about by lot, so that F1 can be known and not only guessed.

People flag mistakes, so a figure on flags alone is biased. A prediction drawn with a known probability pi and
answered counts 1/pi, and the weighted figures are then unbiased for all predictions. Drawing those that move
F1 most, more often, makes them sharp as well.

Sources: Sawade, Landwehr, Scheffer, "Active Estimation of F-Measures" (2010), for the optimal pi; Marchant
and Rubinstein, "In Search of an Entity Resolution OASIS" (2017), for its use with scores and a floor.
"""

import hashlib
import hmac
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.records import Decision, Label, Prediction, Score

F64 = NDArray[np.float64]
LONE_WEIGHT = 5.0
"""How many predictions a claim of a missed fraud may stand for on one opinion (docs/decisions/0028)."""
_HORIZON = 1_000


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """How many predictions are asked about.

    Attributes
    ----------
    share : the part of all predictions that is drawn, on average; 0 draws none
    floor : the part of the share that every prediction has, whatever its score: 1 / (share * floor) is the
        largest weight that one answer can get
    """

    share: float = 0.05
    floor: float = 0.25


@dataclass(frozen=True, slots=True)
class Draw:
    """The lot of one prediction."""

    asked: bool
    probability: float


@dataclass(frozen=True, slots=True)
class AuditedF1:
    """F1 by inverse-probability weights; `sd` is its standard error, `n` the answers behind it."""

    f1: float
    sd: float
    n: int


def influence(probability: float, alerted: bool, f1: float) -> float:
    """Return the root mean square by which one prediction's label moves F1.

    ``sqrt(4 p (1 - F)^2 + (1 - p) F^2)`` where the model alerts and ``F sqrt(p)`` elsewhere: the square root
    of E[(2 y yhat - F (y + yhat))^2] over y ~ Bernoulli(p) (Sawade 2010; OASIS 2017).
    """
    if alerted:
        return math.sqrt(4 * probability * (1 - f1) ** 2 + (1 - probability) * f1**2)
    return f1 * math.sqrt(probability)


def joint_influence(scores: Mapping[str, Score], f1: Mapping[str, float]) -> float:
    """Return the influence on both models' F1 together: one sample serves both.

    The root mean square over the models minimises the sum of their variances; p is the mean of their scores.
    """
    p = sum(score.fraud_probability for score in scores.values()) / len(scores)
    squares = [influence(p, s.decision is not Decision.APPROVE, f1[name]) ** 2 for name, s in scores.items()]
    return math.sqrt(sum(squares) / len(squares))


def is_drawn(key: bytes, prediction_id: str, probability: float) -> bool:
    """Return whether the lot falls on a prediction: the same for ever, and unknowable without the key."""
    digest = hmac.new(key, b"audit:" + prediction_id.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < probability * 2**64


def claim_stands_for(
    prediction: Prediction, label: Label, *, asked: bool | None, chance: float | None
) -> float | None:
    """Return for how many predictions a claim speaks; None where it needs no second opinion.

    Only answers to the lot speak for others, and only where a model did not alert does "fraud" weigh so much.
    """
    missed = any(score.decision is Decision.APPROVE for score in prediction.scores.values())
    if label is not Label.FRAUD or not asked or not chance or not missed:
        return None
    return 1 / chance if 1 / chance > LONE_WEIGHT else None


class AuditSampler:
    """Draws predictions as they come, at the policy's share of whatever traffic there is.

    pi is the influence over its running mean, times the share; the mean is of this process, so pi depends on
    earlier predictions only, which keeps the weighted estimate unbiased. Thread-safe; two numbers of state.
    """

    def __init__(self, policy: AuditPolicy, key: bytes) -> None:
        self._policy = policy
        self._key = key
        self._mean = 0.0
        self._n = 0
        self._lock = threading.Lock()

    def draw(self, prediction_id: str, scores: Mapping[str, Score], f1: Mapping[str, float]) -> Draw | None:
        """Return the lot of one prediction; None where the policy draws none."""
        share, floor = self._policy.share, self._policy.floor
        if share <= 0:
            return None
        size = joint_influence(scores, f1)
        with self._lock:
            self._n = min(self._n + 1, _HORIZON)
            self._mean += (size - self._mean) / self._n
            mean = self._mean
        relative = size / mean if mean > 0 else 1.0
        probability = min(1.0, share * (floor + (1 - floor) * relative))
        return Draw(is_drawn(self._key, prediction_id, probability), probability)


def audited_f1(labels: F64, alerted: F64, probability: F64) -> AuditedF1 | None:
    """Return F1 over all predictions from the answers of those drawn; None without a fraud or an alert.

    ``F = 2 sum(w y yhat) / (sum(w y) + sum(w yhat))`` with ``w = 1 / pi``; the variance is
    ``sum((1 - pi) / pi^2 (2 y yhat - F (y + yhat))^2) / (sum w (y + yhat))^2`` (linearised).

    Parameters
    ----------
    labels, alerted : 0 or 1 per answer; only answers to predictions that were *asked about* may be here
    probability : pi per answer, in (0, 1]
    """
    weight = 1.0 / probability
    total = float((weight * (labels + alerted)).sum())
    if total == 0:
        return None
    f1 = 2 * float((weight * labels * alerted).sum()) / total
    moved = 2 * labels * alerted - f1 * (labels + alerted)
    variance = float(((1 - probability) * weight**2 * moved**2).sum()) / total**2
    return AuditedF1(f1, math.sqrt(variance), len(labels))
