"""Audited figures: exact by hand, those of evaluate where all is known, and intervals that cover."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Coded
from fraud.errors import EvidenceError
from fraud.feedback.audit import influence
from fraud.models.evaluate import card_precision, evaluate
from fraud.monitoring.assessing import assess, of_model, realised_performance
from fraud.monitoring.audited import audited_window, mature
from fraud.monitoring.intervals import NextFind, combined, share, weighted_count
from fraud.monitoring.observations import Stretch
from fraud.monitoring.performance import naive_figures, realised_figures
from fraud.monitoring.verdicts import EvidencePolicy, Health, want_of_evidence
from tests.unit.monitoring.windows import CUT, PROFILE, observed


def window(p: Any, y: Any, asked: Any, pi: Any) -> Any:
    p = np.asarray(p, float)
    return audited_window(p, p >= CUT, np.asarray(y, float), np.asarray(asked), np.asarray(pi, float))


def test_the_weighted_figures_are_those_worked_out_by_hand() -> None:
    # 2 alerts, both answered for certain, one a fraud; 4 others, 2 of them asked at pi = 1/2, one a fraud.
    nan = np.nan
    w = window([0.9, 0.8, 0.1, 0.1, 0.1, 0.1], [1, 0, 1, 0, nan, nan], [1, 1, 1, 1, 0, 0], [1, 1] + [0.5] * 4)
    figures = realised_figures(w, np.full(6, 0.1), np.full(6, 7.0), PROFILE.costs)
    assert figures["precision"].value == pytest.approx(1 / 2)
    assert figures["recall"].value == pytest.approx(1 / 3)
    assert figures["f1"].value == pytest.approx(2 / (2 + 3))
    assert figures["accuracy"].value == pytest.approx(1 - 3 / 6)
    assert figures["accuracy_never_fraud"].value == pytest.approx(1 - 3 / 6)
    assert figures["alert_rate"].value == pytest.approx(2 / 6)
    assert figures["cost_per_1000"].value == pytest.approx((2 * PROFILE.costs.review + 2 * 7.0) / 6 * 1000)
    assert figures["precision"].low == figures["precision"].high == 0.5  # every alert is known
    assert (figures["f1"].n_answers, figures["f1"].n_frauds) == (4, 2)
    assert figures["f1"].effective_n == pytest.approx((1 + 1 + 2 + 2) ** 2 / (1 + 1 + 4 + 4))


rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda s: s / 8), st.integers(0, 2), st.integers(0, 5)),
    min_size=3,
    max_size=40,
).filter(lambda r: len({y for y, *_ in r}) == 2)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_where_every_label_is_certain_the_figures_are_those_of_evaluate(drawn: list[Any]) -> None:
    drawn = sorted(drawn, key=lambda r: r[2])
    y, p, day, card = (np.array(column) for column in zip(*drawn, strict=True))
    y = y.astype(float)
    seen = observed(p, y, day=day, card=card, amount=np.arange(len(y)) + 1.0)
    figures = realised_performance(seen, "xgboost", PROFILE).figures
    plain = evaluate(seen.transactions, p, CUT, PROFILE, seed=1, n_bootstrap=1)
    for name in ("auc", "ap", "cost_per_1000"):
        assert figures[name].value == pytest.approx(plain[name].value), name
    for name in ("f1", "precision", "recall"):
        assert (figures[name].value or 0.0) == pytest.approx(plain[name].value), name
        if figures[name].value is not None:
            assert figures[name].low == pytest.approx(figures[name].high)
    k = PROFILE.costs.precision_at
    assert figures[f"card_precision_at_{k}"].value == pytest.approx(
        card_precision(seen.transactions, p, "card_id", k)
    )


@settings(max_examples=40, deadline=None)
@given(rows, st.floats(0.05, 0.9))
def test_weights_of_another_scale_leave_shares_as_they_are(drawn: list[Any], scale: float) -> None:
    y, p, *_ = (np.array(column) for column in zip(*drawn, strict=True))
    asked = np.ones(len(y), bool)
    one, other = (
        realised_performance(observed(p, y, asked, np.full(len(y), pi)), "xgboost", PROFILE).figures
        for pi in (0.95, 0.95 * scale)
    )
    # All are asked: the answers stand for the same alerts whatever their common weight.
    assert one["precision"].value == pytest.approx(other["precision"].value)
    assert one["precision_at_10"].value == pytest.approx(other["precision_at_10"].value)


def test_an_unknown_label_is_never_counted_as_legitimate() -> None:
    p, pi = np.array([0.9, 0.9, 0.1, 0.1]), np.ones(4)
    known = window(p, [1, 0, 1, 0], [1, 1, 1, 1], pi)
    unknown = window(p, [1, np.nan, 1, np.nan], [1, 1, 1, 1], pi)
    assert known.response_rate == 1 and unknown.response_rate == 0.5
    figures = realised_figures(unknown, np.full(4, 0.1), None, PROFILE.costs)
    assert figures["precision"].value == 1.0 and figures["precision"].low < 1.0
    assert naive_figures(np.array([1, np.nan, 1, np.nan]), p >= CUT)["precision"] == 1.0


def test_labels_of_predictions_that_were_not_asked_about_change_nothing() -> None:
    rng = np.random.default_rng(1)
    p, asked = rng.random(200), rng.random(200) < 0.5
    y = (rng.random(200) < p).astype(float)
    told = realised_performance(observed(p, y, asked, np.full(200, 0.5)), "xgboost", PROFILE)
    silent = realised_performance(
        observed(p, np.where(asked, y, np.nan), asked, np.full(200, 0.5)), "xgboost", PROFILE
    )
    assert told.figures == silent.figures
    assert told.naive != silent.naive


def test_predictions_younger_than_the_label_delay_are_not_judged() -> None:
    seen = observed([0.9] * 4, [1.0] * 4, day=[0, 1, 2, 9])
    delay = int(PROFILE.features.label_delay_days * DAY_MS)
    assert len(mature(seen, 9 * DAY_MS, delay)) == 3
    report = assess(seen, "xgboost", PROFILE, None, as_of_ms=9 * DAY_MS, policy=EvidencePolicy())
    assert (report.n_young, report.realised.n_predictions) == (1, 3)
    young = assess(seen, "xgboost", PROFILE, None, as_of_ms=DAY_MS, policy=EvidencePolicy())
    assert young.f1.health is Health.INSUFFICIENT_EVIDENCE
    assert [r.code for r in young.f1.reasons] == ["no_mature_predictions"]


def test_only_the_version_asked_for_is_looked_at() -> None:
    seen = observed([0.9, 0.1], [1, 0])
    assert (len(of_model(seen, "1.0.0", "a")), len(of_model(seen, "2.0.0", "a"))) == (2, 0)


def test_two_models_of_one_name_are_two_models() -> None:
    """A release that was thrown away and the one made after it may bear the same version."""
    seen = replace(observed([0.1, 0.2, 0.3], [0, 0, 0]), digest=Coded(np.array([0, 1, -1]), ("a", "b")))
    assert of_model(seen, "1.0.0", "b").answers["xgboost"].probability.tolist() == [0.2, 0.3]
    assert of_model(seen, "2.0.0", "b").answers["xgboost"].probability.tolist() == [0.2]
    nameless = replace(seen, digest=Coded(np.array([0, 1, 1]), ("a", "")))
    assert len(of_model(nameless, "1.0.0", "b")) == 2


@pytest.mark.parametrize("hour", [0, 6, 18])
def test_a_window_that_ends_at_any_hour_has_whole_days(hour: int) -> None:
    """Twelve frauds at the top of every half day: of the ten highest scores of a day each is a fraud."""
    half = DAY_MS // 2
    start = 100 * DAY_MS + hour * DAY_MS // 24
    n_halves, k = 6, PROFILE.costs.precision_at
    p, y, ms = [], [], []
    for i in range(n_halves):
        frauds = k // 2
        p += [0.9] * frauds + [0.1] * 30
        y += [1.0] * frauds + [0.0] * 30
        ms += [start + i * half + j for j in range(frauds + 30)]
    seen = replace(observed(p, y, card=np.arange(len(p))), predicted_ms=np.array(ms))
    # The last half day is no whole one, and is not counted as one.
    stretch = Stretch(start, start + n_halves * half - half // 2)
    figures = realised_performance(seen, "xgboost", PROFILE, stretch=stretch).figures
    assert figures[f"precision_at_{k}"].value == pytest.approx(1.0)
    assert figures[f"card_precision_at_{k}"].value == pytest.approx(1.0)


def test_a_stretch_shorter_than_a_day_has_no_figure_of_a_day() -> None:
    seen = replace(observed([0.9, 0.1], [1, 0]), predicted_ms=np.array([5, 6]))
    figures = realised_performance(seen, "xgboost", PROFILE, stretch=Stretch(0, DAY_MS - 1)).figures
    k = PROFILE.costs.precision_at
    assert figures[f"precision_at_{k}"].value is None and figures[f"card_precision_at_{k}"].value is None


def test_of_a_stretch_of_which_most_cannot_be_read_nothing_is_judged() -> None:
    seen = observed([0.9] * 60 + [0.1] * 60, [1.0] * 60 + [0.0] * 60)
    policy = EvidencePolicy()
    for unused, codes in ((0.5, []), (0.51, ["unreadable"])):
        stretch = Stretch(0, DAY_MS, unused_share=unused)
        realised = realised_performance(seen, "xgboost", PROFILE, stretch=stretch)
        assert [r.code for r in want_of_evidence(realised, policy)] == codes


def test_predictions_without_a_lot_are_left_out_and_counted() -> None:
    seen = observed([0.9, 0.9, 0.1], [1, 1, 0], [True, False, True], [1.0, np.nan, 1.0])
    report = realised_performance(seen, "xgboost", PROFILE)
    assert (report.n_predictions, report.n_without_lot, report.n_answers) == (2, 1, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"audit_probability": np.array([0.0, 0.5])},
        {"audit_probability": np.array([1.2, 0.5])},
        {"audit_probability": np.array([np.inf, 0.5])},
        {"audit_probability": np.array([np.nan, 0.5])},
        {"labels": np.array([2.0, 0.0])},
        {"probability": np.array([np.nan, 0.5])},
        {"probability": np.array([0.5])},
    ],
)
def test_chances_labels_and_scores_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    good = {
        "probability": np.array([0.5, 0.5]),
        "alerted": np.array([True, False]),
        "labels": np.array([1.0, 0.0]),
        "asked": np.array([True, True]),
        "audit_probability": np.array([0.5, 0.5]),
    }
    audited_window(**good)
    with pytest.raises(EvidenceError):
        audited_window(**(good | change))


def test_an_empty_window_has_no_figures_and_no_error() -> None:
    empty = observed([0.5], [1]).take(np.empty(0, np.intp))
    report = realised_performance(empty, "xgboost", PROFILE)
    assert report.figures["f1"].value is None and report.f1_lasting is None
    assert report.to_json()["response_rate"] is None


def test_those_who_do_not_answer_are_stood_for_by_their_stratum() -> None:
    rng = np.random.default_rng(5)
    n = 30_000
    p = np.where(rng.random(n) < 0.5, 0.9, 0.05)
    answers = rng.random(n) < np.where(p > CUT, 0.9, 0.3)
    y = (rng.random(n) < p).astype(float)
    truth = y[p < CUT].sum()
    w = window(p, np.where(answers, y, np.nan), np.ones(n, bool), np.ones(n))
    figures = realised_figures(w, p, None, PROFILE.costs)
    missed = figures["fraud_rate"].value * n - figures["precision"].value * (p > CUT).sum()
    assert missed == pytest.approx(truth, rel=0.25)
    assert naive_figures(np.where(answers, y, np.nan), p > CUT)["recall"] > figures["recall"].value + 0.02


def test_limits_of_a_count_of_nothing_reach_for_the_next_find() -> None:
    nothing = np.empty(0)
    limits = weighted_count(nothing, nothing, NextFind(10.0, 100.0))
    assert limits.value == limits.low == 0.0 and 10.0 < limits.high < 40.0
    assert weighted_count(nothing, nothing, NextFind(0.0, 0.0)).high == 0.0


def test_wilson_and_the_combination_of_limits_are_those_of_the_books() -> None:
    limits = share(0.5, 10)  # Wilson (1927): 5 of 10
    assert (limits.low, limits.high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    difference = combined(lambda a, b: a - b, (share(0.8, 50), share(0.5, 50)))
    # Newcombe (1998), method 10: sqrt of the squared distances to the limits.
    a, b = share(0.8, 50), share(0.5, 50)
    assert difference.low == pytest.approx(0.3 - np.hypot(0.8 - a.low, b.high - 0.5))


@pytest.mark.parametrize("hidden", [0.0, 0.003])
def test_the_interval_of_f1_covers_the_truth_of_its_window(hidden: float) -> None:
    rng = np.random.default_rng(11)
    n, n_windows, n_labels, inside, above = 6_000, 250, 250, 0, 0
    for _ in range(n_windows):
        p = rng.beta(0.05, 3, n)
        y = ((rng.random(n) < p) | ((p < CUT) & (rng.random(n) < hidden))).astype(float)
        alerted = p >= CUT
        truth = 2 * y[alerted].sum() / (alerted.sum() + y.sum())
        size = np.where(alerted, np.sqrt(p + (1 - p) * 0.25), 0.5 * np.sqrt(p))
        pi = np.minimum(1.0, n_labels / n * (0.25 + 0.75 * size / size.mean()))
        asked = rng.random(n) < pi
        w = audited_window(p, alerted, np.where(asked, y, np.nan), asked, pi)
        figure = realised_figures(w, np.maximum(p, hidden), None, PROFILE.costs)["f1"]
        inside += figure.low <= truth <= figure.high
        above += truth > figure.high
    assert 0.92 <= inside / n_windows <= 0.99
    assert 0.002 <= above / n_windows <= 0.06  # not by being wide on one side
    assert influence(0.3, True, 0.5) == pytest.approx(np.sqrt(0.3 + 0.7 * 0.25))


def profile_without_amount() -> Profile:
    return PROFILE.model_copy(update={"columns": PROFILE.columns.model_copy(update={"amount": None})})


def test_a_profile_without_amounts_has_no_cost() -> None:
    report = realised_performance(observed([0.9, 0.1], [1, 0]), "xgboost", profile_without_amount())
    assert "cost_per_1000" not in report.figures
