"""Reliability of scores: from answers by lot, weighted, and silent where there are too few."""

import numpy as np
import pytest

from fraud.monitoring.assessing import window_of
from fraud.monitoring.calibration import EDGES, LEAST_ANSWERS, score_bands
from fraud.monitoring.estimated import fit_meaning
from tests.unit.monitoring.windows import observed


def _bands(p, y, asked=None, pi=None, meaning=None):
    return score_bands(window_of(observed(p, y, asked, pi), "xgboost"), meaning)


def test_shares_of_well_calibrated_scores_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 1, 20_000)
    bands = _bands(p, (rng.random(len(p)) < p).astype(float))
    assert [band.score for band in bands] == sorted(band.score for band in bands)
    assert sum(band.n_predictions for band in bands) == len(p)
    assert all(band.low <= band.score <= band.high for band in bands if band.n_answers > 500)


def test_an_answer_weighs_what_it_stands_for() -> None:
    # In one band: 900 legitimate ones asked at 1 in 10, 100 frauds asked always.
    y = np.r_[np.zeros(900), np.ones(100)]
    pi = np.r_[np.full(900, 0.1), np.ones(100)]
    asked = np.r_[np.arange(900) % 10 == 0, np.ones(100, bool)]
    scores = np.r_[np.full(900, 0.05), np.full(100, 0.05)]
    (band,) = _bands(scores, np.where(asked, y, np.nan), asked, pi)
    assert band.n_answers == 190 and band.n_frauds == 100
    assert band.value == pytest.approx(0.1, abs=0.01)


def test_a_band_without_a_fraud_has_an_upper_limit_and_no_certainty() -> None:
    (band,) = _bands(np.full(40, 0.0005), np.zeros(40))
    assert band.value == 0 and band.low == 0 and 0.01 < band.high < 0.2


def test_a_band_with_too_few_answers_keeps_silent() -> None:
    n = LEAST_ANSWERS - 1
    (band,) = _bands(np.full(50, 0.5), np.r_[np.ones(n), np.full(50 - n, np.nan)])
    assert band.n_answers == n and band.n_predictions == 50
    assert band.value is None and band.low is None and band.high is None


def test_what_held_out_data_promise_needs_no_answer() -> None:
    rng = np.random.default_rng(5)
    p = rng.uniform(0, 1, 4000)
    meaning = fit_meaning((rng.random(4000) < p**2).astype(float), p)
    bands = _bands(p, np.full(4000, np.nan), meaning=meaning)
    last = bands[-1]
    assert last.value is None and last.held_out == pytest.approx(0.65, abs=0.05)


def test_a_score_on_an_edge_belongs_to_the_band_below() -> None:
    bands = _bands([EDGES[1], EDGES[2], 0.0, 1.0], [0, 0, 0, 1])
    assert [band.n_predictions for band in bands] == [2, 1, 1]
    assert all(np.isfinite(band.score) for band in bands)
