"""Slices of transactions, by the categories that a profile lists: where a local attack would show."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.feedback.caps import BaseFrauds
from fraud.models.split import Split


def slice_columns(profile: Profile) -> tuple[str, ...]:
    """Return the categories whose levels the profile lists; of open ones an attacker could name a new one."""
    return tuple(f.column for f in profile.fields if f.kind == "category" and not f.open_levels)


def slice_names(profile: Profile, transaction: Mapping[str, object]) -> tuple[str, ...]:
    """Return the slices that a transaction lies in: each listed category, and each pair of them."""
    parts = [f"{column}={transaction.get(column)}" for column in slice_columns(profile)]
    return (*parts, *(f"{a} and {b}" for a, b in combinations(parts, 2)))


def base_frauds(base: Transactions, plan: Split, profile: Profile) -> BaseFrauds:
    """Return the training rows and the frauds among them, in all and by slice."""
    frauds = plan.train[base.labels[plan.train] == 1]
    return BaseFrauds(
        n=len(frauds),
        by_slice=_counts(base, frauds, profile),
        n_rows=len(plan.train),
        rows_by_slice=_counts(base, plan.train, profile),
        slices_of=lambda prediction: slice_names(profile, prediction.transaction),
    )


def _counts(base: Transactions, rows: NDArray[np.intp], profile: Profile) -> Counter[str]:
    """Return slice -> how many of the rows lie in it."""
    columns = slice_columns(profile)
    if not columns:
        return Counter()
    codes = np.stack([base.texts[name].codes[rows] for name in columns], axis=1)
    kinds, n = np.unique(codes, axis=0, return_counts=True)
    counts: Counter[str] = Counter()
    for kind, times in zip(kinds.tolist(), n.tolist(), strict=True):
        values = [
            None if c < 0 else base.texts[name].values[c] for name, c in zip(columns, kind, strict=True)
        ]
        for part in slice_names(profile, dict(zip(columns, values, strict=True))):
            counts[part] += times
    return counts


def held_out_slices(test: Transactions, profile: Profile) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of each slice: the profile's categories, each pair of them, and bands of amounts.

    Bands are quarters of the frauds by their amount, because a slice without frauds could not be judged.
    """
    parts: list[dict[str, NDArray[np.bool_]]] = []
    for column in slice_columns(profile):
        coded = test.texts[column]
        levels = {f"{column}={value}": coded.codes == code for code, value in enumerate(coded.values)}
        parts.append({name: rows for name, rows in levels.items() if rows.any()})
    slices = {name: rows for part in parts for name, rows in part.items()}
    for first, second in combinations(parts, 2):
        for (a, rows_a), (b, rows_b) in product(first.items(), second.items()):
            both = rows_a & rows_b
            if both.any():
                slices[f"{a} and {b}"] = both
    return slices | _amount_bands(test, profile)


def _amount_bands(test: Transactions, profile: Profile) -> dict[str, NDArray[np.bool_]]:
    column = profile.columns.amount
    if column is None:
        return {}
    amount = test.numbers[column]
    frauds = amount[(test.labels == 1) & ~np.isnan(amount)]
    if not len(frauds):
        return {}
    edges = np.unique(np.quantile(frauds, [0.25, 0.5, 0.75]))
    band = np.searchsorted(edges, amount, side="right")
    names = [f"{column} below {edges[0]:g}"]
    names += [f"{column} {low:g} to {high:g}" for low, high in pairwise(edges)]
    names += [f"{column} {edges[-1]:g} or more"]
    known = ~np.isnan(amount)
    return {name: known & (band == position) for position, name in enumerate(names)}
