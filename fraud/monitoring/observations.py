"""What a monitoring run looks at: predictions of a stretch of time, by column, with what is known of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS
from fraud.data.table import Coded, Floats, Integers, Transactions
from fraud.monitoring.opinions import Standings

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time that observations are of.

    Attributes
    ----------
    start_ms, end_ms : [start, end), epoch milliseconds
    unused_share : of its predictions, by whatever model, the share that could not be read
    """

    start_ms: int
    end_ms: int
    unused_share: float = 0.0

    def day_of(self, moment_ms: Integers) -> Integers:
        """Return the number of each moment's day, counted in whole days from the start; -1 outside of them.

        A day of the calendar would be cut in two by a window that begins or ends at another hour than
        midnight, and half a day has half the frauds among its highest scores.
        """
        day = (moment_ms - self.start_ms) // DAY_MS
        return np.where((day >= 0) & (day < (self.end_ms - self.start_ms) // DAY_MS), day, -1)


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """One model's answers.

    Attributes
    ----------
    probability : float64 [n], calibrated
    alerted : bool [n], the decision was another than "approve"
    """

    probability: Floats
    alerted: Booleans

    def take(self, rows: NDArray[np.intp]) -> "ModelAnswers":
        """Return the rows at these positions."""
        return ModelAnswers(self.probability[rows], self.alerted[rows])


@dataclass(frozen=True, slots=True)
class Observations:
    """n predictions, ordered by when they were made.

    Attributes
    ----------
    predicted_ms : int64 [n], epoch milliseconds
    version : the name of the model version that answered
    digest : the manifest digest of the model that did, which no other model has; None where it was not kept
    answers : model name -> its answers
    labels : float64 [n]; 1 fraud, 0 legitimate, NaN unknown: never legitimate for want of a word
    standing : int8 [n]; what each label rests on (`opinions.Standing`)
    volunteered : bool [n]; the label rests on what somebody said unasked alone: nobody answered the lot's
        question, whether or not it fell on the prediction
    audit_asked : bool [n]; the lot of the audit sample fell on it
    audit_probability : float64 [n]; its chance to be asked, NaN where no lot was drawn
    latency_ms : float64 [n]
    transactions : what was scored, row by row as the others; not ordered by the transactions' own time
    """

    predicted_ms: Integers
    version: Coded
    answers: Mapping[str, ModelAnswers]
    labels: Floats
    standing: Standings
    volunteered: Booleans
    audit_asked: Booleans
    audit_probability: Floats
    latency_ms: Floats
    transactions: Transactions
    digest: Coded | None = None

    def __len__(self) -> int:
        return len(self.predicted_ms)

    def take(self, rows: NDArray[np.intp]) -> "Observations":
        """Return the rows at these positions."""
        return replace(
            self,
            predicted_ms=self.predicted_ms[rows],
            version=self.version.take(rows),
            digest=None if self.digest is None else self.digest.take(rows),
            answers={name: answers.take(rows) for name, answers in self.answers.items()},
            labels=self.labels[rows],
            standing=self.standing[rows],
            volunteered=self.volunteered[rows],
            audit_asked=self.audit_asked[rows],
            audit_probability=self.audit_probability[rows],
            latency_ms=self.latency_ms[rows],
            transactions=self.transactions.take(rows),
        )

    def between(self, start_ms: int, end_ms: int) -> "Observations":
        """Return the predictions made in [start, end)."""
        first, last = np.searchsorted(self.predicted_ms, [start_ms, end_ms])
        return self.take(np.arange(first, last))
