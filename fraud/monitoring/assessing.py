"""One run's view of one model: realised, estimated, their gap, and what they amount to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Coded, Integers
from fraud.models.evaluate import Estimate
from fraud.monitoring.audited import AuditedWindow, audited_window, drawn, mature
from fraud.monitoring.believing import Opinions, estimate_between, figures_between, opinions_of
from fraud.monitoring.estimated import EstimatedPerformance, Meaning, estimated_performance
from fraud.monitoring.gap import Gap, gap_test
from fraud.monitoring.observations import Observations, Stretch
from fraud.monitoring.opinions import AnswerPolicy
from fraud.monitoring.performance import (
    Figure,
    RealisedPerformance,
    found_among_alerts,
    lasting_f1,
    naive_figures,
    realised_figures,
)
from fraud.monitoring.ranked import card_precision_at_k, precision_at_k, ranking_figures
from fraud.monitoring.verdicts import EvidencePolicy, Judgement, judge_f1, judge_gap

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What a release knows of one model: what its scores mean, and its held-out F1 with its interval."""

    meaning: Meaning
    f1: Estimate | None


@dataclass(frozen=True)
class ModelAssessment:
    """One model in one window.

    Attributes
    ----------
    n_young : predictions of the window whose label delay has not passed; only `estimated_now` looks at them
    opinions : what the answers rest on
    estimated : over the predictions that `realised` is of, so that both may stand side by side; None without
        a reference or a prediction
    estimated_now : over the present window, of which no label is known yet; None likewise
    gap : over the predictions that `realised` is of
    """

    model: str
    n_young: int
    opinions: Opinions
    realised: RealisedPerformance
    estimated: EstimatedPerformance | None
    gap: Gap | None
    f1: Judgement
    drift: Judgement
    estimated_now: EstimatedPerformance | None = None

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "model": self.model,
            "n_young": self.n_young,
            "opinions": self.opinions.to_json(),
            "realised": self.realised.to_json(),
            "estimated": None if self.estimated is None else self.estimated.to_json(),
            "estimated_now": None if self.estimated_now is None else self.estimated_now.to_json(),
            "gap": None if self.gap is None else self.gap.to_json(),
            "f1": self.f1.to_json(),
            "concept_drift": self.drift.to_json(),
        }


def of_model(observations: Observations, version: str, manifest_digest: str) -> Observations:
    """Return what one model answered: figures of two models together are of neither.

    Two models may bear one name, a retrained release that was thrown away and the next one, so it is the
    digest that tells them apart; the name does where a record has no digest.
    """
    named = _is(observations.version, version)
    if observations.digest is None:
        return observations.take(np.flatnonzero(named))
    nameless = (observations.digest.codes < 0) | _is(observations.digest, "")
    ours = _is(observations.digest, manifest_digest) | (nameless & named)
    return observations.take(np.flatnonzero(ours))


def _is(column: Coded, wanted: str) -> NDArray[np.bool_]:
    codes = [i for i, value in enumerate(column.values) if value == wanted]
    return np.isin(column.codes, codes)


def assess(
    observations: Observations,
    model: str,
    profile: Profile,
    reference: Reference | None,
    *,
    as_of_ms: int,
    policy: EvidencePolicy,
    now: Observations | None = None,
    stretch: Stretch | None = None,
) -> ModelAssessment:
    """Return what is known of a model from the predictions of a window and the labels known at `as_of_ms`.

    Predictions younger than the profile's label delay are neither right nor wrong yet, and are left out of
    all but `estimated_now`. Labels in `observations` must be those known at `as_of_ms`.

    Parameters
    ----------
    observations : of a stretch that had its labels' delay, or most of it
    now : of the present window; None takes `observations` for it
    stretch : what `observations` are of; None takes days to be those of the calendar
    """
    now = observations if now is None else now
    delay_ms = int(profile.features.label_delay_days * DAY_MS)
    old = mature(observations, as_of_ms, delay_ms)
    window = window_of(old, model, policy.answers)
    realised = realised_performance(old, model, profile, reference, policy.answers, stretch)
    gap = None
    if reference is not None and len(window):
        gap = gap_test(window, reference.meaning, level=policy.gap_level)
    return ModelAssessment(
        model=model,
        n_young=len(now) - len(mature(now, as_of_ms, delay_ms)),
        opinions=opinions_of(window),
        realised=realised,
        estimated=_estimated(old, model, reference),
        estimated_now=_estimated(now, model, reference),
        gap=gap,
        f1=judge_f1(realised, None if reference is None else reference.f1, policy),
        drift=judge_gap(realised, gap, policy),
    )


def _estimated(
    observations: Observations, model: str, reference: Reference | None
) -> EstimatedPerformance | None:
    if reference is None or not len(observations):
        return None
    answers = observations.answers[model]
    return estimated_performance(answers.probability, answers.alerted, reference.meaning)


def window_of(
    observations: Observations,
    model: str,
    policy: AnswerPolicy = AnswerPolicy(),  # noqa: B008 (frozen)
) -> AuditedWindow:
    """Return the audit sample of a model; the observations must be old enough to have labels.

    What was volunteered is no answer, even where the lot fell: that it is known depends on what it says.
    """
    answers = observations.answers[model]
    return audited_window(
        answers.probability,
        answers.alerted,
        np.where(observations.volunteered, np.nan, observations.labels),
        observations.audit_asked,
        observations.audit_probability,
        observations.standing,
        policy,
    )


def realised_performance(
    observations: Observations,
    model: str,
    profile: Profile,
    reference: Reference | None = None,
    policy: AnswerPolicy = AnswerPolicy(),  # noqa: B008 (frozen)
    stretch: Stretch | None = None,
) -> RealisedPerformance:
    """Return every figure of a model over predictions that are old enough to have labels.

    Without a reference, scores are taken at their word for where frauds not yet met are (intervals only).
    Claims that wait for a second opinion may be frauds or not: limits hold for both (`believing`).
    """
    window, rows = window_of(observations, model, policy), drawn(observations)
    seen = observations.take(rows)
    expected = expected_frauds(window, reference)
    losses = _losses(seen, profile)
    day = seen.predicted_ms // DAY_MS if stretch is None else stretch.day_of(seen.predicted_ms)

    def figures(of: AuditedWindow) -> dict[str, Figure]:
        found = realised_figures(of, expected, losses, profile.costs)
        return found | ranking_figures(of) | _daily(of, seen, day, profile)

    def lasting(of: AuditedWindow) -> Estimate | None:
        return lasting_f1(of, expected) if found_among_alerts(of) is not None else None

    return RealisedPerformance(
        n_predictions=len(window),
        n_alerts=int(window.alerted.sum()),
        n_without_lot=window.n_without_lot,
        n_asked=window.n_asked,
        n_answers=len(window.rows),
        n_frauds=int(window.without_claims().labels.sum()),
        figures=figures_between(window, expected, figures),
        f1_lasting=estimate_between(window, expected, lasting),
        naive=naive_figures(observations.labels, observations.answers[model].alerted),
        unused_share=0.0 if stretch is None else stretch.unused_share,
    )


def expected_frauds(window: AuditedWindow, reference: Reference | None) -> F64:
    """Return the probability of fraud of each prediction, float64 [N]; without a reference its score."""
    if reference is not None:
        return reference.meaning(window.probability)
    return np.asarray(np.clip(window.probability, 1 / max(2, len(window)), 1.0))


def _losses(seen: Observations, profile: Profile) -> F64 | None:
    """Return what each prediction costs if it is a missed fraud, as `evaluate` reckons."""
    column = profile.columns.amount
    if column is None or column not in seen.transactions.numbers:
        return None
    amount = np.nan_to_num(seen.transactions.numbers[column])
    return np.asarray(amount * profile.costs.loss_share + profile.costs.fraud_fee)


def _daily(window: AuditedWindow, seen: Observations, day: Integers, profile: Profile) -> dict[str, Figure]:
    k = profile.costs.precision_at
    figures = {f"precision_at_{k}": precision_at_k(window, day, k)}
    card = None if profile.main_entity is None else seen.transactions.texts.get(profile.main_entity.column)
    if isinstance(card, Coded):
        codes = card.codes.astype(np.int64)
        figures[f"card_precision_at_{k}"] = card_precision_at_k(window, day, codes, k)
    return figures
