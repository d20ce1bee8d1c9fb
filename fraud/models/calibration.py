"""Turning a model's raw score into a probability that means what it says."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import CalibrationMethod

F64 = NDArray[np.float64]
_EPSILON = 1e-7
_FEW = 256
LARGEST = 1 - 1e-9
"""No fraud is certain; and a cut-off just above the highest probability is still a probability."""


@dataclass(frozen=True, slots=True)
class BetaCalibration:
    """logit(p) = a ln(s) - b ln(1 - s) + c, with a, b >= 0.

    Monotone, so the ranking of the transactions (AUC, average precision, precision at k) is that of the
    model; three parameters, so a few dozen frauds suffice. Contains Platt scaling of a log-odds score
    (a = b) as a special case. Kull, Silva Filho & Flach, "Beta calibration", AISTATS 2017.
    """

    a: float
    b: float
    c: float

    def __call__(self, score: F64) -> F64:
        """Return calibrated probabilities for raw scores in [0, 1], float64 [n]."""
        s = np.clip(score, _EPSILON, 1 - _EPSILON)
        logit = self.a * np.log(s) - self.b * np.log1p(-s) + self.c
        return np.asarray(np.minimum(_expit(logit), LARGEST), np.float64)


def _expit(logit: F64) -> F64:
    """Return 1 / (1 + exp(-logit)), to the last bit the same for few rows as for many."""
    if logit.size <= _FEW and bool(np.all(logit > -700)):  # math.exp overflows beyond 709
        # What SciPy computes, without importing it: a prediction node scores few rows at a time.
        return np.array([1 / (1 + math.exp(-value)) for value in logit.tolist()], np.float64)
    from scipy.special import expit

    return np.asarray(expit(logit), np.float64)


def fit_calibration(score: F64, label: F64, method: CalibrationMethod = "beta") -> BetaCalibration:
    """Return the calibration with the least log loss on a slice that the model was not trained on.

    Parameters
    ----------
    score, label : float64 [n]
    method : "beta" has its three parameters free; "platt" ties a = b, a line in the score's log-odds; "prior"
        has a = b = 1 and moves the intercept only. With few frauds, fewer parameters are steadier.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    s = np.clip(score, _EPSILON, 1 - _EPSILON)
    design = np.column_stack([np.log(s), -np.log1p(-s), np.ones(len(s))])
    free = {"beta": np.eye(3), "platt": np.array([[1.0, 1, 0], [0, 0, 1]]), "prior": np.array([[0.0, 0, 1]])}
    basis = free[method]  # theta = fixed + basis' x
    fixed = np.array([1.0, 1.0, 0.0]) if method == "prior" else np.zeros(3)

    def loss(x: F64) -> tuple[float, F64]:
        logit = design @ (fixed + basis.T @ x)
        probability = expit(logit)
        value = float(np.mean(np.logaddexp(0.0, logit) - label * logit))
        return value, basis @ (design.T @ (probability - label)) / len(label)

    n_slopes = len(basis) - 1
    start = np.array([1.0] * n_slopes + [0.0])
    bounds = [(1e-3, None)] * n_slopes + [(None, None)]
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    a, b, c = (float(v) for v in fixed + basis.T @ result.x)
    return BetaCalibration(a, b, c)
