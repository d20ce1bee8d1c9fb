"""Validation before the test window: no fold reaches into it, and a difference is judged pairwise."""

import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import DAY_MS, ModelSettings, Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.features.pipeline import FeaturePipeline
from fraud.models.folds import fold_data, judge, learning_curve, paired_difference, prequential_folds
from fraud.models.split import labels_as_of, split

LIGHT = ModelSettings.model_validate(
    {
        "random_forest": {"n_estimators": 10, "min_samples_leaf": 5},
        "xgboost": {"n_estimators": 15, "learning_rate": 0.3, "max_depth": 3},
        "negatives_per_fraud": 20,
    }
)


@pytest.fixture(scope="module")
def table(small_profile: Profile) -> Transactions:
    return load_transactions(small_profile, None)[0]


@pytest.mark.parametrize("n_folds", [2, 4])
def test_no_fold_reaches_into_the_test_window_or_its_label_delay(small_profile, table, n_folds) -> None:
    plan = split(table, small_profile, 7)
    delay = small_profile.evaluation.delay_days * DAY_MS
    time = table.times()
    newest = 0
    for fold in prequential_folds(table, small_profile, n_folds):
        assert time[fold.train].max() <= time[fold.calibration].min()
        assert time[fold.calibration].max() < fold.as_of_ms - delay
        assert time[fold.validation].min() >= fold.as_of_ms
        assert time[fold.validation].max() < plan.as_of_ms - delay
        assert fold.as_of_ms > newest, "oldest first"
        newest = fold.as_of_ms


def test_a_training_window_of_fixed_length_has_it_in_every_fold(small_profile, table) -> None:
    plan = small_profile.evaluation.model_copy(update={"train_days": 20.0, "test_days": 7.0})
    profile = small_profile.model_copy(update={"evaluation": plan})
    for fold in prequential_folds(table, profile, 3):
        fitted = table.times()[np.concatenate([fold.train, fold.calibration])]
        assert 19 * DAY_MS < fitted.max() - fitted.min() < 20 * DAY_MS


def test_a_fold_is_fitted_on_labels_as_they_stood_when_it_began(small_profile, table) -> None:
    folds = prequential_folds(table, small_profile, 2)
    for fold, data in zip(folds, fold_data(table, small_profile, folds), strict=True):
        known = labels_as_of(table, fold.as_of_ms)
        np.testing.assert_array_equal(data.parts.train.labels, known[fold.train])


def test_a_fold_is_judged_by_labels_as_they_stood_when_the_test_window_began(small_profile, table) -> None:
    began = split(table, small_profile, 7).as_of_ms
    fold = prequential_folds(table, small_profile, 2)[-1]
    late = table.known_at_ms.copy()
    unreported = fold.validation[table.labels[fold.validation] == 1][0]
    late[unreported] = began + 1
    table = table.with_labels(table.labels, late)
    judged = fold_data(table, small_profile, [fold])[0].judged
    np.testing.assert_array_equal(judged.labels, labels_as_of(table, began)[fold.validation])
    assert judged.labels[fold.validation == unreported] == 0, "nobody had reported it on that day"
    assert (judged.labels == 1).sum() > 0


def test_features_computed_once_equal_those_computed_for_each_fold(small_profile, table) -> None:
    folds = prequential_folds(table, small_profile, 2)
    for fold, data in zip(folds, fold_data(table, small_profile, folds), strict=True):
        known = table.with_labels(labels_as_of(table, fold.as_of_ms), table.known_at_ms)
        matrix = FeaturePipeline.fit(small_profile, known.take(fold.train)).transform(table)
        np.testing.assert_array_equal(data.features, matrix[fold.validation])
        np.testing.assert_array_equal(data.parts.train.features, matrix[fold.train])


def test_tables_without_time_get_disjoint_random_folds() -> None:
    profile = load_profile("ulb")
    document = profile.model_dump(mode="json", by_alias=True)
    document["columns"]["time"] = None
    document["features"]["calendar"] = []
    document["evaluation"] = {"kind": "stratified"}
    profile = Profile.model_validate(document)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f.column: rng.random(3000) for f in profile.fields})
    frame["Class"] = (rng.random(3000) < 0.05).astype(int)
    from fraud.data.table import transactions_from_frame

    folds = prequential_folds(transactions_from_frame(frame, profile), profile, 3)
    judged = np.concatenate([f.validation for f in folds])
    assert len(folds) == 3 and len(np.unique(judged)) == len(judged)


def test_a_learning_curve_grows_and_ends_at_the_whole_fold(small_profile, table) -> None:
    fold = fold_data(table, small_profile, prequential_folds(table, small_profile, 2))[-1]
    points = learning_curve("random_forest", fold, LIGHT, small_profile, (0.3, 1.0))
    assert [n for n, _ in points] == sorted(n for n, _ in points)
    assert points[-1][0] == len(fold.parts.train.labels)
    assert points[-1][1].ap == judge("random_forest", fold, LIGHT, 7, small_profile).ap


def scores(seed: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(4000) < 0.05).astype(float)
    return labels, labels * strength + rng.normal(size=4000)


def test_a_real_difference_excludes_zero_and_none_does_not() -> None:
    labels, weak = scores(1, 1.0)
    strong = weak + labels * 1.0
    point, low, high = paired_difference([labels], [strong], [weak])
    assert 0 < low < point < high
    same = np.random.default_rng(2).normal(size=4000) * 0.01
    _, low, high = paired_difference([labels], [weak + same], [weak])
    assert low <= 0 <= high
