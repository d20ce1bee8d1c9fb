"""Random forests grown by scikit-learn-intelex, kept as plain scikit-learn forests.

Only the trees' structure is taken from the accelerator: the trees it hands out are not the model that it
serves itself (their leaves are hard, missing values are unknown to them). Every training row is sent through
the structure once more, and the leaves get the rows' true weighted fractions; what results is a
`sklearn.ensemble.RandomForestClassifier` like any other, which needs no accelerator to be loaded, packed or
explained.
"""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.models.leaves import fill_leaves

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
PACKAGE = "scikit-learn-intelex"
N_BINS = 1024
"""Values of a column that splits are searched among; 256, the default, cost .004 AP on folds before the
Handbook's test window, and saved little time (benchmarks/results/training.md)."""
_MAPPED = {
    "n_estimators",
    "max_depth",
    "min_samples_split",
    "min_samples_leaf",
    "min_weight_fraction_leaf",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "bootstrap",
    "max_samples",
    "class_weight",
    "random_state",
    "n_jobs",
}


def installed() -> bool:
    """Return whether the accelerator can be imported on this machine (it exists for x86-64 only)."""
    return find_spec("daal4py") is not None


def description() -> str:
    """Return name and version, for the record of what fitted a model."""
    return f"{PACKAGE} {version(PACKAGE)}"


def supports(parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Return whether a forest with these parameters can be grown; the others must be at their defaults."""
    special = {k for k, v in parameters.items() if k not in _MAPPED and v != defaults.get(k)}
    weighting = parameters.get("class_weight")
    return not special and (weighting in (None, "balanced") or isinstance(weighting, Mapping))


def grow(forest: Any, features: F32, labels: F64, weights: F64) -> Any:
    """Fit an unfitted `RandomForestClassifier` whose parameters are `supported`, and return it.

    Parameters
    ----------
    features : float32 [n, d], NaN where missing
    labels : float64 [n] of 0 and 1, both present
    weights : float64 [n], what each row counts
    """
    from sklearn.tree import DecisionTreeClassifier

    weights = weights * _class_weights(forest.class_weight, labels, weights)
    missing = np.array([bool(np.isnan(column).any()) for column in features.T])
    states = _structures(forest, features, labels, weights, missing)
    with ThreadPoolExecutor(forest.n_jobs) as pool:
        list(pool.map(lambda state: _refill(state, features, labels, weights, missing), states))
    members = []
    for number, state in enumerate(states):
        member = DecisionTreeClassifier(max_features=forest.max_features, random_state=number)
        member.tree_ = _tree(state, features.shape[1])
        _mark_fitted(member, features.shape[1])
        members.append(member)
    forest.estimator_ = DecisionTreeClassifier()
    forest.estimators_ = members
    _mark_fitted(forest, features.shape[1])
    return forest


def _mark_fitted(estimator: Any, n_features: int) -> None:
    estimator.n_features_in_ = n_features
    estimator.n_outputs_ = 1
    estimator.n_classes_ = 2
    estimator.classes_ = np.array([0.0, 1.0])


def _class_weights(weighting: Any, labels: F64, weights: F64) -> F64:
    if weighting is None:
        return np.ones(len(labels))
    if weighting == "balanced":
        share = float(weights[labels == 1].sum() / weights.sum())
        return np.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    of_fraud, of_others = float(weighting.get(1, 1.0)), float(weighting.get(0, 1.0))
    return np.where(labels == 1, of_fraud, of_others)


def _structures(
    forest: Any, features: F32, labels: F64, weights: F64, missing: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Return the state of every tree, as `sklearn.tree._tree.Tree.__setstate__` takes it."""
    import daal4py

    n, d = features.shape
    table, column, left = _both_ways(features, missing)
    wanted = _n_features(forest.max_features, d)
    training = daal4py.decision_forest_classification_training(
        nClasses=2,
        fptype="float",
        method="hist",
        nTrees=forest.n_estimators,
        observationsPerTreeFraction=_share(forest.max_samples, n) if forest.bootstrap else 1.0,
        featuresPerNode=round(wanted * len(column) / d),
        maxTreeDepth=forest.max_depth or 0,
        minObservationsInLeafNode=_count(forest.min_samples_leaf, n, 1),
        minObservationsInSplitNode=_count(forest.min_samples_split, n, 2),
        minWeightFractionInLeafNode=forest.min_weight_fraction_leaf,
        minImpurityDecreaseInSplitNode=forest.min_impurity_decrease,
        maxLeafNodes=forest.max_leaf_nodes or 0,
        engine=daal4py.engines_mt2203(seed=forest.random_state),
        bootstrap=forest.bootstrap,
        maxBins=N_BINS,
        minBinSize=1,
    )
    arguments = [table, labels.astype(np.float32).reshape(-1, 1)]
    if not (weights == weights[0]).all():
        arguments.append(weights.astype(np.float32).reshape(-1, 1))
    model = training.compute(*arguments).model
    states = []
    for number in range(forest.n_estimators):
        tree = daal4py.getTreeState(model, number, 2)
        nodes = tree.node_ar.copy()
        split = nodes["left_child"] >= 0
        nodes["missing_go_to_left"][split] = left[nodes["feature"][split]]
        nodes["feature"][split] = column[nodes["feature"][split]]
        states.append({"max_depth": tree.max_depth, "node_count": tree.node_count, "nodes": nodes})
    return states


def _both_ways(features: F32, missing: NDArray[np.bool_]) -> tuple[F32, NDArray[np.intp], NDArray[np.bool_]]:
    """Return a table without gaps, and per column the feature it stands for and where a gap goes.

    The accelerator knows no missing values. A feature with gaps becomes two columns, one with the gaps below
    every value and one with them above: a split on the first sends them left, one on the second right, which
    is the choice that scikit-learn's own trees have.
    """
    gaps = np.flatnonzero(missing)
    column = np.concatenate([np.arange(features.shape[1]), gaps])
    left = np.zeros(len(column), np.bool_)
    left[gaps] = True
    if not len(gaps):
        return np.ascontiguousarray(features), column, left
    table = features[:, column]
    for position in np.flatnonzero(missing[column]):
        values = table[:, position]
        seen = values[~np.isnan(values)]
        low, high = (seen.min(), seen.max()) if len(seen) else (np.float32(0), np.float32(0))
        beyond = low - max(1, abs(low)) if left[position] else high + max(1, abs(high))
        values[np.isnan(values)] = beyond
    return table, column, left


def _share(max_samples: float | int | None, n: int) -> float:
    if max_samples is None:
        return 1.0
    return min(1.0, max_samples / n if isinstance(max_samples, int) else float(max_samples))


def _n_features(max_features: str | float | int | None, d: int) -> int:
    if max_features is None:
        return d
    if isinstance(max_features, str):
        return max(1, int(math.sqrt(d) if max_features == "sqrt" else math.log2(d)))
    return max_features if isinstance(max_features, int) else max(1, int(max_features * d))


def _count(wanted: float | int, n: int, least: int) -> int:
    return max(least, wanted if isinstance(wanted, int) else math.ceil(wanted * n))


def _refill(state: dict[str, Any], features: F32, labels: F64, weights: F64, missing: Any) -> None:
    """Put the training rows' own counts, weights and class fractions into one tree's nodes."""
    nodes = state["nodes"]
    counts, frauds, totals = fill_leaves(
        features,
        labels,
        weights,
        nodes["left_child"].astype(np.int32),
        nodes["right_child"].astype(np.int32),
        nodes["feature"].astype(np.int32),
        nodes["threshold"].copy(),
        nodes["missing_go_to_left"].astype(np.bool_),
    )
    share = frauds / totals
    state["values"] = np.ascontiguousarray(np.stack([1 - share, share], axis=1)[:, None, :])
    nodes["n_node_samples"] = counts
    nodes["weighted_n_node_samples"] = totals
    nodes["impurity"] = 2 * share * (1 - share)
    split = np.flatnonzero(nodes["left_child"] >= 0)
    # As scikit-learn does: where training saw no missing value, one goes where most rows went.
    never = split[~missing[nodes["feature"][split]]]
    left, right = nodes["left_child"][never], nodes["right_child"][never]
    nodes["missing_go_to_left"][never] = counts[left] > counts[right]


def _tree(state: dict[str, Any], n_features: int) -> Any:
    from sklearn.tree._tree import Tree

    tree = Tree(n_features, np.array([2], np.intp), 1)
    tree.__setstate__(state)
    return tree
