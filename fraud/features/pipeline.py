"""The one transformer from transactions to the float32 matrix that both models see."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Coded, Transactions
from fraud.errors import BundleRefused, ProfileError
from fraud.features import kernels
from fraud.features.history import History, history_names

F64 = NDArray[np.float64]
UNSEEN = -1.0
"""The code of a level that training never saw; a missing one is NaN."""
_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class FeaturePipeline:
    """A fitted transformer: the profile, and the levels of each category in the order of their risk.

    A level's code is its rank by smoothed training fraud rate, so that one split separates the risky levels
    from the others; at few levels per column and many rows per level that leaks nothing measurable.
    """

    profile: Profile
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, profile: Profile, transactions: Transactions) -> "FeaturePipeline":
        """Learn the order of the levels from the labelled rows of `transactions`."""
        names = category_columns(profile)
        return cls.from_counts(profile, {name: level_counts(transactions, name) for name in names})

    @classmethod
    def from_counts(cls, profile: Profile, counts: "Mapping[str, LevelCounts]") -> "FeaturePipeline":
        """Learn what `fit` does from counts of `level_counts`, one for each of `category_columns`."""
        pipeline = cls(profile, {name: _by_risk(counts[name]) for name in category_columns(profile)})
        repeated = [name for name in pipeline.names if pipeline.names.count(name) > 1]
        if repeated:
            raise ProfileError(
                f'Two features of the profile "{profile.name}" are called "{repeated[0]}"; rename the column '
                "or drop one of them.",
                code="profile",
            )
        if not pipeline.names:
            raise ProfileError(
                f'The profile "{profile.name}" yields no feature that a model could learn from; '
                "set feature = true on a field, or declare [features].",
                code="profile",
            )
        return pipeline

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names, in the order of the matrix's columns."""
        profile = self.profile
        names = [f.column for f in profile.fields if f.feature and f.kind != "date"]
        names += list(profile.features.calendar)
        names += [d.name for d in profile.features.distances] + [a.name for a in profile.features.ages]
        return tuple(names + [n for aggregate in profile.features.history for n in history_names(aggregate)])

    def transform(self, transactions: Transactions, history: History | None = None) -> NDArray[np.float32]:
        """Return the feature matrix, float32 [n, d].

        Parameters
        ----------
        transactions : n transactions; each sees only what is before it in `history`
        history : the past; by default the transactions themselves
        """
        profile = self.profile
        columns: dict[str, F64] = {}
        for field in profile.fields:
            if not field.feature or field.kind == "date":
                continue
            if field.kind == "category":
                columns[field.column] = _codes(transactions.texts[field.column], self.levels[field.column])
            else:
                columns[field.column] = transactions.numbers[field.column]
        columns |= _calendar(transactions, profile)
        columns |= _derived(transactions, profile)
        if profile.features.history:
            past = history if history is not None else History.of(transactions, profile)
            columns |= past.features(transactions)
        matrix = np.empty((len(transactions), len(self.names)), np.float32)
        for position, name in enumerate(self.names):
            matrix[:, position] = columns[name]
        return matrix

    def recode(self, matrix: NDArray[np.float32], transactions: Transactions) -> NDArray[np.float32]:
        """Return a matrix that another pipeline of the same profile made, with this one's level codes.

        The matrix is changed in place where it owns its memory: take the rows first.
        """
        names = self.names
        for name, levels in self.levels.items():
            matrix[:, names.index(name)] = _codes(transactions.texts[name], levels)
        return matrix

    def to_json(self) -> dict[str, object]:
        """Return what `from_json` needs beside the profile."""
        return {"schema_version": 1, "features": list(self.names), "levels": dict(self.levels)}

    @classmethod
    def from_json(cls, document: Mapping[str, object], profile: Profile) -> "FeaturePipeline":
        """Rebuild a pipeline; BundleRefused if its features are not those that the profile now yields."""
        levels = document.get("levels")
        if not isinstance(levels, dict):
            raise BundleRefused("features.json: levels is missing; train again.", code="features")
        pipeline = cls(profile, {name: tuple(map(str, values)) for name, values in levels.items()})
        expected = set(category_columns(profile))
        if document.get("features") != list(pipeline.names) or set(pipeline.levels) != expected:
            raise BundleRefused(
                "features.json lists other features than the bundle's profile yields; train again.",
                code="features",
            )
        return pipeline


LevelCounts = Mapping[str, tuple[int, int]]
"""Level -> labelled rows, and frauds among them; levels that occur."""


def category_columns(profile: Profile) -> tuple[str, ...]:
    """Return the categories that are features."""
    return tuple(f.column for f in profile.fields if f.kind == "category" and f.feature)


def level_counts(transactions: Transactions, name: str) -> LevelCounts:
    """Return a category's counts; those of parts of a table add up to those of the whole."""
    column = transactions.texts[name]
    used = (column.codes >= 0) & ~np.isnan(transactions.labels)
    codes = column.codes[used]
    count = np.bincount(codes, minlength=len(column.values)).tolist()
    frauds = np.bincount(codes, weights=transactions.labels[used], minlength=len(column.values)).tolist()
    found = zip(column.values, count, frauds, strict=True)
    return {level: (n, int(n_frauds)) for level, n, n_frauds in found if n > 0}


def _by_risk(counts: LevelCounts) -> tuple[str, ...]:
    n_rows = sum(n for n, _ in counts.values())
    base = sum(frauds for _, frauds in counts.values()) / n_rows if n_rows else 0.0
    # Twenty rows of the base rate: rare levels stay average.
    smoothed = {level: (frauds + 20 * base) / (n + 20) for level, (n, frauds) in counts.items()}
    return tuple(sorted(counts, key=lambda level: (smoothed[level], level)))


def _codes(column: Coded, levels: tuple[str, ...]) -> F64:
    rank = {level: float(i) for i, level in enumerate(levels)}
    lookup = np.array([rank.get(value, UNSEEN) for value in column.values] + [np.nan])
    return lookup[column.codes]


def _calendar(transactions: Transactions, profile: Profile) -> dict[str, F64]:
    wanted = profile.features.calendar
    if not wanted:
        return {}
    time_ms = transactions.times()
    hour = (time_ms % DAY_MS) / 3_600_000
    weekday = (time_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    values = {
        "hour": hour,
        "weekday": weekday.astype(np.float64),
        "weekend": (weekday >= 5).astype(np.float64),
        "night": (hour < 7).astype(np.float64),
    }
    return {name: values[name] for name in wanted}


def _derived(transactions: Transactions, profile: Profile) -> dict[str, F64]:
    numbers = transactions.numbers
    columns: dict[str, F64] = {}
    for distance in profile.features.distances:
        ends = [numbers[name] for name in (*distance.origin, *distance.destination)]
        columns[distance.name] = kernels.kilometres(*ends)
    for age in profile.features.ages:
        columns[age.name] = (transactions.times() / DAY_MS - numbers[age.since]) / _DAYS_PER_YEAR
    return columns
