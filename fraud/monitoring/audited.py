"""The audit sample of one window and model: labels known because a lot fell, and what they stand for.

Only predictions on which a lot was drawn can be spoken for. An answer weighs 1 / (pi r): pi is the
chance that the lot fell on it, r the part of those asked who answered, by stratum (alert, score). This
assumes that within a stratum answering has nothing to do with the label, which no data here can show; so the
response rate is reported, and where it is low nothing is judged.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fraud.errors import EvidenceError
from fraud.monitoring.observations import Booleans, Observations
from fraud.monitoring.opinions import AnswerPolicy, Standing, Standings

F64 = NDArray[np.float64]
_ASKED_PER_BAND = 20
_MOST_BANDS = 3


@dataclass(frozen=True)
class AuditedWindow:
    """The predictions on which a lot was drawn, N in all, and the n answers among them.

    Attributes
    ----------
    probability : float64 [N]
    alerted : bool [N]
    chance : float64 [N]; that a prediction was asked about *and* answered, in (0, 1]; 0 where nobody of its
        stratum answered
    rows : intp [n], where the answers are
    labels : float64 [n]; 1 fraud, 0 legitimate
    n_asked : how many the lot fell on
    n_without_lot : predictions of the window that are not among the N, because no lot was drawn
    standing : int8 [n], what each label rests on (`Standing`)
    policy : how far a label on one opinion is believed
    """

    probability: F64
    alerted: Booleans
    chance: F64
    rows: NDArray[np.intp]
    labels: F64
    n_asked: int
    n_without_lot: int
    standing: Standings
    policy: AnswerPolicy = field(default_factory=AnswerPolicy)

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def weight(self) -> F64:
        """How many predictions each answer stands for, float64 [n], at least 1."""
        return 1.0 / self.chance[self.rows]

    @property
    def response_rate(self) -> float | None:
        """The part of those asked who answered; None where nobody was asked."""
        return len(self.rows) / self.n_asked if self.n_asked else None

    @property
    def weighty(self) -> Booleans:
        """Where "fraud" would be a missed fraud that stands for too many to rest on one opinion, bool [n]."""
        if self.policy.error == 0:
            return np.zeros(len(self.rows), bool)
        return np.asarray(~self.alerted[self.rows] & (self.weight > self.policy.lone_weight))

    @property
    def awaiting(self) -> Booleans:
        """The claims of a missed fraud that wait for a second opinion, bool [n]."""
        return np.asarray(self.weighty & (self.labels == 1) & (self.standing == Standing.LONE))

    def without_claims(self) -> "AuditedWindow":
        """Return the window as it is if no claim that waits for a second opinion is a fraud."""
        return replace(self, labels=np.where(self.awaiting, 0.0, self.labels))

    def with_claims(self) -> "AuditedWindow":
        """Return the window as it is if all of them are."""
        standing = np.where(self.awaiting, Standing.CONFIRMED, self.standing).astype(np.int8)
        return replace(self, standing=standing)


def mature(observations: Observations, as_of_ms: int, delay_ms: int) -> Observations:
    """Return the predictions whose label delay has passed at `as_of_ms`: the only ones that may be judged."""
    return observations.take(np.flatnonzero(observations.predicted_ms + delay_ms <= as_of_ms))


def drawn(observations: Observations) -> NDArray[np.intp]:
    """Return where a lot was drawn: the rows that `audited_window` keeps, in their order."""
    return np.flatnonzero(np.isfinite(observations.audit_probability))


def audited_window(
    probability: F64,
    alerted: Booleans,
    labels: F64,
    asked: Booleans,
    audit_probability: F64,
    standing: Standings | None = None,
    policy: AnswerPolicy = AnswerPolicy(),  # noqa: B008 (frozen)
) -> AuditedWindow:
    """Return one model's window; labels of predictions that were not asked about are not looked at.

    Parameters
    ----------
    probability, alerted, labels, asked, audit_probability : [n], as in `Observations`
    standing : int8 [n]; None takes every label for confirmed

    Raises
    ------
    EvidenceError
        A lot fell where none was drawn, a chance is not in (0, 1], a label is neither 0, 1 nor NaN, a score
        is not in [0, 1], or the columns are of different lengths.
    """
    _check(probability, alerted, labels, asked, audit_probability)
    keep = np.isfinite(audit_probability)
    p, yhat, y = probability[keep], alerted[keep].astype(bool), labels[keep]
    was_asked, pi = asked[keep].astype(bool), audit_probability[keep]
    answered = was_asked & ~np.isnan(y)
    chance = pi * _response(p, yhat, was_asked, answered)
    rows = np.flatnonzero(answered)
    rests_on = np.full(len(rows), Standing.CONFIRMED, np.int8)
    if standing is not None:
        rests_on = standing[keep][rows]
    counts = int(was_asked.sum()), int((~keep).sum())
    return AuditedWindow(p, yhat, chance, rows, y[rows], *counts, rests_on, policy)


def _check(probability: F64, alerted: Booleans, labels: F64, asked: Booleans, pi: F64) -> None:
    lengths = {len(column) for column in (probability, alerted, labels, asked, pi)}
    if len(lengths) > 1:
        raise EvidenceError("The columns of a window have different lengths; bring one row per prediction.")
    if np.isinf(pi).any() or (pi[~np.isnan(pi)] <= 0).any() or (pi[~np.isnan(pi)] > 1).any():
        raise EvidenceError(
            "audit_probability must be above 0 and at most 1 (missing where no lot was drawn); an answer "
            "that could not have been asked for stands for nothing.",
            code="audit_probability",
            field="audit_probability",
        )
    if (np.isnan(pi) & asked.astype(bool)).any():
        raise EvidenceError(
            "audit_asked is true where audit_probability is missing; keep the probability with every lot.",
            code="audit_probability",
            field="audit_asked",
        )
    if not np.isin(labels[~np.isnan(labels)], (0.0, 1.0)).all():
        raise EvidenceError(
            "A label must be 1 (fraud), 0 (legitimate) or missing.", code="labels", field="labels"
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise EvidenceError(
            "A score must be a probability from 0 to 1.", code="probability", field="probability"
        )


def _response(probability: F64, alerted: Booleans, asked: Booleans, answered: Booleans) -> F64:
    """Return the response rate of every prediction's stratum, float64 [N]; 0 where nobody asked answered."""
    rate = np.zeros(len(probability))
    for side in (alerted, ~alerted):
        n_asked = int((side & asked).sum())
        n_bands = min(_MOST_BANDS, max(1, n_asked // _ASKED_PER_BAND))
        inner = np.empty(0)
        if n_bands > 1:
            inner = np.quantile(probability[side & asked], np.arange(1, n_bands) / n_bands)
        band = np.searchsorted(inner, probability, side="right")
        rates = [_rate(side & (band == b), asked, answered) for b in range(n_bands)]
        if min(rates) == 0:  # a silent band would be spoken for by nobody
            rates = [_rate(side, asked, answered)] * n_bands
        rate[side] = np.array(rates)[band[side]]
    return rate


def _rate(stratum: Booleans, asked: Booleans, answered: Booleans) -> float:
    n_asked = int((stratum & asked).sum())
    return float((stratum & answered).sum()) / n_asked if n_asked else 0.0
