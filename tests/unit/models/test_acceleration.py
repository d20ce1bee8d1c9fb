"""Forests grown by scikit-learn-intelex are scikit-learn forests, as good as its own."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from fraud.data.profile import ModelSettings
from fraud.errors import ProfileError, SettingsError
from fraud.models import acceleration
from fraud.models.engine import hard_rows, largest_difference
from fraud.models.estimators import TrainingRows, fit_random_forest
from fraud.models.evaluate import Ranking
from fraud.models.packing import pack_random_forest

needed = pytest.mark.skipif(not acceleration.installed(), reason="scikit-learn-intelex is not installed")
PARAMETERS = {"n_estimators": 40, "min_samples_leaf": 3, "max_features": 0.4}


def rows(n, seed, missing=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    z = x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(size=n) * 0.7
    y = (z > 2.2).astype(float)
    x[rng.random(x.shape) < missing] = np.nan
    x[:, -1] = rng.integers(-1, 5, n)
    return TrainingRows(x, y, np.ones(n), np.arange(n))


def fit(train, seed=1, engine="scikit-learn-intelex", **parameters):
    settings = ModelSettings(random_forest=PARAMETERS | parameters)
    return fit_random_forest(train, settings, seed, engine).estimator


@pytest.fixture(scope="module")
def grown():
    train = rows(6000, 0)
    return train, fit(train)


@needed
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_an_accelerated_forest_ranks_as_well_as_scikit_learns(missing):
    train, later = rows(8000, 0, missing), rows(8000, 1, missing)

    def precision(engine, seed):
        scores = fit(train, seed, engine).predict_proba(later.features)[:, 1]
        return Ranking.of(later.labels, scores).auc_and_ap()[1]

    ours, theirs = (
        np.array([precision(e, s) for s in range(4)]) for e in ("scikit-learn-intelex", "scikit-learn")
    )
    noise = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 4)
    assert ours.mean() > theirs.mean() - 0.01 - 3 * noise


@needed
def test_it_is_a_plain_forest_that_loads_without_the_accelerator(grown, tmp_path):
    train, forest = grown
    assert type(forest) is RandomForestClassifier
    (tmp_path / "forest.pkl").write_bytes(pickle.dumps(forest))
    np.save(tmp_path / "x.npy", train.features[:50])
    code = (
        "import pickle, sys, numpy as np; sys.modules['daal4py'] = sys.modules['sklearnex'] = None;"
        f"f = pickle.load(open(r'{tmp_path}/forest.pkl', 'rb'));"
        f"print(f.predict_proba(np.load(r'{tmp_path}/x.npy'))[:, 1].sum())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(printed) == pytest.approx(forest.predict_proba(train.features[:50])[:, 1].sum())


@needed
def test_its_packed_form_answers_alike_with_missing_values_and_ties(grown):
    _, forest = grown
    packed = pack_random_forest(forest)
    assert largest_difference(packed, forest.predict_proba, hard_rows(packed, 10_000, 1)) <= 1e-6


@needed
def test_its_leaves_and_covers_are_those_of_the_training_rows(grown):
    train, forest = grown
    for member in forest.estimators_[:5]:
        tree, leaf = member.tree_, member.apply(train.features)
        counts = np.bincount(leaf, minlength=tree.node_count)
        frauds = np.bincount(leaf, weights=train.labels, minlength=tree.node_count)
        leaves = (tree.children_left < 0) & (counts > 0)
        np.testing.assert_array_equal(tree.n_node_samples[leaves], counts[leaves])
        np.testing.assert_allclose(tree.value[leaves, 0, 1], frauds[leaves] / counts[leaves])
        inner = tree.children_left >= 0
        children = tree.n_node_samples[tree.children_left[inner]]
        children = children + tree.n_node_samples[tree.children_right[inner]]
        np.testing.assert_array_equal(tree.n_node_samples[inner], children)
        assert tree.n_node_samples[0] == len(train.labels)


@needed
def test_its_reasons_add_up_to_its_answer(grown):
    train, forest = grown
    packed = pack_random_forest(forest)
    contributions, expected = packed.contributions(train.features[:200])
    np.testing.assert_allclose(
        expected + contributions.sum(axis=1), forest.predict_proba(train.features[:200])[:, 1], atol=1e-5
    )
    # What every row got on average is what a tree expects of a row of which nothing is known.
    assert expected == pytest.approx(train.labels.mean(), abs=1e-6)


@needed
def test_a_heavy_row_counts_for_as_much_as_its_weight():
    train = rows(4000, 3)
    weights = np.where(train.labels == 1, 5.0, 1.0)
    heavy = fit(TrainingRows(train.features, train.labels, weights, train.rows))
    root = heavy.estimators_[0].tree_
    assert root.weighted_n_node_samples[0] == pytest.approx(weights.sum())
    assert root.value[0, 0, 1] == pytest.approx(weights[train.labels == 1].sum() / weights.sum())
    by_class = fit(train, class_weight={0: 1.0, 1: 5.0})
    np.testing.assert_array_equal(by_class.predict_proba(train.features), heavy.predict_proba(train.features))


@needed
def test_missingness_alone_can_tell_frauds():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 3)).astype(np.float32)
    y = (rng.random(3000) < 0.3).astype(float)
    x[y == 1, 0] = np.nan
    forest = fit(TrainingRows(x, y, np.ones(3000), np.arange(3000)), max_features=None)
    assert np.abs(forest.predict_proba(x)[:, 1] - y).max() < 0.01


@needed
def test_a_column_with_no_value_at_all_is_harmless():
    train = rows(2000, 5)
    train.features[:, 3] = np.nan
    packed = pack_random_forest(fit(train))
    assert np.isfinite(packed.probability(train.features)).all()


@needed
def test_the_same_seed_grows_the_same_forest(grown):
    train, forest = grown
    again, other = fit(train), fit(train, seed=2)
    np.testing.assert_array_equal(again.predict_proba(train.features), forest.predict_proba(train.features))
    assert (other.predict_proba(train.features) != forest.predict_proba(train.features)).any()


@needed
def test_what_it_cannot_do_is_left_to_scikit_learn_and_recorded():
    train = rows(1500, 6)
    for special in ({"class_weight": "balanced_subsample"}, {"criterion": "entropy"}, {"ccp_alpha": 1e-4}):
        settings = ModelSettings(random_forest=PARAMETERS | special)
        assert fit_random_forest(train, settings, 1).engine.startswith("scikit-learn 1")
        with pytest.raises(SettingsError, match="FRAUD_FOREST_ENGINE"):
            fit_random_forest(train, settings, 1, "scikit-learn-intelex")
    accelerated = fit_random_forest(train, ModelSettings(random_forest=PARAMETERS), 1)
    assert accelerated.engine.startswith("scikit-learn-intelex 20")


def test_without_it_training_falls_back_and_a_demand_is_refused(monkeypatch):
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)
    train = rows(1500, 7)
    settings = ModelSettings(random_forest=PARAMETERS)
    assert fit_random_forest(train, settings, 1).engine.startswith("scikit-learn 1")
    with pytest.raises(SettingsError, match="not installed"):
        fit_random_forest(train, settings, 1, "scikit-learn-intelex")


def test_an_impossible_parameter_is_refused_by_either_engine():
    train = rows(500, 8)
    for engine in ("auto", "scikit-learn"):
        with pytest.raises(ProfileError, match="max_depth"):
            fit(train, engine=engine, max_depth=-3)
