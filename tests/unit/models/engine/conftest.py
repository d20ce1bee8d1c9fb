"""A forest and a boosting of scikit-learn's and XGBoost's own, and their packed forms."""

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier

from fraud.models.engine import PackedForest
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


@pytest.fixture(scope="session")
def trained():
    x, y = table(4000, 0)
    return x, y, fit_forest(x, y, class_weight="balanced_subsample"), fit_boosting(x, y)


@pytest.fixture(scope="session")
def forest(trained):
    return pack_random_forest(trained[2])


@pytest.fixture(scope="session")
def boosting(trained):
    return pack_xgboost(trained[3])


@pytest.fixture(params=["forest", "boosting"])
def packed(request):
    return request.getfixturevalue(request.param)


def with_infinities(x):
    rng = np.random.default_rng(5)
    x[rng.random(x.shape) < 0.1] = np.inf
    x[rng.random(x.shape) < 0.1] = -np.inf
    return x


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
