"""Packed forests score like their originals."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import xgboost

from fraud.errors import BundleRefused
from fraud.models import kernels, many_rows
from fraud.models.engine import MANY_ROWS, PackedForest, hard_rows, largest_difference
from fraud.models.packing import pack_random_forest, pack_xgboost
from tests.unit.models.engine.conftest import N_FEATURES, fit_boosting, fit_forest, table, with_infinities


def test_a_forest_scores_like_scikit_learn_on_hard_rows(trained, forest):
    assert largest_difference(forest, trained[2].predict_proba, hard_rows(forest, 20_000, 1)) <= 1e-6


def test_boosting_scores_like_xgboost_on_hard_rows(trained, boosting):
    assert largest_difference(boosting, trained[3].predict_proba, hard_rows(boosting, 20_000, 1)) <= 1e-6


@pytest.mark.parametrize("n", [MANY_ROWS, MANY_ROWS + 1, 2 * MANY_ROWS, 3 * MANY_ROWS - 1])
def test_many_rows_get_to_the_last_bit_what_each_gets_alone(packed, n):
    x = with_infinities(hard_rows(packed, n, n))
    assert np.array_equal(packed.raw(x), np.concatenate([packed.raw(x[i : i + 1]) for i in range(n)]))


@pytest.mark.parametrize("small_tree", [0, 10**9])
def test_trees_of_any_size_answer_alike_evaluated_whole_and_descended(packed, small_tree, monkeypatch):
    monkeypatch.setattr(many_rows, "SMALL_TREE", small_tree)
    x = with_infinities(hard_rows(packed, 1000, 6))
    again = replace(packed)
    assert np.array_equal(again.raw(x), np.concatenate([packed.raw(x[i : i + 1]) for i in range(len(x))]))


def test_a_feature_whose_missing_values_go_both_ways_is_descended_rightly(monkeypatch):
    monkeypatch.setattr(many_rows, "SMALL_TREE", 0)
    x, y = table(3000, 7, missing=0.3)
    packed = pack_random_forest(fit_forest(x, y, n_estimators=15, max_depth=None))
    split = packed.feature >= 0
    both = [len(set(packed.missing_left[split & (packed.feature == f)])) == 2 for f in range(N_FEATURES)]
    assert any(both)
    assert np.array_equal(packed.raw(x), np.concatenate([packed.raw(x[i : i + 1]) for i in range(len(x))]))


def test_a_forest_of_more_features_than_a_node_can_name_is_scored_too(monkeypatch):
    monkeypatch.setattr(many_rows, "SMALL_TREE", 0)
    x, y = table(1500, 8, n_features=300)
    packed = pack_random_forest(fit_forest(x, y, n_estimators=200, max_features=1))
    assert len(np.unique(packed.feature[packed.feature >= 0])) > many_rows.MAX_COLUMNS
    assert np.array_equal(packed.raw(x), np.concatenate([packed.raw(x[i : i + 1]) for i in range(len(x))]))


def test_trees_that_are_one_leaf_are_scored_for_many_rows():
    leaf = np.full(3, -1, np.int16)
    values = np.array([0.25, 0.5, 0.75], np.float32)
    stump = PackedForest(
        values, leaf, np.zeros(3, bool), np.ones(3, np.float32), np.arange(4, dtype=np.int32), 0.0,
        "probability", 2,
    )  # fmt: skip
    assert np.array_equal(stump.raw(np.zeros((300, 2), np.float32)), np.full(300, 0.5))


def test_infinities_go_where_the_trees_of_scikit_learn_send_them(trained, forest):
    x = with_infinities(hard_rows(forest, 2000, 2))
    # predict_proba refuses infinities; the trees below it do not.
    expected = np.mean([tree.tree_.predict(x)[:, 1] for tree in trained[2].estimators_], axis=0)
    assert np.abs(forest.probability(x) - expected).max() <= 1e-6


def test_infinities_go_where_xgboost_sends_them(trained, boosting):
    x = with_infinities(hard_rows(boosting, 2000, 2))
    assert largest_difference(boosting, trained[3].predict_proba, x) <= 1e-6


def test_a_forest_trained_without_missing_values_still_routes_them_alike():
    x, y = table(2000, 3, missing=0)
    model = fit_forest(x, y)
    packed = pack_random_forest(model)
    assert largest_difference(packed, model.predict_proba, hard_rows(packed, 5000, 3)) <= 1e-6


def test_a_split_between_present_and_missing_is_kept():
    x, _ = table(1000, 4, missing=0.3)
    y = np.isnan(x[:, 0]).astype(int)
    model = fit_forest(x, y, max_features=None, n_estimators=5)
    packed = pack_random_forest(model)
    assert np.isposinf(packed.split).any()
    assert largest_difference(packed, model.predict_proba, x) <= 1e-6


def test_unlimited_best_first_trees_are_put_in_order():
    x, y = table(2000, 5)
    model = fit_forest(x, y, max_depth=None, max_leaf_nodes=80, n_estimators=10)
    packed = pack_random_forest(model)
    assert largest_difference(packed, model.predict_proba, hard_rows(packed, 3000, 3)) <= 1e-6


def test_boosting_that_stopped_early_keeps_the_best_iteration_only(trained):
    x, y = table(1500, 6)
    late = table(500, 7)
    model = xgboost.XGBClassifier(n_estimators=300, early_stopping_rounds=5, n_jobs=1, learning_rate=0.5)
    model.fit(x, y, eval_set=[late], verbose=False)
    packed = pack_xgboost(model)
    assert packed.n_trees == model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert largest_difference(packed, model.predict_proba, hard_rows(packed, 3000, 3)) <= 1e-6


def test_several_trees_a_round_base_score_and_pruning_are_honoured():
    x, y = table(1500, 8)
    model = fit_boosting(
        x,
        y,
        num_parallel_tree=3,
        n_estimators=8,
        subsample=0.7,
        base_score=0.03,
        gamma=2.0,
        tree_method="exact",
    )
    packed = pack_xgboost(model)
    assert packed.base == pytest.approx(math.log(0.03 / 0.97))
    assert largest_difference(packed, model.predict_proba, hard_rows(packed, 3000, 3)) <= 1e-6


@pytest.mark.parametrize("depth", [1, 2])
def test_stumps_score_like_their_originals(depth):
    x, y = table(500, 9)
    for model, pack in (
        (fit_forest(x, y, max_depth=depth), pack_random_forest),
        (fit_boosting(x, y, max_depth=depth), pack_xgboost),
    ):
        packed = pack(model)
        assert largest_difference(packed, model.predict_proba, x) <= 1e-6
        phi, expected = packed.contributions(x)
        assert np.abs(phi.sum(axis=1) + expected - packed.raw(x)).max() <= 1e-9


def test_a_row_alone_scores_exactly_as_in_any_batch(packed):
    x = hard_rows(packed, 50, 4)
    alone = np.concatenate([packed.raw(x[i : i + 1]) for i in range(len(x))])
    for n in (50, 33, 16, 15, 2):
        assert np.array_equal(packed.raw(x[:n]), alone[:n])
    assert packed.raw(x[:0]).shape == (0,)


def test_a_probability_alone_is_to_the_last_bit_that_in_any_batch(packed):
    x = hard_rows(packed, MANY_ROWS, 14)
    alone = np.concatenate([packed.probability(x[i : i + 1]) for i in range(len(x))])
    for n in (MANY_ROWS, 50, 2):
        assert np.array_equal(packed.probability(x[:n]), alone[:n])


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_more_trees_than_descend_together_are_added_up_in_their_order(packed, surplus):
    trees = kernels.TREES + surplus
    times = -(-trees // packed.n_trees)
    sizes = np.tile(np.diff(packed.offsets), times)[:trees]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    nodes = {
        name: np.tile(getattr(packed, name), times)[: offsets[-1]]
        for name in ("split", "feature", "missing_left", "cover")
    }
    # Leaves of one magnitude add up without rounding, in whatever order.
    shrunk = nodes["split"] * np.float32(10) ** np.random.default_rng(0).uniform(-15, 0, offsets[-1])
    nodes["split"] = np.where(nodes["feature"] < 0, shrunk, nodes["split"]).astype(np.float32)
    large = replace(packed, offsets=offsets, **nodes)
    x = hard_rows(packed, 40, 15)
    alone = np.concatenate([large.raw(x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(alone[:32], large.raw(x[:32]))
    leaves = [trace(large, tree, x[0]) for tree in range(large.n_trees)]
    total = 0.0
    for leaf in leaves:
        total += float(leaf)
    assert alone[0] == (total / trees if large.scale == "probability" else large.base + total)


def trace(packed, tree, row):
    """Return a tree's output for a row, straight from the definition of the format."""
    node = int(packed.offsets[tree])
    while packed.feature[node] >= 0:
        value = row[packed.feature[node]]
        left = packed.missing_left[node] if np.isnan(value) else value <= packed.split[node]
        node += 1
        if not left:  # past the left child's nodes: each split opens a place, each leaf fills one
            places = 1
            while places:
                places += 1 if packed.feature[node] >= 0 else -1
                node += 1
    return packed.split[node]


def test_rows_scored_on_several_threads_at_once_do_not_meet(packed):
    x = hard_rows(packed, 400, 16)
    alone = [packed.probability(x[i : i + 1])[0] for i in range(len(x))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda i: packed.probability(x[i : i + 1])[0], range(len(x)))) == alone


def test_read_only_strided_and_wider_inputs_are_taken(packed):
    x = hard_rows(packed, 40, 5)
    expected = packed.raw(x)
    frozen = x.copy()
    frozen.flags.writeable = False
    for same in (frozen, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x.astype(np.float64)):
        assert np.array_equal(packed.raw(same), expected)


def test_rows_of_another_width_are_a_caller_s_mistake(packed):
    with pytest.raises(ValueError, match="expected"):
        packed.raw(np.zeros((1, N_FEATURES - 1), np.float32))


def test_serving_imports_neither_library_and_numba_only_when_used():
    code = (
        "import sys, fraud.models.engine; "
        "assert not {'sklearn', 'xgboost', 'numba'} & set(sys.modules), 'too much is imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_models_that_would_be_served_wrongly_are_refused():
    x, y = table(300, 12)
    filled = np.nan_to_num(x, nan=-1)
    refused = [
        (fit_boosting(filled, y, n_estimators=2, missing=-1), "missing values must be NaN"),
        (fit_boosting(x, y, n_estimators=2, booster="dart"), "gbtree"),
        (fit_boosting(x, y + (x[:, 0] > 1), n_estimators=2), "objective"),
    ]
    table_with_levels = xgboost.XGBClassifier(
        n_estimators=2, feature_types=["q"] * 7 + ["c"], enable_categorical=True
    )
    refused.append((table_with_levels.fit(np.abs(filled), y), "categorical"))
    for model, reason in refused:
        with pytest.raises(BundleRefused, match=reason):
            pack_xgboost(model)
    with pytest.raises(BundleRefused, match="classes"):
        pack_random_forest(fit_forest(x, y + 1, n_estimators=2))
