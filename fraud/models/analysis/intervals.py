"""Intervals that the tables share: of a share, and of average precision."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud.models.evaluate import Ranking

F64 = NDArray[np.float64]
LEVEL = 0.95


def wilson(share: ArrayLike, n: ArrayLike, level: float = LEVEL) -> tuple[F64, F64]:
    """Return the limits of Wilson's score interval of shares that rest on `n` answers each; NaN for none.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy.special import ndtri

    value, count = np.asarray(share, np.float64), np.asarray(n, np.float64)
    count = np.where(count > 0, count, np.nan)
    z = float(ndtri((1 + level) / 2))
    shrunk = 1 + z * z / count
    centre = (value + z * z / (2 * count)) / shrunk
    half = z / shrunk * np.sqrt(value * (1 - value) / count + (z / (2 * count)) ** 2)
    return np.maximum(0.0, np.minimum(value, centre - half)), np.minimum(
        1.0, np.maximum(value, centre + half)
    )


def average_precision(
    labels: F64, scores: F64, n_bootstrap: int = 200, seed: int = 7, level: float = LEVEL
) -> tuple[float, float, float]:
    """Return (average precision, low, high) by a percentile bootstrap over transactions (Poisson weights)."""
    ranking, rng = Ranking.of(labels, scores), np.random.default_rng(seed)
    draws = [
        ranking.auc_and_ap(rng.poisson(1.0, len(labels)).astype(np.float64))[1] for _ in range(n_bootstrap)
    ]
    usable = [draw for draw in draws if np.isfinite(draw)]
    point = ranking.auc_and_ap()[1]
    if not usable:
        return point, float("nan"), float("nan")
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return point, float(low), float(high)
