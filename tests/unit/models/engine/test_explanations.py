"""Packed forests explain exactly: Shapley values by their definition, XGBoost's own, and their sum."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import xgboost

from fraud.models.engine import hard_rows, largest_difference
from fraud.models.packing import pack_random_forest, pack_xgboost
from tests.unit.models.engine.conftest import chain, fit_boosting, fit_forest, table


def test_trees_of_a_single_leaf_explain_nothing():
    x, y = table(300, 10)
    for model, pack in (
        (fit_forest(x, y, min_samples_leaf=300), pack_random_forest),
        (fit_boosting(x, y, gamma=1e9), pack_xgboost),
    ):
        packed = pack(model)
        assert largest_difference(packed, model.predict_proba, x) <= 1e-6
        phi, expected = packed.contributions(x[:5])
        assert not phi.any()
        assert expected == pytest.approx(packed.raw(x)[0])


def test_contributions_add_up_to_the_raw_output(packed):
    x = hard_rows(packed, 300, 6)
    phi, expected = packed.contributions(x)
    assert phi.shape == x.shape
    assert np.abs(phi.sum(axis=1) + expected - packed.raw(x)).max() <= 1e-9


def test_contributions_agree_with_xgboost(trained, boosting):
    x = hard_rows(boosting, 300, 7)
    phi, expected = boosting.contributions(x)
    theirs = trained[3].get_booster().predict(xgboost.DMatrix(x), pred_contribs=True)
    assert np.abs(theirs[:, :-1] - phi).max() <= 1e-5
    assert theirs[:, -1] == pytest.approx(expected, abs=1e-5)


def conditional_mean(packed, tree, row, coalition):
    """Return the path-dependent value of a coalition, straight from its definition."""

    def subtree_end(node):
        if packed.feature[node] < 0:
            return node + 1
        return subtree_end(subtree_end(node + 1))

    def value(node):
        if packed.feature[node] < 0:
            return float(packed.split[node])
        left, right = node + 1, subtree_end(node + 1)
        number = row[packed.feature[node]]
        if packed.feature[node] in coalition:
            goes_left = packed.missing_left[node] if np.isnan(number) else number <= packed.split[node]
            return value(left if goes_left else right)
        weights = np.float64(packed.cover[[left, right]]) / np.float64(packed.cover[node])
        return weights[0] * value(left) + weights[1] * value(right)

    return value(packed.offsets[tree])


def enumerated_shapley(packed, row):
    d = packed.n_features
    worth = {
        s: sum(conditional_mean(packed, tree, row, s) for tree in range(packed.n_trees))
        for size in range(d + 1)
        for s in map(frozenset, itertools.combinations(range(d), size))
    }
    phi = np.zeros(d)
    for s, total in worth.items():
        for i in set(range(d)) - s:
            order = math.factorial(len(s)) * math.factorial(d - len(s) - 1) / math.factorial(d)
            phi[i] += order * (worth[s | {i}] - total)
    return phi / (packed.n_trees if packed.scale == "probability" else 1)


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_contributions_are_the_enumerated_shapley_values(kind):
    x, y = table(600, 11, n_features=5)
    if kind == "forest":
        packed = pack_random_forest(fit_forest(x, y, n_estimators=4, max_depth=6))
    else:
        packed = pack_xgboost(fit_boosting(x, y, n_estimators=4, max_depth=6))
    rows = hard_rows(packed, 6, 8)
    phi, _ = packed.contributions(rows)
    for row, ours in zip(rows, phi, strict=True):
        assert np.abs(enumerated_shapley(packed, row) - ours).max() <= 1e-12


@pytest.mark.parametrize("n_features", [3, 16, 17, 32, 33, 60])
def test_paths_with_many_features_get_enough_quadrature_points(n_features):
    packed = chain(n_features)
    phi, expected = packed.contributions(np.ones((1, n_features), np.float32))
    assert phi.sum() + expected == pytest.approx(1.0, abs=1e-12)
    # Symmetry: a feature that x satisfies with a smaller cover ratio owes more, and none is negative.
    assert (np.diff(phi[0]) > 0).all()


def test_nodes_that_nothing_reached_in_training_do_not_break_an_explanation(packed):
    rng = np.random.default_rng(0)
    cover = packed.cover.copy()
    cover[rng.random(cover.size) < 0.3] = 0
    for emptied in (replace(packed, cover=cover), replace(packed, cover=np.zeros_like(cover))):
        x = hard_rows(packed, 50, 9)
        phi, expected = emptied.contributions(x)
        assert np.isfinite(phi).all()
        assert np.abs(phi.sum(axis=1) + expected - packed.raw(x)).max() <= 1e-6 * np.abs(phi).max()
