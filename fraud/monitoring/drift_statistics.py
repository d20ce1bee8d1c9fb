"""Distances between two distributions, their p-values, and Benjamini and Hochberg's correction.

Sample sizes are *effective* ones: what rows that depend on each other are worth in independent rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
SMALL_EXPECTED = 5.0
"""Expected count below which the normal approximation is not relied on (Cochran 1954)."""


def psi(reference: Floats, current: Floats, n_reference: float, n_current: float) -> float:
    """Return the population stability index, sum((c - r) ln(c / r)).

    Half a row is added to every bin, without which an empty one would make it infinite.

    Parameters
    ----------
    reference, current : float64 [bins], shares that sum to 1
    n_reference, n_current : rows that they were taken from
    """
    bins = len(reference)
    r = (reference * n_reference + 0.5) / (n_reference + bins / 2)
    c = (current * n_current + 0.5) / (n_current + bins / 2)
    return float(((c - r) * np.log(c / r)).sum())


def jensen_shannon(reference: Floats, current: Floats) -> float:
    """Return the Jensen-Shannon distance, the root of the divergence in bits: 0 equal, 1 disjoint."""
    middle = (reference + current) / 2
    divergence = 0.0
    for part in (reference, current):
        inside = part > 0
        divergence += float((part[inside] * np.log2(part[inside] / middle[inside])).sum()) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def wasserstein(
    bounds: Floats, reference: Floats, current: Floats, outside: tuple[Floats, Floats], *, exact: bool
) -> float:
    """Return the first Wasserstein distance, the area between distribution functions, in the value's unit.

    Parameters
    ----------
    bounds : float64 [bins - 1]
    reference, current : float64 [bins], shares
    outside : for each, the mean of how far values lie below the first bound, and above the last
    exact : each bin holds one value, its upper bound; otherwise the functions are taken as linear in between
    """
    gap = np.abs(np.cumsum(reference - current)[:-1])
    width = np.diff(bounds)
    inner = gap[:-1] * width if exact else (gap[:-1] + gap[1:]) / 2 * width
    return float(inner.sum() + np.abs(outside[0] - outside[1]).sum())


def kolmogorov_smirnov(reference: Floats, current: Floats, n: float) -> tuple[float, float]:
    """Return the largest difference of two distribution functions at the bounds of bins, and its p-value.

    With ties or bins the p-value is too large rather than too small.

    Parameters
    ----------
    n : half the harmonic mean of both effective sample sizes, 1 / (1 / n_reference + 1 / n_current)
    """
    distance = float(np.abs(np.cumsum(reference - current)).max(initial=0.0))
    return distance, float(stats.kstwo.sf(distance, max(1, round(n))))


def chi_squared(
    reference: Floats, current: Floats, n_reference: float, n_current: float
) -> tuple[float, float]:
    """Return Pearson's statistic of two samples over levels, and its p-value.

    Rare levels are pooled, since the approximation needs an expected count of five in the smaller sample.
    """
    pooled = (reference * n_reference + current * n_current) / (n_reference + n_current)
    rare = pooled * min(n_reference, n_current) < SMALL_EXPECTED
    if rare.sum() > 1:
        reference, current, pooled = (
            np.append(part[~rare], part[rare].sum()) for part in (reference, current, pooled)
        )
    used = pooled > 0
    if used.sum() < 2:
        return 0.0, 1.0
    n = 1 / (1 / n_reference + 1 / n_current)
    statistic = float(n * ((reference[used] - current[used]) ** 2 / pooled[used]).sum())
    return statistic, float(stats.chi2.sf(statistic, used.sum() - 1))


def two_proportions(
    reference: float, current: float, n_reference: float, n_current: float
) -> tuple[float, float]:
    """Return z of the difference of two shares, and its two-sided p-value; Fisher's for small counts."""
    pooled = (reference * n_reference + current * n_current) / (n_reference + n_current)
    if pooled <= 0 or pooled >= 1:
        return 0.0, 1.0
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_reference + 1 / n_current))
    z = float((current - reference) / error)
    if min(pooled, 1 - pooled) * min(n_reference, n_current) >= SMALL_EXPECTED:
        return z, float(2 * stats.norm.sf(abs(z)))
    table = []
    for share, n in ((reference, n_reference), (current, n_current)):
        hits = round(share * n)
        table.append([hits, max(round(n) - hits, 0)])
    return z, float(stats.fisher_exact(table).pvalue)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return q-values: the false discovery rate at which each test would be the last one called.

    Benjamini and Hochberg (1995); valid for independent tests and those of positive dependence.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return [float(value) for value in q]
