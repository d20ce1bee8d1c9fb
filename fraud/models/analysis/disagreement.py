"""Where two models disagree, and which of them is right there."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.models.analysis.intervals import wilson

F64 = NDArray[np.float64]
Alerts = NDArray[np.bool_]
MIN_DISAGREEMENTS = 10


def agreement_table(labels: F64, first: Alerts, second: Alerts) -> pd.DataFrame:
    """Return how many transactions both, one or neither model alerted on, and what share of them was fraud.

    Returns
    -------
    DataFrame of four rows, `who` in both, only_first, only_second, neither: `n`, `n_frauds`, `share`, and its
    Wilson interval `low`, `high` (NaN where there is nothing)
    """
    parts = {
        "both": first & second,
        "only_first": first & ~second,
        "only_second": ~first & second,
        "neither": ~first & ~second,
    }
    n = np.array([int(part.sum()) for part in parts.values()])
    n_frauds = np.array([int(labels[part].sum()) for part in parts.values()])
    share = np.where(n > 0, n_frauds / np.maximum(n, 1), np.nan)
    low, high = wilson(share, n)
    return pd.DataFrame(
        {"who": list(parts), "n": n, "n_frauds": n_frauds, "share": share, "low": low, "high": high}
    )


def who_is_right(labels: F64, first: Alerts, second: Alerts) -> pd.DataFrame:
    """Return, of the transactions that only one model alerted on, how often the first was right.

    Returns
    -------
    DataFrame of three rows, `among` in fraud, legitimate, all: `n`, `first_right`, `second_right`, `share`
    (of the first), its Wilson interval `low`, `high`, and `p_value` of McNemar's exact test that both are
    right equally often (1 where they never disagree)
    """
    from scipy.stats import binomtest

    differ, truth = first != second, labels == 1
    among = {"fraud": differ & truth, "legitimate": differ & ~truth, "all": differ}
    n = np.array([int(part.sum()) for part in among.values()])
    right = np.array([int((first == truth)[part].sum()) for part in among.values()])
    share = np.where(n > 0, right / np.maximum(n, 1), np.nan)
    low, high = wilson(share, n)
    return pd.DataFrame(
        {
            "among": list(among),
            "n": n,
            "first_right": right,
            "second_right": n - right,
            "share": share,
            "low": low,
            "high": high,
            "p_value": [float(binomtest(r, m).pvalue) if m else 1.0 for r, m in zip(right, n, strict=True)],
        }
    )


def disagreement_by(
    groups: pd.Categorical | Sequence[str], labels: F64, first: Alerts, second: Alerts
) -> pd.DataFrame:
    """Return the disagreements group by group; of fewer than `MIN_DISAGREEMENTS` no share is told.

    Returns
    -------
    DataFrame of the groups with any: `group`, `n`, `first_right`, `second_right`, `share`, `low`, `high`
    """
    categories = groups if isinstance(groups, pd.Categorical) else pd.Categorical(list(groups))
    differ = (first != second) & (categories.codes >= 0)
    code, size = categories.codes[differ].astype(np.intp), len(categories.categories)
    n = np.bincount(code, minlength=size)
    right = np.bincount(code, weights=(first == (labels == 1))[differ], minlength=size).astype(np.int64)
    told = n >= MIN_DISAGREEMENTS
    share = np.where(told, right / np.maximum(n, 1), np.nan)
    low, high = wilson(share, np.where(told, n, 0))
    table = pd.DataFrame(
        {
            "group": list(categories.categories),
            "n": n,
            "first_right": right,
            "second_right": n - right,
            "share": share,
            "low": low,
            "high": high,
        }
    )
    return table[n > 0].reset_index(drop=True)
