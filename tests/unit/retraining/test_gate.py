"""The gate: pure numbers in, a verdict with its reasons out."""

from dataclasses import replace

import numpy as np
import pytest

from fraud.models.evaluate import Estimate
from fraud.models.versioning import schema_changes
from fraud.retraining.evidence import mcnemar
from fraud.retraining.gate import (
    Alerts,
    Both,
    Comparison,
    Evidence,
    GatePolicy,
    ModelEvidence,
    compare,
    judge,
    judge_comparison,
)
from fraud.retraining.gate_texts import sentence
from fraud.retraining.slice_gate import SliceFinding, SliceFindings

POLICY = GatePolicy(n_bootstrap=200)
FINE = Comparison(200, Estimate(0.0, -0.01, 0.01), Estimate(0.0, -0.01, 0.01))
MODEL = ModelEvidence(FINE, Both(0.1, 0.1), Both(20, 20), Both(0.1, 0.1), 5, 5, 1.0)
EVIDENCE = Evidence(
    models={"random_forest": MODEL, "xgboost": MODEL},
    slices=SliceFindings((), 3),
    n_bytes=Both(1e6, 1e6),
    alert_budget=30,
    schema_changes=(),
    is_major=False,
    gold_uses=1,
)
HARM = SliceFinding("xgboost", "channel=online", "recall", 77, 0.83, 0.47, 0.2, 0.0005, True)


def scored(noise: float, seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    truth = np.random.default_rng(1)
    labels = (truth.random(n) < 0.02).astype(float)
    rng = np.random.default_rng(seed)
    return labels, 1 / (1 + np.exp(-(labels * 4 - 3 + rng.normal(0, noise, n))))


def refusals(evidence: Evidence) -> list[str]:
    verdict = judge(evidence, POLICY)
    return [] if verdict.passed else [sentence(check) for check in verdict.reasons]


def test_a_model_compared_with_itself_differs_by_nothing_and_passes() -> None:
    labels, probability = scored(1.0, 2)
    same = compare(labels, Alerts(probability, 0.5), Alerts(probability, 0.5), POLICY)
    assert same.difference_ap == Estimate(0.0, 0.0, 0.0)
    assert all(check.passed for check in judge_comparison("xgboost", same, POLICY))


def test_a_clearly_worse_challenger_is_refused_with_figures() -> None:
    labels, good = scored(0.8, 2)
    _, bad = scored(3.0, 3)
    worse = compare(labels, Alerts(good, 0.5), Alerts(bad, 0.5), POLICY)
    said = refusals(replace(EVIDENCE, models={"xgboost": replace(MODEL, comparison=worse)}))
    assert any("xgboost: average precision changes by -" in reason for reason in said)


def test_a_clearly_better_challenger_is_called_improved() -> None:
    labels, good = scored(0.8, 2)
    _, bad = scored(3.0, 3)
    better = compare(labels, Alerts(bad, 0.5), Alerts(good, 0.5), POLICY)
    checks = list(judge_comparison("xgboost", better, POLICY))
    assert all(check.passed for check in checks)
    assert any(sentence(check).endswith("improved") for check in checks)


def test_pairing_makes_the_interval_narrower_than_two_separate_ones() -> None:
    labels, probability = scored(1.5, 2)
    nudged = np.clip(probability + np.random.default_rng(4).normal(0, 0.01, len(labels)), 0, 1)
    paired = compare(labels, Alerts(probability, 0.5), Alerts(nudged, 0.5), POLICY)
    width = paired.difference_ap.high - paired.difference_ap.low  # type: ignore[operator]
    assert width < 0.03


def test_an_equal_challenger_passes_every_rule() -> None:
    assert judge(EVIDENCE, POLICY).passed


def test_one_bad_model_refuses_the_pair() -> None:
    worse = Comparison(200, Estimate(-0.05, -0.08, -0.02), Estimate(0.0, -0.01, 0.01))
    models = {"random_forest": MODEL, "xgboost": replace(MODEL, comparison=worse)}
    assert len(refusals(replace(EVIDENCE, models=models))) == 1


@pytest.mark.parametrize("n_frauds", [0, 49])
def test_too_few_frauds_is_insufficient_evidence_never_a_pass(n_frauds: int) -> None:
    scant = Comparison(n_frauds, Estimate(0.1, 0.05, 0.2), Estimate(0.1, 0.05, 0.2))
    said = refusals(replace(EVIDENCE, models={"xgboost": replace(MODEL, comparison=scant)}))
    assert len(said) == 1 and "insufficient evidence" in said[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"calibration": Both(0.1, 0.51)}, "off by 0.51 of the fraud rate, and 0.50 is allowed"),
        ({"latency_ms": Both(0.3, 0.46)}, "takes 0.460 ms, the champion 0.300 ms, and 0.450 ms is allowed"),
        ({"alerts_per_day": Both(20, 33.1)}, "33.1 alerts a day, and 33.0 are allowed"),
    ],
)
def test_a_model_over_a_budget_is_refused_in_words_with_both_figures(
    change: dict[str, object], said: str
) -> None:
    over = replace(MODEL, **change)  # type: ignore[arg-type]
    reasons = refusals(replace(EVIDENCE, models={"xgboost": over}))
    assert len(reasons) == 1 and reasons[0].startswith("xgboost: ") and said in reasons[0]


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": Both(0.7, 0.87)},  # no worse than what serves
        {"latency_ms": Both(0.01, 0.19)},  # below anything a client would notice
        {"alerts_per_day": Both(40, 43)},
        {"alerts_per_day": None},  # a table without time has no days
    ],
)
def test_a_budget_that_the_champion_exceeds_too_or_nobody_feels_refuses_nobody(change: dict) -> None:
    assert judge(replace(EVIDENCE, models={"xgboost": replace(MODEL, **change)}), POLICY).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_bytes": Both(1, 100_000_001)}, "the release has 100,000,001 bytes, and 100,000,000 are allowed"),
        ({"schema_changes": ('field "amount" is gone',)}, 'clients would notice: field "amount" is gone'),
        ({"gold_uses": 51}, "has judged 51 times and its budget is 50"),
        ({"slices": SliceFindings((HARM,), 0)}, "recall where channel=online falls from 0.830 to 0.470"),
    ],
)
def test_a_release_over_a_budget_is_refused(change: dict[str, object], said: str) -> None:
    reasons = refusals(replace(EVIDENCE, **change))  # type: ignore[arg-type]
    assert len(reasons) == 1 and said in reasons[0]


def test_a_major_version_may_change_the_schema() -> None:
    assert judge(replace(EVIDENCE, schema_changes=("other",), is_major=True), POLICY).passed


def test_mcnemar_judges_nothing_however_small_its_p() -> None:
    assert judge(replace(EVIDENCE, models={"xgboost": replace(MODEL, mcnemar_p=1e-9)}), POLICY).passed


@pytest.mark.parametrize(("a", "b", "p"), [(5, 5, 1.0), (0, 0, 1.0), (0, 5, 0.03125), (1, 3, 0.375)])
def test_mcnemars_mid_p_is_that_of_the_binomial(a: int, b: int, p: float) -> None:
    assert mcnemar(a, b) == pytest.approx(p) == mcnemar(b, a)


def test_a_schema_is_what_clients_send_and_what_a_label_means(small_profile) -> None:
    assert schema_changes(small_profile, small_profile) == ()
    first, *others = small_profile.fields
    narrower = first.model_copy(update={"maximum": 1.0})
    changed = small_profile.model_copy(
        update={
            "fields": (narrower, *others[1:]),
            "columns": small_profile.columns.model_copy(update={"fraud_values": ("yes",)}),
        }
    )
    assert set(schema_changes(small_profile, changed)) == {
        f'"maximum" of field "{first.column}" is another',
        f'field "{others[0].column}" is gone',
        '"fraud_values" of the columns is another',
    }


def test_a_wider_margin_widens_the_slices_and_a_narrower_one_leaves_them() -> None:
    usual = GatePolicy()
    assert GatePolicy.of_margin(0.02) == usual and GatePolicy.of_margin(0.01).slices == usual.slices
    wide = GatePolicy.of_margin(0.04)
    assert (wide.slices.margin_recall, wide.slices.max_recall_loss) == (0.1, 0.5)
    assert wide.slices.max_false_alarm_ratio == 3.0
    assert GatePolicy.of_margin(0.5).slices.margin_recall == 1.0
