"""A packed model that answers otherwise than the fitted one is not released."""

from dataclasses import replace

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier

from fraud.errors import BundleRefused
from fraud.models.calibration import BetaCalibration
from fraud.models.engine import PackedForest, hard_rows
from fraud.models.packing import pack_random_forest, pack_xgboost
from fraud.models.parity import check_parity, original
from fraud.records import Thresholds

PLAIN = BetaCalibration(1.0, 1.0, 0.0)
CUTS = Thresholds(0.3, 0.6)


def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0.8).astype(int)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, y


@pytest.fixture(scope="module")
def forest() -> tuple[RandomForestClassifier, PackedForest]:
    x, y = table()
    model = RandomForestClassifier(15, max_depth=6, random_state=0).fit(x, y)
    return model, pack_random_forest(model)


@pytest.fixture(scope="module")
def boosting() -> tuple[xgboost.XGBClassifier, PackedForest]:
    x, y = table()
    model = xgboost.XGBClassifier(n_estimators=500, max_depth=4, random_state=0, base_score=0.2)
    model.fit(x, y)
    return model, pack_xgboost(model)


@pytest.mark.parametrize("which", ["forest", "boosting"])
def test_a_faithful_packing_passes(which: str, request: pytest.FixtureRequest) -> None:
    model, packed = request.getfixturevalue(which)
    found = check_parity(which, model, packed, PLAIN, CUTS, n_rows=25_000, seed=1)
    assert found.n_rows == 25_000 and 0 <= found.largest_difference <= 1e-6


@pytest.mark.parametrize("which", ["forest", "boosting"])
def test_one_leaf_that_is_off_by_a_hundredth_is_found(which: str, request: pytest.FixtureRequest) -> None:
    model, packed = request.getfixturevalue(which)
    split = packed.split.copy()
    leaf = np.flatnonzero(packed.feature == -1)[3]
    split[leaf] += 0.01 if split[leaf] < 0.5 else -0.01
    with pytest.raises(BundleRefused, match="must not be released"):
        check_parity(which, model, replace(packed, split=split), PLAIN, CUTS, n_rows=20_000)


def test_ties_that_go_the_other_way_are_found(forest: tuple[RandomForestClassifier, PackedForest]) -> None:
    model, packed = forest
    split = packed.split.copy()
    inner = (packed.feature != -1) & np.isfinite(split)
    split[inner] = np.nextafter(split[inner], np.float32(-np.inf))
    with pytest.raises(BundleRefused, match="must not be released"):
        check_parity("forest", model, replace(packed, split=split), PLAIN, CUTS, n_rows=20_000)


def test_a_decision_that_differs_is_found_where_no_probability_does_by_much(
    boosting: tuple[xgboost.XGBClassifier, PackedForest],
) -> None:
    model, packed = boosting
    x = hard_rows(packed, 20_000, 0)  # the rows of the first chunk
    moved = replace(packed, base=packed.base + 1e-6)
    theirs, ours = model.predict_proba(x)[:, 1].astype(float), moved.probability(x)
    highest = np.maximum(theirs, original(model)(x))
    row = int(np.argmax(ours - highest))
    assert np.abs(ours - theirs).max() < 2e-6
    cut = Thresholds(float(ours[row] + highest[row]) / 2, 1.0)
    with pytest.raises(BundleRefused, match=r"decides \d+ of 20,000 rows otherwise"):
        check_parity("xgboost", model, moved, PLAIN, cut, n_rows=20_000)


def test_a_decision_that_the_librarys_own_rounding_makes_refuses_nothing(
    boosting: tuple[xgboost.XGBClassifier, PackedForest],
) -> None:
    model, packed = boosting
    x = hard_rows(packed, 20_000, 0)
    theirs, exact = model.predict_proba(x)[:, 1].astype(float), original(model)(x)
    row = int(np.argmax(np.abs(theirs - exact)))
    assert abs(theirs[row] - exact[row]) > 2.0**-23
    cut = Thresholds(float(theirs[row] + exact[row]) / 2, 1.0)
    assert (theirs[row] >= cut.review) != (packed.probability(x)[row] >= cut.review)
    check_parity("xgboost", model, packed, PLAIN, cut, n_rows=20_000)


def test_the_original_in_double_precision_is_the_library_up_to_its_own_rounding(
    boosting: tuple[xgboost.XGBClassifier, PackedForest],
) -> None:
    model, packed = boosting
    x = hard_rows(packed, 5_000, 2)
    assert np.abs(original(model)(x) - model.predict_proba(x)[:, 1]).max() < 5e-6


def test_only_the_rounds_up_to_the_best_one_count() -> None:
    x, y = table()
    model = xgboost.XGBClassifier(n_estimators=200, max_depth=4, early_stopping_rounds=5, learning_rate=0.5)
    model.fit(x[:2000], y[:2000], eval_set=[(x[2000:], y[2000:])], verbose=False)
    assert model.best_iteration < 199
    check_parity("xgboost", model, pack_xgboost(model), PLAIN, CUTS, n_rows=5_000)
