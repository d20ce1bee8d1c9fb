"""What scores promise, the alarm when they stop meaning it, verdicts with their reasons, and segments."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fraud.errors import EvidenceError
from fraud.models.evaluate import Estimate
from fraud.monitoring.assessing import Reference, assess, realised_performance, window_of
from fraud.monitoring.estimated import Meaning, estimated_performance, fit_meaning
from fraud.monitoring.gap import gap_test
from fraud.monitoring.observations import Observations
from fraud.monitoring.segments import Segment, SegmentPolicy, amount_edges, assess_segments, segments
from fraud.monitoring.verdicts import EvidencePolicy, Health, Judgement, Reason, judge_f1, judge_gap, worst
from tests.unit.monitoring.windows import CUT, PROFILE, observed

POLICY = EvidencePolicy()


def scored(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.1, 2, n)
    return p, (rng.random(n) < p).astype(float)


@pytest.fixture(scope="module")
def meaning() -> Meaning:
    p, y = scored(20_000, 1)
    return fit_meaning(y, p)


def audited(p: np.ndarray, y: np.ndarray, seed: int, share: float = 0.5) -> Observations:
    rng = np.random.default_rng(seed)
    pi = np.where(p >= CUT, 1.0, share)
    asked = rng.random(len(p)) < pi
    return observed(p, np.where(asked, y, np.nan), asked, pi)


def test_scores_that_mean_what_they_say_are_taken_at_their_word(meaning: Meaning) -> None:
    p = np.array([0.01, 0.05, 0.2, 0.5, 0.8])
    assert meaning(p) == pytest.approx(p, rel=0.25)
    assert (np.diff(meaning(p)) > 0).all()


def test_scores_that_promise_too_much_are_corrected() -> None:
    p, y = scored(20_000, 2)
    rng = np.random.default_rng(3)
    halved = y * (rng.random(len(y)) < 0.5)
    assert fit_meaning(halved, p)(p).sum() == pytest.approx(halved.sum(), rel=0.02)


def test_days_that_vary_together_widen_what_is_known_of_the_meaning() -> None:
    rng = np.random.default_rng(4)
    p, _ = scored(8_000, 4)
    day = np.arange(8_000) // 200
    busy = rng.random(40)[day] < 0.5
    y = (rng.random(8_000) < p * np.where(busy, 1.6, 0.4)).astype(float)
    alone, together = fit_meaning(y, p), fit_meaning(y, p, day)
    at_one = alone.design(np.array([0.3]))[0]
    assert at_one @ together.covariance @ at_one > at_one @ alone.covariance @ at_one
    assert together.dispersion > 1.2 > alone.dispersion == 1.0


@pytest.mark.parametrize(
    "labels", [np.zeros(100), np.r_[np.ones(19), np.zeros(81)], np.r_[np.nan, np.ones(99)]]
)
def test_a_reference_without_enough_of_both_kinds_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(EvidenceError):
        fit_meaning(labels, np.full(len(labels), 0.5))


def test_the_estimate_is_of_the_expected_counts_and_names_its_blind_spot(meaning: Meaning) -> None:
    p, _ = scored(5_000, 5)
    found = estimated_performance(p, p >= CUT, meaning)
    c = meaning(p)
    hits, alerts = c[p >= CUT].sum(), (p >= CUT).sum()
    assert found.figures["f1"].value == pytest.approx(2 * hits / (alerts + c.sum()))
    assert found.figures["recall"].value == pytest.approx(hits / c.sum())
    assert found.to_json()["blind_to"] == "concept_drift"


def test_the_limits_of_the_estimate_hold_what_labels_then_show(meaning: Meaning) -> None:
    inside = []
    for seed in range(60):
        p, y = scored(3_000, 100 + seed)
        figure = estimated_performance(p, p >= CUT, meaning, n_draws=100).figures["f1"]
        alerted = p >= CUT
        truth = 2 * y[alerted].sum() / (alerted.sum() + y.sum())
        assert figure.low is not None and figure.high is not None
        inside.append(figure.low <= truth <= figure.high)
    assert np.mean(inside) >= 0.85


def test_the_gap_alarm_is_silent_without_drift_and_fires_with_it(meaning: Meaning) -> None:
    fired: dict[bool, list[bool]] = {False: [], True: []}
    for seed in range(60):
        p, y = scored(3_000, 200 + seed)
        rng = np.random.default_rng(seed)
        hidden = np.where((p < 0.05) & (rng.random(len(p)) < 0.05), 1.0, y)
        for drift, labels in ((False, y), (True, hidden)):
            gap = gap_test(window_of(audited(p, labels, seed), "xgboost"), meaning, level=0.03, n_draws=499)
            assert gap is not None
            fired[drift].append(gap.significant)
    assert np.mean(fired[False]) <= 0.08  # 60 windows at 3%: 5 or more in fewer than 1 of 20
    assert np.mean(fired[True]) >= 0.9


def test_without_an_answer_about_alerts_there_is_no_gap(meaning: Meaning) -> None:
    p, y = scored(500, 6)
    seen = observed(p, np.where(p >= CUT, np.nan, y))
    assert gap_test(window_of(seen, "xgboost"), meaning) is None


def test_few_frauds_are_insufficient_evidence_and_never_healthy(meaning: Meaning) -> None:
    p, y = scored(400, 7)
    few = np.where(np.cumsum(y) > 5, 0.0, y)
    realised = realised_performance(audited(p, few, 7), "xgboost", PROFILE, Reference(meaning, None))
    for judgement in (
        judge_f1(realised, Estimate(0.6, 0.55, 0.65), POLICY),
        judge_gap(realised, None, POLICY),
    ):
        assert judgement.health is Health.INSUFFICIENT_EVIDENCE
        assert "few_frauds" in {reason.code for reason in judgement.reasons}


def test_a_low_response_is_insufficient_evidence(meaning: Meaning) -> None:
    p, y = scored(3_000, 8)
    silent = np.random.default_rng(8).random(len(p)) < 0.7
    realised = realised_performance(observed(p, np.where(silent, np.nan, y)), "xgboost", PROFILE)
    judgement = judge_f1(realised, Estimate(0.6, 0.55, 0.65), POLICY)
    assert [reason.code for reason in judgement.reasons] == ["low_response"]


def test_a_drop_is_an_alert_only_where_both_uncertainties_exclude_the_margin(meaning: Meaning) -> None:
    p, y = scored(4_000, 9)
    realised = realised_performance(audited(p, y, 9), "xgboost", PROFILE, Reference(meaning, None))
    f1 = realised.f1_lasting
    assert f1 is not None and f1.low is not None and f1.low < f1.value
    well_above = f1.value + 0.25
    states = {
        width: judge_f1(realised, Estimate(well_above, well_above - width, well_above + width), POLICY).health
        for width in (0.01, 0.24)
    }
    assert states == {0.01: Health.ALERT, 0.24: Health.HEALTHY}
    assert judge_f1(realised, Estimate(f1.value, None, None), POLICY).health is Health.HEALTHY
    assert judge_f1(realised, None, POLICY).health is Health.INSUFFICIENT_EVIDENCE


def test_the_lasting_f1_is_less_certain_than_that_of_the_window(meaning: Meaning) -> None:
    p, y = scored(4_000, 10)
    realised = realised_performance(observed(p, y), "xgboost", PROFILE, Reference(meaning, None))
    f1, lasting = realised.figures["f1"], realised.f1_lasting
    assert f1.low == f1.high == pytest.approx(f1.value)  # every label is known
    assert lasting is not None and lasting.low < f1.value < lasting.high


def test_an_assessment_is_json_with_the_naive_figure_named_biased(meaning: Meaning) -> None:
    p, y = scored(3_000, 11)
    report = assess(
        audited(p, y, 11), "xgboost", PROFILE, Reference(meaning, Estimate(0.5, 0.45, 0.55)),
        as_of_ms=10**12, policy=POLICY,
    ).to_json()  # fmt: skip
    text = json.dumps(report, allow_nan=False)
    assert "naive_biased" in text and "blind_to" in text
    figure = report["realised"]["figures"]["f1"]  # type: ignore[index]
    assert {"value", "low", "high", "n_answers", "n_frauds", "effective_n"} <= set(figure)


def test_an_alert_outweighs_want_of_evidence_which_outweighs_health() -> None:
    states = {h.value: Judgement(h, (Reason(h.value),)) for h in Health}
    assert worst(states).health is Health.ALERT
    del states["alert"]
    assert worst(states).health is Health.INSUFFICIENT_EVIDENCE
    assert worst({}).health is Health.INSUFFICIENT_EVIDENCE


def test_segments_are_the_largest_levels_the_rest_and_amount_bands() -> None:
    card = np.array([0] * 6 + [1] * 3)
    seen = observed(np.full(9, 0.1), np.zeros(9), card=card, amount=[1, 5, 10, 10, 99, np.nan, 1, 1, 100])
    parts = segments(seen.transactions, PROFILE, (10.0, 100.0), SegmentPolicy(most_levels=1))
    assert {(s.column, s.level, s.kind): rows.tolist() for s, rows in parts.items()} == {
        ("channel", "chip", "level"): [0, 1, 2, 3, 4, 5],
        ("channel", "other", "other"): [6, 7, 8],
        ("amount", "..10", "band"): [0, 1, 6, 7],
        ("amount", "10..100", "band"): [2, 3, 4],
        ("amount", "100..", "band"): [8],
        ("amount", "missing", "missing"): [5],
    }
    assert amount_edges(np.array([np.nan])) == ()
    assert amount_edges(np.arange(1, 1001.0)) == (500.0, 900.0, 990.0)


def test_drift_in_one_segment_is_found_there_and_small_segments_are_not_judged(meaning: Meaning) -> None:
    p, y = scored(6_000, 12)
    card = np.arange(6_000) % 2
    rng = np.random.default_rng(12)
    y = np.where((card == 1) & (p < 0.05) & (rng.random(6_000) < 0.06), 1.0, y)
    amount = np.where(np.arange(6_000) < 10, 1.0, 50.0)
    seen = audited(p, y, 12)
    table = observed(p, y, card=card, amount=amount).transactions
    found = assess_segments(
        replace(seen, transactions=table),
        PROFILE,
        {"xgboost": Reference(meaning, None)},
        (10.0,),
        SegmentPolicy(),
    )
    health = {a.segment: a.judgement.health for a in found}
    assert health[Segment("channel", "online")] is Health.ALERT
    assert health[Segment("channel", "chip")] is Health.HEALTHY
    assert health[Segment("amount", "..10", "band")] is Health.INSUFFICIENT_EVIDENCE
    assert all(a.adjusted_p is None or a.adjusted_p >= a.gap.p_value for a in found)  # type: ignore[union-attr]
