"""Slices of transactions, by the categories that a profile lists: where a local attack would show."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.feedback.trust import BaseFrauds
from fraud.models.split import Split


def slice_columns(profile: Profile) -> tuple[str, ...]:
    """Return the categories whose levels the profile lists; of open ones an attacker could name a new one."""
    return tuple(f.column for f in profile.fields if f.kind == "category" and not f.open_levels)


def slice_names(profile: Profile, transaction: Mapping[str, object]) -> tuple[str, ...]:
    """Return the slices that a transaction lies in: each listed category, and each pair of them."""
    parts = [f"{column}={transaction.get(column)}" for column in slice_columns(profile)]
    return (*parts, *(f"{a} and {b}" for a, b in combinations(parts, 2)))


def base_frauds(base: Transactions, plan: Split, profile: Profile) -> BaseFrauds:
    """Return the frauds of the training rows, in all and by slice."""
    rows = plan.train[base.labels[plan.train] == 1]
    columns = slice_columns(profile)
    texts = {name: np.array([*base.texts[name].values, None], dtype=object) for name in columns}
    values = {name: texts[name][base.texts[name].codes[rows]].tolist() for name in columns}
    counts: Counter[str] = Counter()
    for i in range(len(rows)):
        counts.update(slice_names(profile, {name: values[name][i] for name in columns}))
    return BaseFrauds(len(rows), counts, lambda prediction: slice_names(profile, prediction.transaction))
