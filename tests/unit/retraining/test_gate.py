"""The gate: pure numbers in, a verdict with its reasons out."""

import numpy as np
import pytest

from fraud.models.evaluate import Estimate
from fraud.retraining.gate import Alerts, Comparison, GatePolicy, compare, judge

POLICY = GatePolicy(n_bootstrap=200)


def scored(noise: float, seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    truth = np.random.default_rng(1)
    labels = (truth.random(n) < 0.02).astype(float)
    rng = np.random.default_rng(seed)
    return labels, 1 / (1 + np.exp(-(labels * 4 - 3 + rng.normal(0, noise, n))))


def test_a_model_compared_with_itself_differs_by_nothing_and_passes() -> None:
    labels, probability = scored(1.0, 2)
    same = compare(labels, Alerts(probability, 0.5), Alerts(probability, 0.5), POLICY)
    assert same.difference_ap == Estimate(0.0, 0.0, 0.0)
    assert judge({"xgboost": same}, POLICY).passed


def test_a_clearly_worse_challenger_is_refused_with_figures() -> None:
    labels, good = scored(0.8, 2)
    _, bad = scored(3.0, 3)
    verdict = judge({"xgboost": compare(labels, Alerts(good, 0.5), Alerts(bad, 0.5), POLICY)}, POLICY)
    assert not verdict.passed
    assert any("xgboost: average precision changes by -" in reason for reason in verdict.reasons)


def test_a_clearly_better_challenger_is_called_improved() -> None:
    labels, good = scored(0.8, 2)
    _, bad = scored(3.0, 3)
    verdict = judge({"xgboost": compare(labels, Alerts(bad, 0.5), Alerts(good, 0.5), POLICY)}, POLICY)
    assert verdict.passed and any(reason.endswith("improved") for reason in verdict.reasons)


def test_pairing_makes_the_interval_narrower_than_two_separate_ones() -> None:
    labels, probability = scored(1.5, 2)
    nudged = np.clip(probability + np.random.default_rng(4).normal(0, 0.01, len(labels)), 0, 1)
    paired = compare(labels, Alerts(probability, 0.5), Alerts(nudged, 0.5), POLICY)
    width = paired.difference_ap.high - paired.difference_ap.low  # type: ignore[operator]
    assert width < 0.03


def test_one_bad_model_refuses_the_pair() -> None:
    fine = Comparison(200, Estimate(0.0, -0.01, 0.01), Estimate(0.0, -0.01, 0.01))
    worse = Comparison(200, Estimate(-0.05, -0.08, -0.02), Estimate(0.0, -0.01, 0.01))
    verdict = judge({"random_forest": fine, "xgboost": worse}, POLICY)
    assert not verdict.passed and len(verdict.reasons) == 1


@pytest.mark.parametrize("n_frauds", [0, 49])
def test_too_few_frauds_is_insufficient_evidence_never_a_pass(n_frauds: int) -> None:
    fine = Comparison(n_frauds, Estimate(0.1, 0.05, 0.2), Estimate(0.1, 0.05, 0.2))
    verdict = judge({"xgboost": fine}, POLICY)
    assert not verdict.passed and "insufficient evidence" in verdict.reasons[0]
