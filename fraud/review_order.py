"""In what order maintainers look at what people said: by use, and nobody's claims before everybody else's.

Alerts are most of what is flagged, and looking at them makes alarms rarer. A fraud that neither model saw
is worth as much and is never an alert, so such claims take turns with all other cases. They cost nothing to
make, so each reporter's next one waits until everybody's first was looked at: whoever floods gets one turn in
two at most, and with one pseudonym one case a round.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, zip_longest

from fraud.feedback.audit import claim_stands_for
from fraud.records import MODELS, Decision, Flag, Label, Prediction

Stake = Callable[[Mapping[str, object]], tuple[float, float]]
"""Returns the amount of a transaction, and 1 for a scale of it: what is usual."""
UNSURE = 0.5
"""What somebody could not tell counts so much from then on."""
SECOND_OPINION = 5.0
"""Added to the value of a claim that counts only with a second opinion: more than any other case has."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A flag to be decided.

    Attributes
    ----------
    value : how useful a finding would be; from `SECOND_OPINION` on it comes before all others
    missed : it says "fraud" where neither model alerted
    round : how many such claims of the same reporter came before it
    """

    flag_id: str
    value: float
    missed: bool = False
    round: int = 0

    @property
    def key(self) -> tuple[int, float, str]:
        """Its place among those that it takes turns with."""
        return (self.round, -self.value, self.flag_id)


def in_turn(waiting: Iterable[Waiting], limit: int) -> list[Waiting]:
    """Return the first `limit` to look at: what needs a second opinion, then missed and others in turn."""
    everything = list(waiting)
    urgent = [case for case in everything if case.value >= SECOND_OPINION]
    rest = [case for case in everything if case.value < SECOND_OPINION]
    first = nsmallest(limit, urgent, key=lambda case: (-case.value, case.flag_id))
    missed, others = (
        nsmallest(limit, (case for case in rest if case.missed is kind), key=lambda case: case.key)
        for kind in (True, False)
    )
    turns = chain.from_iterable(zip_longest(missed, others))
    return [*first, *(case for case in turns if case is not None)][:limit]


def is_missed(prediction: Prediction, flag: Flag) -> bool:
    """Return whether a flag claims a fraud on which neither model alerted."""
    quiet = all(score.decision is Decision.APPROVE for score in prediction.scores.values())
    return quiet and flag.label is Label.FRAUD


def claim_value(
    prediction: Prediction, flag: Flag, stake: Stake, *, asked: bool | None, chance: float | None
) -> tuple[float, float | None]:
    """Return `case_value` and, where a claim counts only with a second opinion, for how many it stands.

    Its value is then more than that of any other case. `asked` and `chance`: whether the lot asked about the
    prediction, and how probable that was.
    """
    stands_for = claim_stands_for(prediction, flag.label, asked=asked, chance=chance)
    return case_value(prediction, stake) + (0.0 if stands_for is None else SECOND_OPINION), stands_for


def case_value(prediction: Prediction, stake: Stake) -> float:
    """Return how useful a maintainer's finding would be, in [0, 4].

    Disagreement is 1 where the decisions differ, else the distance of the probabilities; the amount counts as
    ``a / (a + usual)``; uncertainty is 1 at the review threshold and falls to 0 with the distance from it.
    """
    scores = [prediction.scores[model] for model in MODELS]
    probabilities = [score.fraud_probability for score in scores]
    apart = max(probabilities) - min(probabilities) if prediction.agree else 1.0
    sum_at_stake, usual = stake(prediction.transaction)
    share = max(sum_at_stake, 0.0) / (max(sum_at_stake, 0.0) + usual)
    near = [
        1.0
        - min(1.0, abs(score.fraud_probability - score.thresholds.review) / _reach(score.thresholds.review))
        for score in scores
    ]
    return 2.0 * apart + share + max(near)


def _reach(threshold: float) -> float:
    return max(threshold, 1.0 - threshold)
