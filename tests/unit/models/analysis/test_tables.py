"""The tables of errors, curves and importance equal their definitions on cases that fit on a page."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve

from fraud.data.profile import Costs, load_profile
from fraud.features.history import history_names
from fraud.models.analysis.curves import (
    at_budget,
    at_threshold,
    calibration_table,
    cost_table,
    precision_recall_table,
)
from fraud.models.analysis.disagreement import agreement_table, disagreement_by, who_is_right
from fraud.models.analysis.importance import (
    feature_groups,
    permutation_importance,
    sample_rows,
    shap_importance,
    side_by_side,
)
from fraud.models.analysis.intervals import average_precision, wilson
from fraud.models.analysis.segments import bands, errors_by, hours_of, kinds_of, round_edges
from fraud.models.evaluate import Ranking


def scored(n: int = 4000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = np.round(rng.beta(0.3, 4, n), 3)  # ties
    return (rng.random(n) < probability).astype(float), probability


def test_importance_weighs_rows_by_what_they_stand_for() -> None:
    contributions = np.random.default_rng(4).normal(size=(60, 3))
    weights = np.repeat([1.0, 5.0], 30)
    groups = {"pair": (0, 1), "alone": (2,)}
    weighted = shap_importance(contributions, groups, weights=weights)
    repeated = shap_importance(np.repeat(contributions, weights.astype(int), axis=0), groups)
    np.testing.assert_allclose(weighted["size"], repeated["size"])
    plain = shap_importance(contributions, groups)
    assert not np.allclose(weighted["size"], plain["size"])
    ones = shap_importance(contributions, groups, weights=np.ones(60))
    np.testing.assert_allclose(ones[["size", "low", "high"]], plain[["size", "low", "high"]])
    assert (weighted["low"] < weighted["size"]).all() and (weighted["size"] < weighted["high"]).all()


def test_wilsons_interval_is_the_published_one() -> None:
    low, high = wilson([0.0, 0.5], [10, 20])  # Brown, Cai & DasGupta 2001; R's prop.test(correct = FALSE)
    assert low == pytest.approx([0.0, 0.29930], abs=1e-5)
    assert high == pytest.approx([0.27753, 0.70070], abs=1e-5)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert np.isnan(wilson(0.0, 0)).all()


def test_the_interval_of_average_precision_holds_the_figure() -> None:
    labels, probability = scored()
    value, low, high = average_precision(labels, probability, n_bootstrap=60)
    assert value == pytest.approx(Ranking.of(labels, probability).auc_and_ap()[1])
    assert low < value < high


def test_bands_of_calibration_hold_equal_expected_frauds_and_every_row_once() -> None:
    labels, probability = scored()
    table = calibration_table(labels, probability, 8)
    assert len(table) == 8 and table["n"].sum() == len(labels)
    assert table["n_frauds"].sum() == labels.sum()
    expected = table["n"] * table["mean_score"]
    assert expected.max() < 1.2 * expected.min()
    assert table["mean_score"].is_monotonic_increasing


def test_a_calibrated_score_lies_within_nearly_all_intervals() -> None:
    labels, probability = scored(40_000)
    table = calibration_table(labels, probability, 10)
    assert ((table["low"] <= table["mean_score"]) & (table["mean_score"] <= table["high"])).sum() >= 8


def test_equal_scores_share_a_band() -> None:
    table = calibration_table(np.array([0.0, 1, 0, 1]), np.full(4, 0.5), 3)
    assert table["n"].tolist() == [4] and table["share"].tolist() == [0.5]


def test_precision_and_recall_are_scikit_learns_where_a_fraud_is_found() -> None:
    labels, probability = scored()
    ours = precision_recall_table(labels, probability, n_days=10, n_points=10_000)
    precision, recall, threshold = precision_recall_curve(labels, probability)
    theirs = pd.DataFrame({"threshold": threshold, "p": precision[:-1], "r": recall[:-1]})
    both = ours.merge(theirs, on="threshold")
    assert len(both) == len(ours) > 50
    assert both["precision"].to_numpy() == pytest.approx(both["p"].to_numpy())
    assert both["recall"].to_numpy() == pytest.approx(both["r"].to_numpy())
    assert (ours["alerts_per_day"] * 10).tolist() == ours["n_alerts"].tolist()


def test_the_budget_buys_whole_ties_only() -> None:
    labels, probability = np.array([1.0, 1, 0, 0, 1]), np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert at_budget(labels, probability, 3) == at_threshold(labels, probability, 0.9)
    assert at_budget(labels, probability, 4).n_alerts == 4
    none = at_budget(labels, probability, 0.5)
    assert none.n_alerts == 0 and np.isnan(none.precision)


def test_a_cut_off_costs_its_reviews_and_what_it_misses() -> None:
    costs = Costs(review=4, friction=20, fraud_fee=15, loss_share=0.5)
    labels, probability = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1])
    table = cost_table(labels, probability, np.array([100.0, 1, 10, 1]), costs, np.array([0.15, 0.5, 1.0]))
    assert table["n_alerts"].tolist() == [3, 2, 0]
    # 250 per 1,000 for each of four: three reviews; two and a fraud of 10; both frauds.
    assert table["total"].tolist() == pytest.approx([250 * 12, 250 * (8 + 20), 250 * (65 + 20)])


def test_a_missing_amount_costs_the_fee() -> None:
    costs = Costs(review=4, friction=20, fraud_fee=15)
    table = cost_table(np.array([1.0]), np.array([0.1]), np.array([np.nan]), costs, np.array([0.5]))
    assert table["missed"].tolist() == [15_000]


def test_errors_are_counted_group_by_group() -> None:
    group = ["a"] * 40 + ["b"] * 40
    labels = np.array([1.0] * 20 + [0] * 20 + [1] * 2 + [0] * 38)
    alerts = np.array([True] * 15 + [False] * 5 + [True] * 5 + [False] * 15 + [True] * 1 + [False] * 39)
    table = errors_by(group, labels, alerts).set_index("group")
    assert table.loc["a", ["n", "n_frauds", "n_alerts", "n_missed", "n_false_alarms"]].tolist() == [
        40,
        20,
        20,
        5,
        5,
    ]
    assert table.loc["a", "recall"] == 0.75 and table.loc["a", "precision"] == 0.75
    assert table.loc["a", "recall_low"] == pytest.approx(wilson(0.75, 20)[0])


def test_a_group_of_few_frauds_keeps_its_counts_and_is_given_no_share() -> None:
    labels = np.array([1.0] * 9 + [0] * 21)
    table = errors_by(["only"] * 30, labels, np.zeros(30, bool))
    assert table.loc[0, "n_missed"] == 9
    assert table.loc[0, ["recall", "recall_low", "recall_high", "precision"]].isna().all()
    assert table.loc[0, "false_alarm_rate"] == 0


def test_transactions_without_a_group_are_left_out() -> None:
    kinds = kinds_of(np.array(["stolen", "none", "", "stolen"], object), np.array([1.0, 0, 1, 0]))
    assert errors_by(kinds, np.array([1.0, 0, 1, 0]), np.ones(4, bool))["n"].tolist() == [1]


def test_a_lower_edge_belongs_to_its_band_and_nothing_is_no_band() -> None:
    grouped = bands(np.array([9.99, 10, 50, np.nan]), (10, 50))
    assert list(grouped.categories) == ["< 10", "10 to 50", ">= 50"]
    assert grouped.codes.tolist() == [0, 1, 2, -1]


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0], [-5.0, -1.0]])
def test_bands_can_be_made_of_anything(values: list[float]) -> None:
    assert round_edges(np.array(values)) == (1.0,)


def test_edges_are_round_and_rise() -> None:
    edges = round_edges(np.random.default_rng(0).lognormal(4, 1.5, 1000))
    assert list(edges) == sorted(set(edges))
    assert all(f"{edge:e}"[0] in "125" for edge in edges)


def test_the_last_hour_of_a_day_is_in_its_last_band() -> None:
    hour = 3_600_000
    assert hours_of(np.array([0, 24 * hour - 1, 24 * hour])).codes.tolist() == [0, 5, 0]


LABELS = np.array([1.0, 1, 1, 0, 0, 0])
FIRST = np.array([True, True, False, True, False, False])
SECOND = np.array([True, False, False, False, True, False])


def test_agreement_is_counted_four_ways() -> None:
    table = agreement_table(LABELS, FIRST, SECOND).set_index("who")
    assert table["n"].to_dict() == {"both": 1, "only_first": 2, "only_second": 1, "neither": 2}
    assert table["n_frauds"].to_dict() == {"both": 1, "only_first": 1, "only_second": 0, "neither": 1}


def test_who_alerts_is_right_on_frauds_and_who_is_silent_on_the_rest() -> None:
    table = who_is_right(LABELS, FIRST, SECOND).set_index("among")
    assert table.loc["fraud", ["n", "first_right", "second_right"]].tolist() == [1, 1, 0]
    assert table.loc["legitimate", ["n", "first_right", "second_right"]].tolist() == [2, 1, 1]
    assert table.loc["all", "n"] == 3


def test_mcnemars_p_value_is_the_binomials() -> None:
    labels, first = np.ones(10), np.array([True] * 9 + [False])
    table = who_is_right(labels, first, ~first).set_index("among")
    assert table.loc["all", "p_value"] == pytest.approx(2 * 11 / 2**10)
    assert table.loc["legitimate", "p_value"] == 1.0


def test_models_that_never_disagree_leave_nothing_to_tell() -> None:
    assert np.isnan(who_is_right(LABELS, FIRST, FIRST)["share"]).all()
    assert len(disagreement_by(["a"] * 6, LABELS, FIRST, FIRST)) == 0


def test_few_disagreements_of_a_group_are_counted_and_not_judged() -> None:
    table = disagreement_by(["a", "a", "b", "b", "b", "b"], LABELS, FIRST, SECOND)
    assert table["n"].tolist() == [1, 2] and table["share"].isna().all()


def test_shuffling_what_the_score_rests_on_loses_and_shuffling_noise_does_not() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(3000) < 0.1).astype(float)
    features = np.column_stack([2 * labels + rng.normal(size=3000), rng.normal(size=3000)]).astype(np.float32)
    table = permutation_importance(
        lambda x: x[:, 0].astype(float),
        features,
        labels,
        {"told": (0,), "noise": (1,)},
        n_repeats=3,
        n_draws=20,
    ).set_index("group")
    assert table.loc["told", "drop"] > 0.2 and table.loc["told", "low"] > 0.1
    assert table.loc["noise", "drop"] == 0
    assert table.loc["told", "low"] < table.loc["told", "drop"] < table.loc["told", "high"]


def test_twins_are_missed_only_when_they_are_shuffled_together() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(2000) < 0.2).astype(float)
    twin = labels + 0.3 * rng.normal(size=2000)
    features = np.column_stack([twin, twin]).astype(np.float32)
    groups = {"one": (0,), "both": (0, 1)}
    drops = permutation_importance(lambda x: x.max(axis=1).astype(float), features, labels, groups, n_draws=5)
    assert drops["drop"][1] > 1.5 * drops["drop"][0]


def test_a_weighted_sample_estimates_the_average_precision_of_all() -> None:
    labels, probability = scored(60_000)
    rows, weights = sample_rows(labels, probability, 2000, 3000, seed=5)
    assert len(rows) == len(set(rows.tolist())) < 30_000
    assert weights.sum() == pytest.approx(len(labels))
    sampled = Ranking.of(labels[rows], probability[rows]).auc_and_ap(weights)[1]
    assert sampled == pytest.approx(Ranking.of(labels, probability).auc_and_ap()[1], abs=0.01)


def test_a_groups_contributions_add_up_before_their_size_is_taken() -> None:
    table = shap_importance(np.array([[1.0, -1, 2], [3, -3, -4]]), {"cancel": (0, 1), "alone": (2,)})
    assert table["size"].tolist() == [0.0, 3.0]


def test_ranks_stand_beside_each_other() -> None:
    lost = pd.DataFrame({"group": ["a", "b"], "drop": [0.1, 0.2], "low": 0.0, "high": 1.0})
    moved = pd.DataFrame({"group": ["a", "b"], "size": [5.0, 1.0], "low": 0.0, "high": 9.0})
    table = side_by_side(lost, moved)
    assert table["group"].tolist() == ["b", "a"]
    assert table["drop_rank"].tolist() == [1, 2] and table["size_rank"].tolist() == [2, 1]


def test_every_feature_is_in_one_group_and_known_frauds_are_apart() -> None:
    profile = load_profile("cards")
    names = [f.column for f in profile.fields if f.feature] + [
        n for a in profile.features.history for n in history_names(a)
    ]
    groups = feature_groups(profile, names)
    assert sorted(i for columns in groups.values() for i in columns) == list(range(len(names)))
    told = {names[i] for i in groups["merchant_id:known_frauds"]}
    assert told == {n for n in names if n.startswith("merchant_id") and "fraud" in n}
