"""What the models rest on, in two ways: what is lost without it, and what it moves.

Permutation importance asks how much average precision falls when a group of features is shuffled among the
transactions (Breiman, "Random forests", 2001); SHAP importance how far the group moves the score on average.
Features that tell the same story are shuffled together: alone, each would be covered for by the others.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import HistoryAggregate, Profile
from fraud.features.history import history_names
from fraud.models.evaluate import Ranking

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Groups = Mapping[str, Sequence[int]]
"""Name -> positions of its columns in the feature matrix."""
LABEL_FUNCTIONS = frozenset({"fraud_rate", "n_frauds", "risk"})
"""What history says of labels, rather than of amounts and times."""
KNOWN_FRAUDS = "known_frauds"
N_EACH = 500
"""Frauds, and legitimate transactions, that a release's own importance is taken over, at most."""


def feature_groups(profile: Profile, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the features that belong together, in the order of the matrix.

    Each field, calendar feature and distance stands alone; of history, everything by the same columns is one
    group ("card_id", "card_id+category"), and what it says of known frauds another
    ("card_id:known_frauds").
    """
    group_of = {name: name for name in names}
    for aggregate in profile.features.history:
        by = "+".join(aggregate.by)
        for name in history_names(aggregate):
            group_of[name] = by
        for name in history_names(_labels_only(aggregate)):
            group_of[name] = f"{by}:{KNOWN_FRAUDS}"
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(group_of[name], []).append(position)
    return {name: tuple(positions) for name, positions in groups.items()}


def _labels_only(aggregate: HistoryAggregate) -> HistoryAggregate:
    functions = tuple(f for f in aggregate.functions if f in LABEL_FUNCTIONS)
    windows = aggregate.windows if functions else ()
    return aggregate.model_copy(update={"functions": functions, "windows": windows, "last": ()})


def sample_rows(
    labels: F64, scores: F64, n_highest: int, n_others: int, seed: int
) -> tuple[NDArray[np.intp], F64]:
    """Return (positions, weights) of rows that stand for all of them when average precision is estimated.

    All frauds and the legitimate rows of the highest scores are in it for themselves, since false alarms are
    among those; of the other rows a random sample, weighted to stand for the rest.
    """
    legitimate = np.flatnonzero(labels == 0)
    ranked = legitimate[np.argsort(-scores[legitimate], kind="stable")]
    rest = ranked[n_highest:]
    n = min(n_others, len(rest))
    chosen = np.random.default_rng(seed).choice(rest, n, replace=False)
    weights = np.ones(len(labels))
    weights[chosen] = len(rest) / max(n, 1)
    rows = np.sort(np.concatenate([np.flatnonzero(labels == 1), ranked[:n_highest], chosen]))
    return rows, weights[rows]


def permutation_importance(
    predict: Callable[[F32], F64],
    features: F32,
    labels: F64,
    groups: Groups,
    *,
    weights: F64 | None = None,
    n_repeats: int = 5,
    n_draws: int = 40,
    seed: int = 7,
) -> pd.DataFrame:
    """Return how much average precision falls when each group's columns are shuffled together.

    The interval is of two chances: which shuffle, and which transactions there were (paired Poisson
    bootstrap, `n_draws` for each of `n_repeats` shuffles, of which it takes the 2.5% and 97.5% quantiles).

    Parameters
    ----------
    predict : features [n, d] -> scores [n]
    weights : float64 [n], how many transactions each row stands for; None: one

    Returns
    -------
    DataFrame in the groups' order: `group`, `drop`, `low`, `high`
    """
    rng = np.random.default_rng(seed)
    base_weight = np.ones(len(labels)) if weights is None else weights
    draws = [base_weight * rng.poisson(1.0, len(labels)) for _ in range(n_draws)]
    untouched = Ranking.of(labels, predict(features))
    before = untouched.auc_and_ap(base_weight)[1]
    drawn_before = np.array([untouched.auc_and_ap(weight)[1] for weight in draws])
    rows = []
    for group, columns in groups.items():
        drops, spread = [], []
        for _ in range(n_repeats):
            shuffled = features.copy()
            shuffled[:, columns] = features[rng.permutation(len(features))][:, columns]
            ranking = Ranking.of(labels, predict(shuffled))
            drops.append(before - ranking.auc_and_ap(base_weight)[1])
            spread.append(drawn_before - np.array([ranking.auc_and_ap(weight)[1] for weight in draws]))
        low, high = np.nanquantile(np.concatenate(spread), [0.025, 0.975])
        rows.append((group, float(np.mean(drops)), float(low), float(high)))
    return pd.DataFrame(rows, columns=["group", "drop", "low", "high"])


def mean_size(
    contributions: F64, n_draws: int, rng: np.random.Generator, weights: F64 | None = None
) -> tuple[F64, F64, F64]:
    """Return mean |contribution| of each column and its 95% bootstrap limits over rows.

    Parameters
    ----------
    contributions : float64 [n, d]
    weights : float64 [n], how many transactions each row stands for; None: one
    """
    size = np.abs(contributions)
    draws = rng.integers(0, len(size), (n_draws, len(size)))
    if weights is None:
        mean = size.mean(axis=0)
        spread = np.array([size[draw].mean(axis=0) for draw in draws])
    else:
        mean = np.average(size, axis=0, weights=weights)
        spread = np.array([np.average(size[draw], axis=0, weights=weights[draw]) for draw in draws])
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    return mean, low, high


def shap_importance(
    contributions: F64, groups: Groups, n_draws: int = 200, seed: int = 7, weights: F64 | None = None
) -> pd.DataFrame:
    """Return how far each group moves the raw score on average: the mean of |sum of its contributions|.

    Shapley values add up, so a group's is the sum of its columns' for each transaction.

    Parameters
    ----------
    contributions : float64 [n, d], of `PackedForest.contributions`
    weights : float64 [n], of `sample_rows`; None: each row stands for one transaction. Beside permutation
        importance it must be the same sample's, or the two speak of different populations

    Returns
    -------
    DataFrame in the groups' order: `group`, `size`, `low`, `high`, in the unit of the raw score
    """
    summed = np.column_stack([contributions[:, list(columns)].sum(axis=1) for columns in groups.values()])
    size, low, high = mean_size(summed, n_draws, np.random.default_rng(seed), weights)
    return pd.DataFrame({"group": list(groups), "size": size, "low": low, "high": high})


def side_by_side(permutation: pd.DataFrame, shap: pd.DataFrame) -> pd.DataFrame:
    """Return both importances of one model, what loses most first.

    Returns
    -------
    DataFrame: `group`, `drop`, `drop_low`, `drop_high`, `drop_rank`, `size`, `size_low`, `size_high`,
    `size_rank`; ranks from 1
    """
    left = permutation.rename(columns={"low": "drop_low", "high": "drop_high"})
    right = shap.rename(columns={"low": "size_low", "high": "size_high"})
    table = left.merge(right, on="group", validate="one_to_one")
    for name in ("drop", "size"):
        table[f"{name}_rank"] = table[name].rank(ascending=False, method="min").astype(int)
    return table.sort_values("drop", ascending=False, ignore_index=True)
