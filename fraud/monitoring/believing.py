"""What a window's second opinions say of its answers: how many are wrong, what a lone claim is worth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.models.evaluate import Estimate
from fraud.monitoring.audited import AuditedWindow
from fraud.monitoring.intervals import share
from fraud.monitoring.opinions import Standing
from fraud.monitoring.performance import Figure

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AnswerError:
    """How often "fraud" is said of what is none, where that would weigh much.

    Attributes
    ----------
    assumed : the most that is taken for granted (`AnswerPolicy.error`)
    found : claims that second opinions refuted, as a share of the weighty answers, with 95% limits; the upper
        one takes those that wait for refuted too. None without a weighty answer
    used : the assumed rate, or the lower limit of the found one where that is higher
    """

    assumed: float
    found: Estimate | None
    used: float

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "assumed": self.assumed,
            "found": None if self.found is None else self.found.to_json(),
            "used": round(self.used, 6),
        }


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the answers of a window rest on.

    Attributes
    ----------
    n_lone, n_confirmed, n_overturned : answers on one opinion, with a second one that agrees, and those that
        a maintainer found to be wrong
    n_weighty : answers whose claim of a fraud would need a second opinion
    n_awaiting : such claims without one
    lone_weight : the weight from which they need it
    """

    n_lone: int
    n_confirmed: int
    n_overturned: int
    n_weighty: int
    n_awaiting: int
    lone_weight: float
    error: AnswerError

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        names = ("n_lone", "n_confirmed", "n_overturned", "n_weighty", "n_awaiting", "lone_weight")
        return {name: getattr(self, name) for name in names} | {"error": self.error.to_json()}


def opinions_of(window: AuditedWindow) -> Opinions:
    """Return what the answers of a window rest on."""
    counts = {standing: int((window.standing == standing).sum()) for standing in Standing}
    return Opinions(
        n_lone=counts[Standing.LONE],
        n_confirmed=counts[Standing.CONFIRMED],
        n_overturned=counts[Standing.OVERTURNED],
        n_weighty=int(window.weighty.sum()),
        n_awaiting=int(window.awaiting.sum()),
        lone_weight=window.policy.lone_weight,
        error=answer_error(window),
    )


def answer_error(window: AuditedWindow) -> AnswerError:
    """Return how often people err, as far as second opinions tell.

    Those whom the lot asked about what nobody suspects almost all had to say "legitimate", so the claims that
    were refuted, over all weighty answers, are the rate itself; no error is hidden by who was asked again.
    """
    assumed, n = window.policy.error, int(window.weighty.sum())
    if n == 0:
        return AnswerError(assumed, None, assumed)
    refuted = int(_refuted(window).sum())
    most = refuted + int(window.awaiting.sum())
    low, high = share(refuted / n, float(n)).low, share(most / n, float(n)).high
    return AnswerError(assumed, Estimate(refuted / n, low, high), min(0.49, max(assumed, low)))


def _refuted(window: AuditedWindow) -> NDArray[np.bool_]:
    return np.asarray(window.weighty & (window.labels == 0) & (window.standing == Standing.OVERTURNED))


def worth_of_claim(window: AuditedWindow, expected: F64) -> float:
    """Return the share of frauds to reckon with among the claims that wait for a second opinion.

    The share that second opinions confirmed in this window. What scores promise and the assumed rate of error
    make likely counts as one more claim, and alone where there was no second opinion.

    Parameters
    ----------
    expected : float64 [N]; the probability of fraud of each prediction
    """
    weighty, error = window.weighty, window.policy.error
    frauds = expected[window.rows[weighty]]
    true, false = float(frauds.sum()) * (1 - error), float((1 - frauds).sum()) * error
    likely = true / (true + false) if true + false > 0 else 1.0
    confirmed = int((weighty & (window.labels == 1) & (window.standing == Standing.CONFIRMED)).sum())
    return (confirmed + likely) / (confirmed + int(_refuted(window).sum()) + 1)


def figures_between(
    window: AuditedWindow, expected: F64, figures: Callable[[AuditedWindow], Mapping[str, Figure]]
) -> dict[str, Figure]:
    """Return figures that hold whether or not the claims that wait for a second opinion are frauds.

    Limits reach from the lower of both to the higher; the value lies between by what a claim is worth. Frauds
    are counted without the claims.
    """
    without = figures(window.without_claims())
    if not window.awaiting.any():
        return dict(without)
    worth, every = worth_of_claim(window, expected), figures(window.with_claims())
    return {name: _between(figure, every[name], worth) for name, figure in without.items()}


def _between(without: Figure, every: Figure, worth: float) -> Figure:
    numbers = (without.value, without.low, without.high, every.value, every.low, every.high)
    known = [number for number in numbers if number is not None]
    value = low = high = None
    if without.value is not None and every.value is not None:
        value = (1 - worth) * without.value + worth * every.value
        if len(known) == len(numbers):
            low, high = min(known), max(known)
    basis = without.n_answers, without.n_frauds, without.effective_n, without.basis
    return Figure(value, low, high, *basis)


def estimate_between(
    window: AuditedWindow, expected: F64, estimate: Callable[[AuditedWindow], Estimate | None]
) -> Estimate | None:
    """Return one estimate as `figures_between` does; None where either side has none."""
    without = estimate(window.without_claims())
    if without is None or not window.awaiting.any():
        return without
    every = estimate(window.with_claims())
    if every is None:
        return None
    worth = worth_of_claim(window, expected)
    value = (1 - worth) * without.value + worth * every.value
    ends = [
        end for found in (without, every) for end in (found.value, found.low, found.high) if end is not None
    ]
    return Estimate(value, min(ends), max(ends))
