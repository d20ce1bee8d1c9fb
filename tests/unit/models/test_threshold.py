"""The cut-offs follow from the costs, and from what the reviewers can keep up with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import DAY_MS, Costs
from fraud.models.calibration import LARGEST
from fraud.models.threshold import choose_thresholds


def costs(**changes: Any) -> Costs:
    return Costs(**({"review": 5, "friction": 25, "fraud_fee": 10, "loss_share": 0.8} | changes))


def days(n: int, n_days: int) -> np.ndarray:
    return np.linspace(0, n_days * DAY_MS, n).astype(np.int64)


def test_a_review_pays_above_its_cost_over_the_loss() -> None:
    chosen = choose_thresholds(np.zeros(10), None, 100.0, costs())
    assert chosen.review == pytest.approx(5 / (100 * 0.8 + 10))
    assert chosen.decline == pytest.approx(1 - 5 / 25)


def test_a_declared_average_fraud_replaces_the_tables() -> None:
    assert choose_thresholds(np.zeros(10), None, 1.0, costs(average_fraud=100)).review == pytest.approx(
        5 / 90
    )


def test_the_cut_off_is_the_cheapest_one() -> None:
    rng = np.random.default_rng(2)
    probability = rng.beta(0.3, 4, 400_000)
    label = rng.random(400_000) < probability
    loss = 100 * 0.8 + 10
    chosen = choose_thresholds(probability, None, 100.0, costs()).review

    def cost(cut: float) -> float:
        flagged = probability >= cut
        return float(5 * flagged.sum() + loss * (label & ~flagged).sum())

    assert cost(chosen) <= min(cost(c) for c in np.linspace(0.01, 0.3, 30)) * 1.002


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(20, 2000), st.booleans())
def test_alerts_never_pass_the_budget(seed: int, budget: int, n: int, ties: bool) -> None:
    probability = np.random.default_rng(seed).random(n)
    if ties:
        probability = np.minimum(np.round(probability, 1), LARGEST)
    chosen = choose_thresholds(probability, days(n, 10), 100.0, costs(alerts_per_day=budget))
    assert (probability >= chosen.review).sum() <= budget * 10


@pytest.mark.parametrize("gap", [0.1, 1e-12, 0.0])
def test_the_cut_off_lies_half_way_to_the_next_score_so_that_no_last_digit_decides(gap: float) -> None:
    probability = np.concatenate([np.full(90, 0.3), np.full(10, 0.3 + gap)])
    chosen = choose_thresholds(probability, days(100, 1), 100.0, costs(alerts_per_day=10)).review
    assert (probability >= chosen).sum() == (10 if gap else 0)
    if gap:
        assert abs(chosen - (0.3 + gap / 2)) < 1e-15


def test_a_budget_that_is_not_reached_changes_nothing() -> None:
    probability = np.linspace(0, 1, 100)
    free = choose_thresholds(probability, days(100, 10), 100.0, costs())
    assert choose_thresholds(probability, days(100, 10), 100.0, costs(alerts_per_day=1000)) == free


def test_a_budget_full_of_certain_frauds_leaves_a_cut_off_that_can_be_served() -> None:
    chosen = choose_thresholds(np.ones(50), days(50, 1), 100.0, costs(alerts_per_day=1))
    assert chosen.review <= chosen.decline <= 1


def test_without_time_there_is_no_budget_per_day() -> None:
    probability = np.linspace(0, 1, 100)
    free = choose_thresholds(probability, None, 100.0, costs())
    assert choose_thresholds(probability, None, 100.0, costs(alerts_per_day=1)) == free


@settings(max_examples=80, deadline=None)
@given(
    st.floats(0.01, 1e4),
    st.floats(1.001, 100),
    st.floats(0, 1e4),
    st.floats(0, 1),
    st.floats(0, 1e6),
    st.none() | st.floats(0.01, 1e4),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_whatever_the_costs_the_cut_offs_can_be_served(
    review: float, friction: float, fee: float, share: float, fraud: float, budget: float | None, top: float
) -> None:
    chosen = choose_thresholds(
        np.array([0.0, 0.2, top, top]),
        days(4, 1),
        fraud,
        costs(
            review=review, friction=review * friction, fraud_fee=fee, loss_share=share, alerts_per_day=budget
        ),
    )
    assert 0 < chosen.review <= chosen.decline <= 1
