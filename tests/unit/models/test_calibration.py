"""Calibration keeps the ranking and makes scores mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from fraud.models.calibration import BetaCalibration, fit_calibration


def sample(n: int, a: float, b: float, c: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw raw scores whose true probability is the beta map with these parameters."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 2.0, n)
    return score, (rng.random(n) < BetaCalibration(a, b, c)(score)).astype(np.float64)


@pytest.mark.parametrize("truth", [(1.0, 1.0, 0.0), (0.6, 1.8, -1.0), (2.0, 0.4, 0.5)])
def test_the_true_map_is_found_again(truth: tuple[float, float, float]) -> None:
    fitted = fit_calibration(*sample(200_000, *truth))
    grid = np.linspace(0.02, 0.95, 50)
    np.testing.assert_allclose(fitted(grid), BetaCalibration(*truth)(grid), atol=0.02)


def test_it_lowers_the_loss_of_scores_from_an_undersampled_fit() -> None:
    score, label = sample(20_000, 1.0, 1.0, -3.5)
    assert (
        log_loss(label, fit_calibration(score, label)(score))
        < log_loss(label, np.clip(score, 1e-7, 1 - 1e-7)) - 0.1
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 200))
def test_it_never_changes_the_order_of_two_scores(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    score, label = rng.random(n), rng.permutation(np.arange(n) % 4 == 0).astype(np.float64)
    calibrated = fit_calibration(score, label)(np.sort(score))
    assert np.all(np.diff(calibrated) >= 0) and np.all((calibrated >= 0) & (calibrated <= 1))


@pytest.mark.parametrize("score", [[0.0] * 20, [1.0] * 20, [0.5] * 20, [0.0] * 10 + [1.0] * 10])
def test_scores_at_the_edges_stay_finite(score: list[float]) -> None:
    label = np.array([0.0] * 10 + [1.0] * 10)
    calibrated = fit_calibration(np.array(score), label)(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(calibrated).all() and np.all(np.diff(calibrated) >= 0)


def test_scores_that_separate_perfectly_do_not_break_it() -> None:
    score = np.concatenate([np.linspace(0, 0.2, 200), np.linspace(0.8, 1, 5)])
    calibrated = fit_calibration(score, (score > 0.5).astype(np.float64))(score)
    assert np.isfinite(calibrated).all() and calibrated[0] < 0.5 < calibrated[-1] < 1


def test_a_constant_score_becomes_the_base_rate() -> None:
    label = (np.arange(1000) < 30).astype(np.float64)
    assert fit_calibration(np.full(1000, 0.4), label)(np.array([0.4]))[0] == pytest.approx(0.03, abs=1e-3)


@pytest.mark.parametrize("method", ["beta", "platt", "prior"])
def test_every_method_keeps_the_ranking_and_the_base_rate(method: str) -> None:
    score, label = sample(60_000, 0.7, 1.4, -2.0)
    fitted = fit_calibration(score, label, method)
    assert (np.diff(fitted(np.sort(score))) >= 0).all()
    assert fitted(score).mean() == pytest.approx(label.mean(), rel=0.02)
    if method != "beta":
        assert fitted.a == fitted.b
    if method == "prior":
        assert fitted.a == 1.0
