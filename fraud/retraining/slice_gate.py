"""Whether a challenger is worse than the champion in any one slice: many looks, one honest error rate. Pure.

In each slice and for each model two things are asked, because hostile flags can do two things: are frauds
missed that the champion caught ("recall": "false alarm" flags on true frauds), and are honest customers
stopped whom it left alone ("false_alarms": "fraud" flags on legitimate payments)? F1 of a slice would answer
neither: it moves with both, and with the cut-off.

Both are asked beyond what the model lost or stopped elsewhere: a cut-off that moved by itself moves all
slices alike, and the overall margins and the alert budget judge that. An attack is local.

The test is a sign-flip randomisation with the largest statistic of all (Westfall & Young, "Resampling-based
multiple testing", 1993; Romano & Wolf, JASA 2005). If champion and challenger are exchangeable, what changed
for one card could as well have changed the other way round, so the signs of whole cards are flipped: rows of
one card, slices that overlap and the two models keep their dependence, and nothing is assumed about counts.
The chance that an exchangeable challenger is refused for any slice by the test is then at most `alpha`.
Beyond it stands only a limit on the loss of recall that no release may pass unseen, proven or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Rows = NDArray[np.bool_]
Metric = Literal["recall", "false_alarms"]
_FLIPS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class SlicePolicy:
    """When a slice refuses a challenger.

    Attributes
    ----------
    min_frauds : held-out frauds from which a slice's recall is judged
    min_false_alarms : false alarms of the two models together from which a slice's false alarms are judged
    margin_recall : a loss of recall up to this, beyond that elsewhere, is no reason, however sure
    max_recall_loss : a loss from this on is one, however unsure: many frauds may be few cards, of which no
        test can show much
    max_false_alarm_ratio : so is growth of its false alarms up to this factor, beyond that elsewhere
    max_false_alarm_share : so is growth up to this share of all alerts of the champion: what a kind of fraud
        that the held-out window does not know draws to itself, and what reviewers can bear to look at
    alpha : how often an exchangeable challenger may be refused for any slice of any model
    n_flips, seed : of the randomisation; the smallest p-value is 1 / (n_flips + 1)
    """

    min_frauds: int = 50
    min_false_alarms: int = 50
    margin_recall: float = 0.05
    max_recall_loss: float = 0.25
    max_false_alarm_ratio: float = 2.0
    max_false_alarm_share: float = 0.1
    alpha: float = 0.05
    n_flips: int = 1999
    seed: int = 7

    def widened(self, factor: float) -> "SlicePolicy":
        """Return the policy with `factor` times the margins; a recall cannot fall by more than 1."""
        return replace(
            self,
            margin_recall=min(1.0, self.margin_recall * factor),
            max_recall_loss=min(1.0, self.max_recall_loss * factor),
            max_false_alarm_ratio=1.0 + (self.max_false_alarm_ratio - 1.0) * factor,
            max_false_alarm_share=self.max_false_alarm_share * factor,
        )


@dataclass(frozen=True, slots=True)
class SliceFinding:
    """One slice of one model.

    Attributes
    ----------
    n : frauds of the slice (recall), or false alarms of the two models together
    champion, challenger : recall, or the number of false alarms
    margin : the slice's own: what the change for the worse must exceed, in the unit of the two
    p : of no change for the worse, adjusted for all slices, metrics and models together
    harmed : the change is beyond what the policy lets pass
    """

    model: str
    slice: str
    metric: Metric
    n: int
    champion: float
    challenger: float
    margin: float
    p: float
    harmed: bool

    def to_json(self) -> dict[str, object]:
        """Return a JSON object with six decimals."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class SliceFindings:
    """What was judged, worst first, and how many slices had too little in them to be judged at all."""

    judged: tuple[SliceFinding, ...]
    n_too_small: int

    @property
    def harmed(self) -> tuple[SliceFinding, ...]:
        """The findings that refuse the challenger."""
        return tuple(finding for finding in self.judged if finding.harmed)


@dataclass(frozen=True, slots=True)
class _Question:
    """One test before it is judged.

    `expected` is what `after` would be had the slice changed as the rest of the window did; `worse` is by
    how much each card is worse than that; `alerts`, all that the champion raised, in every slice.
    """

    model: str
    slice: str
    metric: Metric
    n: int
    before: int
    after: int
    expected: float
    worse: F64
    alerts: int

    @property
    def norm(self) -> float:
        return float(np.sqrt((self.worse**2).sum()))


def judge_slices(
    labels: F64,
    cards: NDArray[np.int64],
    slices: Mapping[str, Rows],
    alerts: Mapping[str, tuple[Rows, Rows]],
    policy: SlicePolicy,
) -> SliceFindings:
    """Return the findings of all slices and models on the same held-out rows.

    Parameters
    ----------
    labels : float64 [n], 1 fraud, 0 legitimate
    cards : int64 [n], rows of equal value are taken to depend on each other
    slices : name -> bool [n]
    alerts : model -> (bool [n] of the champion, bool [n] of the challenger)
    """
    _, card = np.unique(cards, return_inverse=True)
    questions: list[_Question] = []
    n_too_small = 0
    for name, inside in slices.items():
        asked = _questions(name, inside, labels, card, alerts, policy)
        n_too_small += not any(question.metric == "recall" for question in asked)
        questions += asked
    largest, statistics = _largest_under_flips(questions, policy)
    critical = float(np.quantile(largest, 1 - policy.alpha, method="higher")) if len(largest) else 0.0
    findings = [
        _finding(question, statistic, largest, critical, policy)
        for question, statistic in zip(questions, statistics, strict=True)
    ]
    return SliceFindings(tuple(sorted(findings, key=lambda f: (not f.harmed, f.p, f.slice))), n_too_small)


def _questions(
    name: str,
    inside: Rows,
    labels: F64,
    card: NDArray[np.intp],
    alerts: Mapping[str, tuple[Rows, Rows]],
    policy: SlicePolicy,
) -> list[_Question]:
    frauds, others = inside & (labels == 1), inside & (labels == 0)
    n_frauds = int(frauds.sum())
    n_cards = int(card.max()) + 1 if len(card) else 0
    asked = []
    for model, (old, new) in alerts.items():
        n_alerts = int(old.sum())
        before, after = int(old[frauds].sum()), int(new[frauds].sum())
        if n_frauds >= policy.min_frauds:
            elsewhere = (labels == 1) & ~inside
            fell = float(old[elsewhere].sum()) - float(new[elsewhere].sum())
            loss = max(0.0, fell / max(1, int(elsewhere.sum())))
            lost = old[frauds] - new[frauds].astype(np.float64) - loss
            worse = np.bincount(card[frauds], lost, n_cards).astype(np.float64)
            expected = before - loss * n_frauds
            asked.append(_Question(model, name, "recall", n_frauds, before, after, expected, worse, n_alerts))
        before, after = int(old[others].sum()), int(new[others].sum())
        if before + after >= policy.min_false_alarms:
            elsewhere = (labels == 0) & ~inside
            growth = max(1.0, float(new[elsewhere].sum()) / max(1.0, float(old[elsewhere].sum())))
            added = new[others] - growth * old[others]
            worse = np.bincount(card[others], added, n_cards).astype(np.float64)
            n, expected = before + after, growth * before
            asked.append(_Question(model, name, "false_alarms", n, before, after, expected, worse, n_alerts))
    return asked


def _largest_under_flips(questions: Sequence[_Question], policy: SlicePolicy) -> tuple[F64, F64]:
    """Return the largest statistic of each flip, and the observed statistic of each question."""
    if not questions:
        return np.zeros(0), np.zeros(0)
    worse = np.column_stack([question.worse for question in questions])
    worse = worse[np.abs(worse).sum(axis=1) > 0]  # cards on which the models agree say nothing
    norms = np.array([question.norm or 1.0 for question in questions])
    scaled = worse / norms
    rng = np.random.default_rng(policy.seed)
    largest = []
    for start in range(0, policy.n_flips, _FLIPS_AT_ONCE):
        n = min(_FLIPS_AT_ONCE, policy.n_flips - start)
        signs = rng.integers(0, 2, (n, len(scaled))) * 2.0 - 1
        largest.append((signs @ scaled).max(axis=1))
    return np.concatenate(largest), scaled.sum(axis=0)


def _finding(
    question: _Question, statistic: float, largest: F64, critical: float, policy: SlicePolicy
) -> SliceFinding:
    # Sums of other orders round to other last digits: equal statistics must count as reached.
    p = (1 + int((largest >= statistic - 1e-9).sum())) / (1 + len(largest))
    if question.metric == "recall":
        scale, floor, limit = question.n, policy.margin_recall, policy.max_recall_loss
    else:
        floor = max(
            (policy.max_false_alarm_ratio - 1) * question.expected,
            policy.max_false_alarm_share * question.alerts,
        )
        scale, limit = 1, np.inf
    elsewhere = abs(question.expected - question.before) / scale
    change = float(question.worse.sum()) / scale
    loss = (question.before - question.after) / scale
    shown = change > floor and p <= policy.alpha
    noise = critical * question.norm / scale
    return SliceFinding(
        model=question.model,
        slice=question.slice,
        metric=question.metric,
        n=question.n,
        champion=question.before / scale,
        challenger=question.after / scale,
        margin=min(limit, elsewhere + max(floor, noise)),
        p=p,
        harmed=bool(shown or loss >= limit),
    )
