"""Intervals for what a lot drew: weighted counts of a rare thing, weighted shares, and functions of both.

A handful of frauds, each standing for many, is where normal intervals fail: they are too short, and shortest
where nothing was found at all. Here a weighted count has a gamma interval with a third of a next fraud added
(Kerman, "Neutral noninformative and informative conjugate beta and gamma prior distributions", 2011; moments
matched as by Fay and Feuer, "Confidence intervals for directly standardized rates", 1997), and a share has
Wilson's with an effective number of answers (Korn and Graubard 1998). Limits of functions of them follow from
the limits of each (method of variance estimates recovery: Zou and Donner, "Construction of confidence limits
about effect measures", 2008).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from fraud.models.analysis.intervals import wilson

F64 = NDArray[np.float64]
LEVEL = 0.95
NEXT = 1 / 3
"""The part of a next fraud that limits reckon with: the neutral prior of a Poisson mean (Kerman 2011)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """An estimate between its confidence limits."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> "Limits":
        """Return a number that is known."""
        return cls(value, value, value)


@dataclass(frozen=True, slots=True)
class NextFind:
    """The first two moments of the weight that the next fraud found would have.

    It stands for the frauds that no lot has met: without it, the limits know of no weight but those found.
    """

    mean: float
    square: float


def weighted_count(excess: F64, weight: F64, upcoming: NextFind, level: float = LEVEL) -> Limits:
    """Return the limits of a sum of `excess` over a thing's rare, independent finds.

    Parameters
    ----------
    excess, weight : float64 [finds]; what each find adds to the sum, and to its variance, excess * weight
    upcoming : moments of the excess of the next find, and of its excess * weight
    """
    mean, variance = float(excess.sum()), float((excess * weight).sum())
    tail = (1 - level) / 2
    scale = max(variance / mean if mean > 0 else 0.0, upcoming.square / upcoming.mean if upcoming.mean else 0)
    if scale <= 0:
        return Limits.exactly(mean)
    low = scale * gamma.ppf(tail, mean / scale + NEXT)
    m, v = mean + upcoming.mean * NEXT, variance + upcoming.square * NEXT
    high = v / m * gamma.ppf(1 - tail, m * m / v) if v > 0 else m
    return Limits(mean, min(float(low), mean) if mean > 0 else 0.0, max(float(high), mean))


def share(value: float, n_effective: float, level: float = LEVEL) -> Limits:
    """Return Wilson's score interval of a share that rests on an effective number of answers."""
    low, high = wilson(value, n_effective, level)
    return Limits(value, float(low), float(high))


def effective_number(weight: F64) -> float:
    """Return Kish's effective sample size, ``(sum w)^2 / sum w^2``; 0 of nothing."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def combined(function: Callable[..., float], parts: Sequence[Limits]) -> Limits:
    """Return the limits of a function of independent estimates that is monotone in each.

    ``low = f - sqrt(sum_i (f - f with estimate i at its worse limit)^2)``, and so upwards.
    """
    values = [part.value for part in parts]
    centre = function(*values)
    down = up = 0.0
    for i, part in enumerate(parts):
        ends = [function(*values[:i], end, *values[i + 1 :]) - centre for end in (part.low, part.high)]
        down += min(0.0, *ends) ** 2
        up += max(0.0, *ends) ** 2
    return Limits(centre, centre - math.sqrt(down), centre + math.sqrt(up))


def logit_interval(value: float, sd: float, quantile: float) -> Limits:
    """Return value -+ quantile * sd on the log-odds scale, where a figure in (0, 1) is more nearly normal."""
    if not 0 < value < 1:
        return Limits.exactly(value)
    centre, half = math.log(value / (1 - value)), quantile * sd / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, x)))) for x in (centre - half, centre + half))
    return Limits(value, min(low, value), max(high, value))
