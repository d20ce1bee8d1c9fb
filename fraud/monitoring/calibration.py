"""Whether a score still means what it says: what share of the predictions near a score were frauds.

The bands of scores are fixed, and narrow where most scores are, so that a band is the same in every window.
Shares are of the audit sample, each answer by its inverse probability; beside them stands what held-out data
say that the same scores mean, which needs no answer.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.monitoring.audited import AuditedWindow
from fraud.monitoring.estimated import Meaning
from fraud.monitoring.intervals import Limits, effective_number, share

F64 = NDArray[np.float64]
EDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
"""Where bands of scores end, each above its lower and up to its upper edge (the first from 0)."""
LEAST_ANSWERS = 10
"""Answers below which a band's share of frauds is not told."""


@dataclass(frozen=True, slots=True)
class ScoreBand:
    """The predictions whose scores lie between two edges.

    Attributes
    ----------
    score : mean score of all n_predictions
    held_out : mean share of frauds that held-out data promise for these scores; None without a reference
    value, low, high : share of frauds by the answers, with its 95% limits; None with too few of them
    """

    score: float
    held_out: float | None
    value: float | None
    low: float | None
    high: float | None
    n_predictions: int
    n_answers: int
    n_frauds: int

    def to_json(self) -> dict[str, object]:
        """Return a JSON object with six decimals."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


def score_bands(window: AuditedWindow, meaning: Meaning | None) -> tuple[ScoreBand, ...]:
    """Return the bands that hold a prediction, by rising score.

    A share is weighted as `audited` weighs (Hajek's ratio) and its limits are Wilson's with Kish's effective
    number of answers, so a band without a fraud has an upper limit, too. A claim that waits for a second
    opinion counts for the upper limit only.
    """
    band = np.searchsorted(np.array(EDGES[1:-1]), window.probability, side="left")
    promised = None if meaning is None else meaning(window.probability)
    weight, answered_band = window.weight, band[window.rows]
    labels, claimed = window.without_claims().labels, window.labels
    found = []
    for i in range(len(EDGES) - 1):
        here = band == i
        if not here.any():
            continue
        answered = answered_band == i
        found.append(
            _band(
                window.probability[here],
                None if promised is None else promised[here],
                weight[answered],
                labels[answered],
                claimed[answered],
            )
        )
    return tuple(found)


def _band(scores: F64, promised: F64 | None, weight: F64, labels: F64, claimed: F64) -> ScoreBand:
    limits = None
    if len(labels) >= LEAST_ANSWERS:
        settled, most = (
            share(float((weight * of).sum() / weight.sum()), effective_number(weight))
            for of in (labels, claimed)
        )
        limits = Limits(settled.value, settled.low, most.high)
    return ScoreBand(
        score=float(scores.mean()),
        held_out=None if promised is None else float(promised.mean()),
        value=None if limits is None else limits.value,
        low=None if limits is None else limits.low,
        high=None if limits is None else limits.high,
        n_predictions=len(scores),
        n_answers=len(labels),
        n_frauds=int(labels.sum()),
    )


def calibration_json(bands: Mapping[str, tuple[ScoreBand, ...]]) -> dict[str, object]:
    """Return model -> {"bins": [...]}."""
    return {model: {"bins": [band.to_json() for band in found]} for model, found in bands.items()}
