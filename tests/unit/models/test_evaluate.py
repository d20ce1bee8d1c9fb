"""Held-out metrics equal their definitions; intervals cover."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from fraud.data.profile import DAY_MS, Profile, parse_profile
from fraud.data.table import Transactions, transactions_from_frame
from fraud.models.evaluate import Estimate, Ranking, card_precision, confusion, evaluate

DAY = pd.Timedelta(days=1)


def make_profile(**costs: Any) -> Profile:
    return parse_profile(
        {
            "name": "small",
            "title": {"en": "Small"},
            "description": {"en": ""},
            "columns": {"label": "fraud", "time": "at", "amount": "paid"},
            "entities": [{"name": "card", "column": "card", "label": {"en": "Card"}}],
            "fields": [{"column": "paid", "kind": "number", "required": False, "label": {"en": "Paid"}}],
            "evaluation": {"kind": "time"},
            "costs": {"review": 2, "friction": 8, "fraud_fee": 10, "loss_share": 0.5, "precision_at": 2}
            | costs,
        },
        "test",
    )


def table(day: list[int], card: list[Any], label: list[int], paid: list[float] | None = None) -> Transactions:
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = pd.DataFrame({"at": [start + d * DAY for d in day], "card": card, "fraud": label})
    frame["paid"] = 0.0 if paid is None else paid
    return transactions_from_frame(frame, make_profile())


def random_table(n: int, seed: int = 0) -> tuple[Transactions, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.2
    score = np.clip(0.3 * label + rng.random(n) * 0.7, 0, 1)
    return table(
        sorted(rng.integers(0, 20, n).tolist()), rng.integers(0, 30, n).tolist(), label.astype(int)
    ), score


scored = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda s: s / 6), st.integers(0, 4)),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({label for label, _, weight in rows if weight}) == 2)


@settings(max_examples=200, deadline=None)
@given(scored)
def test_auc_and_ap_equal_scikit_learns_with_ties_and_weights(rows: list[tuple[bool, float, int]]) -> None:
    label, score, weight = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    auc, ap = Ranking.of(label, score).auc_and_ap(weight)
    assert auc == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
    assert ap == pytest.approx(average_precision_score(label, score, sample_weight=weight))
    if len(set(label)) == 2:
        plain = Ranking.of(label, score).auc_and_ap()
        assert plain == pytest.approx((roc_auc_score(label, score), average_precision_score(label, score)))


def test_one_class_alone_has_no_auc() -> None:
    assert np.isnan(Ranking.of(np.zeros(3), np.arange(3.0)).auc_and_ap()).all()


def slow_card_precision(test: Transactions, score: np.ndarray, k: int) -> float:
    """Return card precision written as the Handbook's chapter 4 says it, one day and one card at a time."""
    frame = pd.DataFrame(
        {
            "day": test.times() // DAY_MS,
            "card": test.texts["card"].texts(),
            "score": score,
            "label": test.labels,
        }
    )
    found: list[str] = []
    daily = []
    for _, day in frame.groupby("day"):
        day = day[~day.card.isin(found)]
        top = day.groupby("card")[["score", "label"]].max().sort_values("score", ascending=False).head(k)
        caught = top[top.label == 1].index.tolist()
        daily.append(len(caught) / k)
        found += caught
    return float(np.mean(daily))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_card_precision_equals_its_definition(seed: int, k: int) -> None:
    test, score = random_table(150, seed)
    assert card_precision(test, score, "card", k) == pytest.approx(slow_card_precision(test, score, k))


def test_a_card_caught_once_is_out_of_the_days_after() -> None:
    test = table([0, 1], ["a", "a"], [1, 1])
    assert card_precision(test, np.array([0.9, 0.9]), "card", 1) == 0.5


def test_transactions_without_a_card_take_no_place_among_the_cards() -> None:
    test = table([0, 0], [None, "a"], [0, 1])
    assert card_precision(test, np.array([0.9, 0.1]), "card", 1) == 1.0


def test_metrics_at_the_threshold_equal_scikit_learns() -> None:
    test, score = random_table(500)
    metrics = evaluate(test, score, 0.5, make_profile(), seed=1, n_bootstrap=30)
    flagged = score >= 0.5
    assert metrics["f1"].value == pytest.approx(f1_score(test.labels, flagged))
    counts = confusion(test.labels, flagged.astype(float))
    assert sum(counts.values()) == 500
    assert metrics["precision"].value == counts["true_positives"] / flagged.sum()
    assert metrics["recall"].value == counts["true_positives"] / test.labels.sum()
    assert metrics["alerts_per_day"].value == flagged.sum() / 20
    assert metrics["brier"].value == pytest.approx(np.mean((score - test.labels) ** 2))
    assert "card_precision_at_2" in metrics


def test_the_cost_is_reviews_paid_plus_frauds_missed() -> None:
    test = table([0, 0, 0, 0], ["a", "b", "c", "d"], [1, 1, 0, 0], [100.0, 40.0, 7.0, 7.0])
    metrics = evaluate(test, np.array([0.9, 0.1, 0.9, 0.1]), 0.5, make_profile(), seed=1, n_bootstrap=0)
    reviews, missed = 2 * 2, 40 * 0.5 + 10
    assert metrics["cost_per_1000"].value == pytest.approx((reviews + missed) / 4 * 1000)


def test_a_missing_amount_costs_its_fee_only() -> None:
    test = table([0, 0], ["a", "b"], [1, 0], [np.nan, 1.0])
    metrics = evaluate(test, np.zeros(2), 0.5, make_profile(), seed=1, n_bootstrap=0)
    assert metrics["cost_per_1000"].value == pytest.approx(10 / 2 * 1000)


def test_a_perfectly_calibrated_model_has_next_to_no_calibration_error() -> None:
    rng = np.random.default_rng(3)
    score = rng.random(20_000)
    label = (rng.random(20_000) < score).astype(int)
    test = table([0] * 20_000, ["a"] * 20_000, label.tolist())
    assert evaluate(test, score, 0.5, make_profile(), 1, 0)["calibration_error"].value < 0.015


def test_no_alert_and_no_hit_are_zero_not_an_error() -> None:
    test = table([0, 0], ["a", "b"], [1, 0])
    metrics = evaluate(test, np.zeros(2), 0.5, make_profile(), 1, n_bootstrap=25)
    assert (metrics["f1"].value, metrics["precision"].value, metrics["recall"].value) == (0, 0, 0)


def test_too_few_replicates_give_no_interval() -> None:
    test, score = random_table(60)
    assert evaluate(test, score, 0.5, make_profile(), 1, n_bootstrap=5)["auc"].low is None


def test_the_interval_is_the_seeds_and_holds_the_figure() -> None:
    test, score = random_table(400)
    first, again = (evaluate(test, score, 0.5, make_profile(), 7, 100) for _ in range(2))
    assert first == again
    for name in ("auc", "ap", "f1", "precision", "recall"):
        estimate = first[name]
        assert estimate.low is not None and estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


def test_the_95_percent_interval_of_the_auc_covers_the_truth_about_as_often() -> None:
    # Scores N(0, 1) and N(1, 1): the true AUC is Phi(1 / sqrt 2).
    truth, covered = 0.7602499, 0
    rng = np.random.default_rng(5)
    for trial in range(100):
        label = np.repeat([0, 1], [250, 50])
        score = rng.normal(label, 1.0)
        test = table([0] * 300, ["a"] * 300, label.tolist())
        auc = evaluate(test, score, 9.0, make_profile(), trial, n_bootstrap=200)["auc"]
        assert auc.low is not None and auc.high is not None
        covered += auc.low <= truth <= auc.high
    assert 88 <= covered <= 100


def test_an_estimate_is_written_with_six_decimals() -> None:
    assert Estimate(1 / 3, 0.1).to_json() == {"value": 0.333333, "low": 0.1, "high": None}
