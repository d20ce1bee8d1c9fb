"""Turning fitted models of scikit-learn and XGBoost into packed forests; neither library is imported here."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraud.models.engine import LEAF, MAX_FEATURES, PackedForest, require


def pack_random_forest(estimator: Any) -> PackedForest:
    """Pack a fitted binary `sklearn.ensemble.RandomForestClassifier`.

    The thresholds become the largest float32 not above the original: the library compares float32 inputs with
    a float64 threshold, and no float32 lies between the two.
    """
    require(getattr(estimator, "n_outputs_", 0) == 1, "only a forest with one output can be packed")
    require(list(estimator.classes_) == [0, 1], "the classes must be 0 and 1")
    trees = []
    for member in estimator.estimators_:
        tree = member.tree_
        weights = tree.value[:, 0, :]
        trees.append(
            _preorder(
                tree.children_left,
                tree.children_right,
                feature=tree.feature,
                threshold=_largest_float32_not_above(tree.threshold),
                output=weights[:, 1] / weights.sum(axis=1),
                missing_left=tree.missing_go_to_left,
                cover=tree.weighted_n_node_samples,
            )
        )
    return _join(trees, base=0.0, scale="probability", n_features=int(estimator.n_features_in_))


def pack_xgboost(estimator: Any) -> PackedForest:
    """Pack a fitted binary `xgboost.XGBClassifier`, up to its best iteration if it stopped early.

    XGBoost goes left if `x < threshold`; the next float32 below makes that `x <= threshold`.
    """
    booster = estimator.get_booster()
    missing = getattr(estimator, "missing", math.nan)
    require(missing is None or math.isnan(missing), f"missing values must be NaN, not {missing}")
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    parameters = learner["learner_model_param"]
    objective = learner["objective"]["name"]
    require(objective == "binary:logistic", f"the objective is {objective}, not binary:logistic")
    model = learner["gradient_booster"]
    require(model["name"] == "gbtree", f"the booster is {model['name']}, not gbtree")
    members = model["model"]["trees"]
    best = learner["attributes"].get("best_iteration")
    if best is not None:
        per_round = int(model["model"]["gbtree_model_param"]["num_parallel_tree"] or 1)
        members = members[: (int(best) + 1) * per_round]
    base = float(parameters["base_score"].strip("[]"))  # a probability; in brackets since XGBoost 3.1
    require(0 < base < 1, f"base_score {base} is not a probability between 0 and 1")
    return _join(
        [_xgboost_tree(member) for member in members],
        base=math.log(base / (1 - base)),
        scale="log_odds",
        n_features=int(parameters["num_feature"]),
    )


def _xgboost_tree(tree: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    require(not any(tree["split_type"]), "categorical splits cannot be packed, use numeric codes")
    conditions = np.array(tree["split_conditions"], np.float32)
    return _preorder(
        np.array(tree["left_children"]),
        np.array(tree["right_children"]),
        feature=np.array(tree["split_indices"]),
        threshold=np.nextafter(conditions, np.float32(-np.inf)),
        output=conditions,
        missing_left=np.array(tree["default_left"]),
        cover=np.array(tree["sum_hessian"]),
    )


def _largest_float32_not_above(values: NDArray[np.float64]) -> NDArray[np.float32]:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _preorder(
    left: NDArray[Any],
    right: NDArray[Any],
    *,
    feature: NDArray[Any],
    threshold: NDArray[np.float32],
    output: NDArray[Any],
    missing_left: NDArray[Any],
    cover: NDArray[Any],
) -> dict[str, NDArray[Any]]:
    """Return one tree's arrays in preorder; pruned nodes, which nothing points to, disappear."""
    lefts, rights = left.tolist(), right.tolist()
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if lefts[node] >= 0:
            waiting += (rights[node], lefts[node])
    leaf = left[order] < 0
    return {
        "split": np.where(leaf, output[order], threshold[order]).astype(np.float32),
        "feature": np.where(leaf, LEAF, feature[order]),
        "missing_left": missing_left[order].astype(np.bool_) & ~leaf,
        "cover": cover[order].astype(np.float32),
    }


def _join(
    trees: list[dict[str, NDArray[Any]]],
    *,
    base: float,
    scale: Literal["probability", "log_odds"],
    n_features: int,
) -> PackedForest:
    require(bool(trees), "there are no trees")
    require(n_features <= MAX_FEATURES, f"{n_features} features, at most {MAX_FEATURES} can be packed")
    joined = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
    joined["feature"] = joined["feature"].astype(np.int16)
    sizes = [tree["feature"].size for tree in trees]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return PackedForest(**joined, offsets=offsets, base=base, scale=scale, n_features=n_features)
