"""How far an answer can be believed: people err, and the answers that weigh most bear the error worst.

An answer about a payment that nobody suspects stands for a hundred others, and true frauds among those are
fewer than slips of the tongue: at 2% errors nine of ten claims of a missed fraud are none. So such a claim
counts only when a second, independent opinion agrees (double sampling: Tenenbein, "A double sampling scheme
for estimating from binomial data with misclassifications", 1970), and until then it may or may not be one:
figures lie between both (partial identification: Manski, "Partial Identification of Probability
Distributions", 2003).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fraud.errors import SettingsError
from fraud.feedback.audit import LONE_WEIGHT

F64 = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Standings = NDArray[np.int8]


class Standing(IntEnum):
    """What a label rests on.

    `LONE`: one person's word. `CONFIRMED`: a quorum of independent people, or a maintainer agreed.
    `OVERTURNED`: a maintainer rejected what was said, and the label is its opposite.
    """

    UNKNOWN = 0
    LONE = 1
    CONFIRMED = 2
    OVERTURNED = 3


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """How wrong answers may be, and what one opinion may weigh.

    Attributes
    ----------
    error : the most of the answers that are taken to be wrong, either way; 0 believes everybody
    lone_weight : the number of predictions that a claim of a missed fraud may stand for on one opinion: below
        it lie so few predictions that errors among them are lost in the true frauds
    """

    error: float = 0.02
    lone_weight: float = LONE_WEIGHT

    def __post_init__(self) -> None:
        if not 0 <= self.error < 0.5:
            raise SettingsError(
                "The share of wrong answers must be at least 0 and below 0.5; set FRAUD_ANSWER_ERROR so.",
                field="FRAUD_ANSWER_ERROR",
            )
        if not self.lone_weight >= 1:
            raise SettingsError("lone_weight must be at least 1.", field="lone_weight")


def least_favourable(chance: F64, error: float, *, alerted: Booleans, weighty: Booleans) -> F64:
    """Return how likely each answer is to count as a fraud if scores mean what they did and people err most.

    Of all rates of error from 0 to `error`, for each answer the one that makes F1 lowest: fewer frauds among
    alerts, more among the rest. So a test against it holds its level whatever the rate is. Where two opinions
    are needed both must err.

    Parameters
    ----------
    chance : float64, any shape [n, ...]; the probability of fraud
    alerted, weighty : bool [n]; the model alerted; the answer counts only with a second opinion
    """
    shape = (len(chance),) + (1,) * (chance.ndim - 1)
    once = chance + error * (1 - 2 * chance)
    twice = chance * (1 - error) ** 2 + (1 - chance) * error**2
    rest = np.maximum(chance, np.where(weighty.reshape(shape), twice, once))
    return np.asarray(np.where(alerted.reshape(shape), np.minimum(chance, once), rest))
