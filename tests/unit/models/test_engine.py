"""Packed forests score and explain like their originals, and no file makes them crash."""

import io
import itertools
import math
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier

from fraud.errors import BundleRefused
from fraud.models import kernels, many_rows
from fraud.models.engine import MANY_ROWS, PackedForest, hard_rows, largest_difference
from fraud.models.packing import pack_random_forest, pack_xgboost

N_FEATURES = 8


def table(n, seed, n_features=N_FEATURES, missing=0.05):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    x[:, -2:] = rng.integers(-1, 5, size=(n, 2))  # codes; -1 is a level never seen
    z = x[:, 0] * x[:, 1] + x[:, 2] + (x[:, -1] == 2) + rng.normal(size=n) * 0.5
    y = (z > np.quantile(z, 0.9)).astype(int)
    x[rng.random(x.shape) < missing] = np.nan
    return x, y


def fit_forest(x, y, **options):
    options = {"n_estimators": 37, "max_depth": 9, "random_state": 0, "n_jobs": 1} | options
    return RandomForestClassifier(**options).fit(x, y)


def fit_boosting(x, y, **options):
    options = {"n_estimators": 60, "max_depth": 5, "n_jobs": 1, "random_state": 0} | options
    return xgboost.XGBClassifier(**options).fit(x, y)


@pytest.fixture(scope="module")
def trained():
    x, y = table(4000, 0)
    return x, y, fit_forest(x, y, class_weight="balanced_subsample"), fit_boosting(x, y)


@pytest.fixture(scope="module")
def forest(trained):
    return pack_random_forest(trained[2])


@pytest.fixture(scope="module")
def boosting(trained):
    return pack_xgboost(trained[3])


@pytest.fixture(params=["forest", "boosting"])
def packed(request):
    return request.getfixturevalue(request.param)


# --- scores ---


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


def with_infinities(x):
    rng = np.random.default_rng(5)
    x[rng.random(x.shape) < 0.1] = np.inf
    x[rng.random(x.shape) < 0.1] = -np.inf
    return x


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


# --- explanations ---


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


def chain(n_features, cover_of_leaf=1.0):
    """One tree whose single long path tests every feature once."""
    feature, split, cover = [], [], []
    for i in range(n_features):
        feature += [i, -1]
        split += [0.0, 0.0]
        cover += [1.0 + cover_of_leaf * (n_features - i), cover_of_leaf]
    return PackedForest(
        split=np.array([*split, 1.0], np.float32),
        feature=np.array([*feature, -1], np.int16),
        missing_left=np.zeros(len(feature) + 1, np.bool_),
        cover=np.array([*cover, 1.0], np.float32),
        offsets=np.array([0, len(feature) + 1], np.int32),
        base=0.0,
        scale="probability",
        n_features=n_features,
    )


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


# --- models that cannot be packed ---


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


# --- files ---


def test_a_saved_forest_comes_back_the_same_and_its_bytes_do_not_depend_on_the_day(packed, tmp_path):
    path = tmp_path / "model.forest"
    packed.save(path)
    first = path.read_bytes()
    again = PackedForest.load(path)
    again.save(path)
    assert path.read_bytes() == first
    x = hard_rows(packed, 100, 10)
    assert np.array_equal(packed.probability(x), again.probability(x))
    assert np.array_equal(packed.contributions(x)[0], again.contributions(x)[0])


def members(packed, path):
    packed.save(path)
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def changed(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


HOSTILE = {
    "a feature out of range": ("feature", changed(0, N_FEATURES)),
    "a feature below -1": ("feature", changed(0, -2)),
    "a root that is a leaf before other nodes": ("feature", changed(0, -1)),
    "a last leaf that asks for children": ("feature", changed(-1, 0)),
    "nothing but splits": ("feature", np.zeros_like),
    "a NaN threshold": ("split", changed(0, np.nan)),
    "an infinite leaf": ("split", changed(-1, np.inf)),
    "a negative cover": ("cover", changed(3, -1)),
    "an infinite cover": ("cover", changed(3, np.inf)),
    "offsets that go back": ("offsets", changed(1, -5)),
    "offsets past the end": ("offsets", changed(-1, 2**31 - 1)),
    "an empty tree": ("offsets", changed(1, 0)),
    "no trees": ("offsets", lambda a: a[:1]),
    "trees moved by a node": ("offsets", changed(1, 3)),
    "fewer covers than nodes": ("cover", lambda a: a[:-1]),
    "wider thresholds": ("split", lambda a: a.astype(np.float64)),
    "a matrix": ("split", lambda a: a.reshape(1, -1)),
    "pickled objects": ("split", lambda a: a.astype(object)),
    "another byte order": ("split", lambda a: a.astype(">f4")),
    "booleans that are neither": ("missing_left", lambda a: changed(0, 7)(a.view(np.uint8)).view(np.bool_)),
    "no nodes": ("feature", lambda a: a[:0]),
    "a short header": ("header", lambda a: a[:5]),
    "a later format": ("header", changed(0, 99)),
    "an unknown scale": ("header", changed(4, 9)),
    "no features": ("header", changed(slice(8, 12), 0)),
    "a base that is NaN": ("header", changed(slice(12, 20), 255)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_with_hostile_content_is_refused(packed, tmp_path, name):
    path = tmp_path / "hostile.npz"
    arrays = members(packed, path)
    array, change = HOSTILE[name]
    arrays[array] = change(arrays[array])
    np.savez(path, **arrays)
    with pytest.raises(BundleRefused):
        PackedForest.load(path)


def test_missing_and_additional_arrays_are_refused(forest, tmp_path):
    path = tmp_path / "hostile.npz"
    arrays = members(forest, path)
    for odd in (arrays | {"more": arrays["split"]}, {k: v for k, v in arrays.items() if k != "cover"}):
        np.savez(path, **odd)
        with pytest.raises(BundleRefused, match="other arrays"):
            PackedForest.load(path)


def test_a_tree_too_deep_to_be_honest_is_refused():
    with pytest.raises(BundleRefused, match="deeper"):
        chain(1000)


def test_truncated_and_damaged_files_are_refused_or_unchanged(forest, tmp_path):
    path = tmp_path / "damaged.npz"
    forest.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for n in [0, 1, 4, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(BundleRefused):
            PackedForest.load(path)
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            again = PackedForest.load(path)
        except BundleRefused:
            continue
        assert np.array_equal(again.split, forest.split)  # the flip hit a field that nobody reads


def test_a_member_that_promises_more_than_it_holds_is_refused_without_allocating_it(forest, tmp_path):
    path = tmp_path / "bomb.npz"
    arrays = members(forest, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0))
            body = content.getvalue()
            if name == "split":
                body = body.replace(str(array.shape).encode(), b"(%d,)" % 10**15, 1)
            archive.writestr(f"{name}.npy", body)
    with pytest.raises(BundleRefused):
        PackedForest.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleRefused):
        PackedForest.load(tmp_path / "nothing.npz")
