"""Whether the packed models answer as the fitted ones do, asked before a release is written.

XGBoost adds its trees up in single precision: over 692 trees that alone moves a probability by up to 1.0e-6
(docs/decisions/0023-releases.md). So its trees are asked sixteen at a time and added up here, in double
precision. Where a cut-off lies between that sum and its own, XGBoost's decision is its rounding's, and ours
may be either: among rows made to find differences that happened in two of some sixty trainings.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.errors import BundleRefused
from fraud.models.calibration import BetaCalibration
from fraud.models.engine import PackedForest, hard_rows
from fraud.records import Thresholds

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
N_ROWS = 100_000
LARGEST_DIFFERENCE = 1e-6
_CHUNK = 20_000
_ROUNDS = 16
_ULP = 2.0**-23
"""Nearer to a cut-off than this share of itself, a single-precision probability is on neither side of it."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison over `n_rows` found: the largest difference of a raw probability."""

    n_rows: int
    largest_difference: float

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {"n_rows": self.n_rows, "largest_difference": self.largest_difference}


def original(estimator: Any) -> Callable[[F32], F64]:
    """Return what gives P(class 1) [n] of a fitted scikit-learn or XGBoost classifier for x [n, d]."""
    if not hasattr(estimator, "get_booster"):
        return lambda x: np.asarray(estimator.predict_proba(x)[:, 1], np.float64)
    import json

    from xgboost import DMatrix

    booster = estimator.get_booster()
    learner = json.loads(booster.save_config())["learner"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    best = booster.attributes().get("best_iteration")
    n_rounds = booster.num_boosted_rounds() if best is None else int(best) + 1

    def probability(x: F32) -> F64:
        rows = DMatrix(x, base_margin=np.zeros(len(x), np.float32), missing=np.nan)
        total = np.full(len(x), math.log(base / (1 - base)))
        for first in range(0, n_rounds, _ROUNDS):
            rounds = (first, min(first + _ROUNDS, n_rounds))
            total += booster.predict(rows, output_margin=True, iteration_range=rounds)
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * total), np.float64)

    return probability


def check_parity(
    name: str,
    estimator: Any,
    forest: PackedForest,
    calibration: BetaCalibration,
    thresholds: Thresholds,
    *,
    n_rows: int = N_ROWS,
    seed: int = 0,
) -> Parity:
    """Compare on rows made to find differences: ties, NaN, levels never seen, extremes (`hard_rows`).

    Raises
    ------
    BundleRefused
        A raw probability differs by more than `LARGEST_DIFFERENCE`, or a decision differs that does not
        hang on how single-precision numbers were rounded.
    """
    exact = original(estimator)
    worst = 0.0
    for number, first in enumerate(range(0, n_rows, _CHUNK)):
        x = hard_rows(forest, min(_CHUNK, n_rows - first), seed + number)
        ours, summed = forest.probability(x), exact(x)
        worst = max(worst, float(np.max(np.abs(ours - summed))))
        theirs = np.asarray(estimator.predict_proba(x)[:, 1], np.float64)
        n_other = _other_decisions(ours, (theirs, summed), calibration, thresholds)
        if worst > LARGEST_DIFFERENCE or n_other:
            what = f"decides {n_other} of {len(x):,} rows otherwise" if n_other else f"differs by {worst:.1e}"
            raise BundleRefused(
                f"The packed {name} {what} than the fitted one, and {LARGEST_DIFFERENCE:.0e} and no decision "
                "are allowed, so it must not be released; report this with the library versions.",
                code="parity",
                field=name,
            )
    return Parity(n_rows, worst)


def _other_decisions(
    ours: F64, theirs: tuple[F64, F64], calibration: BetaCalibration, thresholds: Thresholds
) -> int:
    """Return how many rows ours decides otherwise than both sums of theirs, single and double precision."""
    low = calibration(np.minimum(*theirs) * (1 - _ULP))
    high = calibration(np.minimum(np.maximum(*theirs) * (1 + _ULP), 1.0))
    p = calibration(ours)
    other = np.zeros(len(p), bool)
    for cut in (thresholds.review, thresholds.decline):
        other |= ((p >= cut) != (low >= cut)) & ((p >= cut) != (high >= cut))
    return int(other.sum())
