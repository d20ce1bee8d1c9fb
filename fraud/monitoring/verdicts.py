"""What the figures of a window amount to: healthy, alert, or insufficient evidence, each with its reasons.

Want of evidence is a state of its own: never healthy for want of frauds, and never an alert for want of them.
Reasons are codes with parameters; whoever shows them has the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fraud.models.evaluate import Estimate
from fraud.monitoring.gap import Gap
from fraud.monitoring.intervals import Limits, combined
from fraud.monitoring.opinions import AnswerPolicy
from fraud.monitoring.performance import RealisedPerformance


class Health(StrEnum):
    """What a window says about a model."""

    HEALTHY = "healthy"
    ALERT = "alert"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


@dataclass(frozen=True, slots=True)
class Reason:
    """A code and its parameters.

    Codes of want of evidence: `no_mature_predictions`, `no_answers`, `few_frauds`, `few_answers`,
    `low_response`, `without_lot`, `unreadable`, `no_estimate`, `no_reference`. Of alerts:
    `f1_below_held_out`, `below_estimate`. Of health: `f1_not_shown_below_held_out`, `as_estimated`.
    """

    code: str
    params: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {"code": self.code, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A state with its reasons."""

    health: Health
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {"health": self.health.value, "reasons": [reason.to_json() for reason in self.reasons]}


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    """How much evidence a judgement needs, and what is worth an alert.

    Attributes
    ----------
    min_frauds, min_answers : among the audit's answers; below them intervals were not shown to hold
        (benchmarks/results/monitoring_performance.md)
    min_response : the part of those asked who answered
    max_without_lot : the part of the window's predictions on which no lot was drawn
    max_unused : the part of the stretch's predictions that could not be read: the rest may be of another kind
    margin : by how much F1 may be below the held-out figure
    gap_level : how often a model that is as it was may raise the alarm of the gap
    answers : how wrong answers may be, and what one opinion may weigh
    """

    min_frauds: int = 10
    min_answers: int = 50
    min_response: float = 0.5
    max_without_lot: float = 0.1
    max_unused: float = 0.5
    margin: float = 0.05
    gap_level: float = 0.03
    answers: AnswerPolicy = field(default_factory=AnswerPolicy)


def want_of_evidence(realised: RealisedPerformance, policy: EvidencePolicy) -> tuple[Reason, ...]:
    """Return why a window cannot be judged; nothing where it can."""
    if realised.unused_share > policy.max_unused:
        unread = round(realised.unused_share, 4)
        return (Reason("unreadable", {"found": unread, "needed": policy.max_unused}),)
    n = realised.n_predictions + realised.n_without_lot
    if n == 0:
        return (Reason("no_mature_predictions"),)
    if realised.n_answers == 0:
        return (Reason("no_answers", {"n_asked": realised.n_asked, "n_predictions": n}),)
    rate = realised.response_rate or 0.0
    without = realised.n_without_lot / n
    checks = (
        ("few_answers", realised.n_answers < policy.min_answers, realised.n_answers, policy.min_answers),
        ("few_frauds", realised.n_frauds < policy.min_frauds, realised.n_frauds, policy.min_frauds),
        ("low_response", rate < policy.min_response, round(rate, 4), policy.min_response),
        ("without_lot", without > policy.max_without_lot, round(without, 4), policy.max_without_lot),
    )
    reasons = [
        Reason(code, {"found": found, "needed": limit}) for code, lacks, found, limit in checks if lacks
    ]
    if realised.figures["f1"].value is None:
        reasons.append(Reason("no_estimate", {"figure": "f1"}))
    return tuple(reasons)


def judge_f1(realised: RealisedPerformance, held_out: Estimate | None, policy: EvidencePolicy) -> Judgement:
    """Return whether F1 has dropped below the held-out figure by more than the margin.

    An alert needs the upper 95% limit of (lasting F1 - held-out F1) below -margin: the held-out figure's own
    interval counts as much as the window's, and both are figures of samples of one regime.
    """
    lacking = want_of_evidence(realised, policy)
    lasting = realised.f1_lasting
    if lacking or lasting is None:
        return Judgement(Health.INSUFFICIENT_EVIDENCE, lacking or (Reason("no_estimate", {"figure": "f1"}),))
    if held_out is None:
        return Judgement(Health.INSUFFICIENT_EVIDENCE, (Reason("no_reference", {"figure": "f1"}),))
    change = combined(lambda now, then: now - then, (_limits(lasting), _limits(held_out)))
    params: dict[str, object] = {
        "held_out": round(held_out.value, 6),
        "realised": round(lasting.value, 6),
        "change": round(change.value, 6),
        "low": round(change.low, 6),
        "high": round(change.high, 6),
        "margin": policy.margin,
        "n_answers": realised.n_answers,
        "n_frauds": realised.n_frauds,
    }
    if change.high < -policy.margin:
        return Judgement(Health.ALERT, (Reason("f1_below_held_out", params),))
    return Judgement(Health.HEALTHY, (Reason("f1_not_shown_below_held_out", params),))


def _limits(estimate: Estimate) -> Limits:
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return Limits(estimate.value, min(low, estimate.value), max(high, estimate.value))


def judge_gap(realised: RealisedPerformance, gap: Gap | None, policy: EvidencePolicy) -> Judgement:
    """Return whether realised F1 is below what the scores promise: they have lost their meaning."""
    lacking = want_of_evidence(realised, policy)
    if lacking or gap is None:
        return Judgement(Health.INSUFFICIENT_EVIDENCE, lacking or (Reason("no_estimate", {"figure": "gap"}),))
    params = {name: value for name, value in gap.to_json().items() if name != "significant"}
    if not gap.significant:
        return Judgement(Health.HEALTHY, (Reason("as_estimated", params),))
    return Judgement(Health.ALERT, (Reason("below_estimate", params),))


def worst(judgements: Mapping[str, Judgement]) -> Judgement:
    """Return one judgement of several: an alert outweighs want of evidence, which outweighs health."""
    order = (Health.ALERT, Health.INSUFFICIENT_EVIDENCE, Health.HEALTHY)
    for health in order:
        reasons = tuple(
            Reason(reason.code, {"of": name, **reason.params})
            for name, judgement in judgements.items()
            if judgement.health is health
            for reason in judgement.reasons
        )
        if reasons:
            return Judgement(health, reasons)
    return Judgement(Health.INSUFFICIENT_EVIDENCE, (Reason("no_estimate"),))
