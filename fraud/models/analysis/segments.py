"""Errors by groups of transactions: kinds of fraud, amounts, hours, and any field of the profile."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Transactions
from fraud.errors import TableError
from fraud.models.analysis.held_out import HONEST_KINDS
from fraud.models.analysis.intervals import wilson

F64 = NDArray[np.float64]
MIN_FRAUDS = 10
"""Of fewer frauds no share is told: its interval would span most of what is possible."""
MIN_ALERTS = 10
_HOUR_MS = 3_600_000


def errors_by(groups: pd.Categorical | Sequence[str], labels: F64, alerts: NDArray[np.bool_]) -> pd.DataFrame:
    """Return what one model found, missed and raised for nothing, group by group.

    Shares have Wilson's 95% intervals; where a group is too small to tell (`MIN_FRAUDS`, `MIN_ALERTS`) the
    share is NaN and the counts stay. Transactions without a group are left out.

    Returns
    -------
    DataFrame in the groups' order: `group`, `n`, `n_frauds`, `n_alerts`, `n_missed`, `n_false_alarms`, and
    `recall`, `precision`, `false_alarm_rate` (of the legitimate ones), each with `_low` and `_high`
    """
    categories = groups if isinstance(groups, pd.Categorical) else pd.Categorical(list(groups))
    used = categories.codes >= 0
    code, size = categories.codes[used].astype(np.intp), len(categories.categories)

    def count(weight: NDArray[np.generic]) -> NDArray[np.int64]:
        return np.bincount(code, weights=weight[used].astype(np.float64), minlength=size).astype(np.int64)

    fraud = labels == 1
    n, n_frauds, n_alerts = count(np.ones(len(labels))), count(fraud), count(alerts)
    hits = count(fraud & alerts)
    table = pd.DataFrame(
        {
            "group": list(categories.categories),
            "n": n,
            "n_frauds": n_frauds,
            "n_alerts": n_alerts,
            "n_missed": n_frauds - hits,
            "n_false_alarms": n_alerts - hits,
        }
    )
    shares = {
        "recall": (hits, n_frauds, MIN_FRAUDS),
        "precision": (hits, n_alerts, MIN_ALERTS),
        "false_alarm_rate": (n_alerts - hits, n - n_frauds, MIN_ALERTS),
    }
    for name, (part, whole, least) in shares.items():
        told = whole >= least
        share = np.where(told, part / np.maximum(whole, 1), np.nan)
        table[name] = share
        table[f"{name}_low"], table[f"{name}_high"] = wilson(share, np.where(told, whole, 0))
    return table[n > 0].reset_index(drop=True)


def bands(values: F64, edges: Sequence[float]) -> "pd.Categorical[Any]":
    """Return which band between rising `edges` each value lies in; a lower edge belongs to its band.

    Missing values have no band. Names are "< 10", "10 to 50", ">= 50".
    """
    rising = [f"{edge:g}" for edge in edges]
    names = [f"< {rising[0]}", *(f"{a} to {b}" for a, b in pairwise(rising))]
    names.append(f">= {rising[-1]}")
    codes = np.searchsorted(np.asarray(edges, np.float64), values, side="right")
    return _coded(np.where(np.isnan(values), -1, codes), names)


def round_edges(values: F64) -> tuple[float, ...]:
    """Return 1, 2 or 5 times powers of ten near quantiles of the known values, closer in the upper tail."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (1.0,)
    wanted = np.quantile(known, (0.15, 0.35, 0.55, 0.75, 0.9, 0.97))
    rounded = {_round_number(float(edge)) for edge in wanted if edge > 0}
    return tuple(sorted(rounded)) or (1.0,)


def _round_number(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(value))
    return float(min((1, 2, 5, 10), key=lambda step: abs(np.log(value / (step * power)))) * power)


def groups_of(transactions: Transactions, profile: Profile, by: str) -> "pd.Categorical[Any]":
    """Return each transaction's group.

    Parameters
    ----------
    by : "typology" (frauds only), "hour" (UTC, bands of four hours), or a column of the profile: a category's
        levels, a number in bands

    Raises
    ------
    TableError
        The table has nothing of that name to group by.
    """
    if by == "typology" and transactions.typology is not None:
        return kinds_of(transactions.typology, transactions.labels)
    if by == "hour" and transactions.time_ms is not None:
        return hours_of(transactions.time_ms)
    if by in transactions.texts:
        column = transactions.texts[by]
        return _coded(column.codes, column.values)
    if by in transactions.numbers:
        field, values = profile.by_column.get(by), transactions.numbers[by]
        if field is not None and field.kind == "boolean":
            return _coded(np.where(np.isnan(values), -1, values), ("no", "yes"))
        return bands(values, round_edges(values))
    raise TableError(
        f'There is no "{by}" to group transactions by; name a column of the profile "{profile.name}".',
        code="column",
        field=by,
    )


def kinds_of(typology: NDArray[np.object_], labels: F64) -> "pd.Categorical[Any]":
    """Return the frauds' kinds; legitimate transactions have none."""
    named = [
        kind if y == 1 and kind not in HONEST_KINDS else None
        for kind, y in zip(typology, labels, strict=True)
    ]
    return pd.Categorical(pd.Series(named, dtype=object))


def hours_of(time_ms: NDArray[np.int64], width: int = 4) -> "pd.Categorical[Any]":
    """Return the hour of the day, UTC, in bands of `width` hours."""
    names = [f"{start:02d}-{start + width:02d} h" for start in range(0, 24, width)]
    return _coded(time_ms % DAY_MS // (_HOUR_MS * width), names)


def _coded(codes: NDArray[Any], names: Sequence[str]) -> "pd.Categorical[Any]":
    return pd.Categorical.from_codes(codes.astype(np.int64), pd.Index(list(names), dtype=str))
