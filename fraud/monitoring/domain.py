"""Whether a model can tell two stretches of the prediction log apart, and by which columns.

It sees what column by column comparisons cannot: a change of how columns go together. A bundle holds no rows,
so the log is compared with itself: the first weeks of a version against now.

What keeps the figure honest: both stretches are given the same calendar (as many rows of each three hours of
working days and of weekends); a card's rows are all in one fold, so that none is recognised; the variance of
the AUC is that of clusters (Obuchowski 1997), of cards or of days, whichever is larger. Under no drift the
AUC is 0.5; columns that change by themselves, as a card's age does, drive it apart too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fraud.data.profile import DAY_MS, Profile
from fraud.data.sketch import calendar_cells
from fraud.data.table import Transactions, concatenate
from fraud.monitoring.drift_records import Reason, Verdict
from fraud.monitoring.observations import Observations

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
N_ROWS = 20_000
"""Rows of each stretch that are looked at."""
LEAST_ROWS = 500
LEAST_CLUSTERS = 20
LEAST_DAYS = 3
N_FOLDS = 3
MIN_AUC = 0.55
"""The least AUC that counts: one normal column shifted by 0.18 standard deviations."""
MIN_DROP = 0.005
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Driver:
    """A column by which the stretches differ: how much AUC is lost when it is shuffled, with its error."""

    column: str
    drop: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class DomainReport:
    """The classifier's verdict.

    Attributes
    ----------
    auc, low, high : cross-fitted AUC of "now" against "then", and its 95% interval
    p_value : one-sided, of an AUC of 0.5
    drivers : the columns that drive it, strongest first; of columns that say the same, each hides the other
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    n_earlier: int
    n_current: int
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    drivers: tuple[Driver, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self) | {"reasons": [reason.to_json() for reason in self.reasons]}


def first_stretch(log: Observations, version: str, before_ms: int, days: int = 14) -> Observations:
    """Return a version's predictions of its first `days` days, as far as they lie before the window."""
    codes = [i for i, value in enumerate(log.version.values) if value == version]
    mine = np.flatnonzero(np.isin(log.version.codes, codes))
    if len(mine) == 0:
        return log.take(mine)
    end = min(int(log.predicted_ms[mine[0]]) + days * DAY_MS, before_ms)
    return log.take(mine[log.predicted_ms[mine] < end])


def compare_stretches(
    earlier: Transactions, current: Transactions, profile: Profile, *, seed: int = 7
) -> DomainReport:
    """Train a classifier to tell two stretches apart, and judge how well it can.

    Parameters
    ----------
    earlier : what was scored while all was well; empty where the log does not reach back
    """
    sizes = len(earlier), len(current)
    if min(sizes) == 0:
        return _insufficient("no_earlier_stretch" if sizes[0] == 0 else "no_rows", sizes)
    rng = np.random.default_rng(seed)
    then, now = _same_calendar(earlier, current, rng)
    if len(then) < LEAST_ROWS:
        return _insufficient("too_few_rows_at_the_same_hours", (len(then), len(now)))
    data = _Data.of(earlier.take(then), current.take(now), profile, rng)
    for clusters in data.clusters:
        if len(np.unique(clusters)) < LEAST_CLUSTERS and clusters is data.clusters[0]:
            return _insufficient("too_few_entities", (len(then), len(now)))
    if min(data.days_each) < LEAST_DAYS:
        return _insufficient("too_few_days", (len(then), len(now)))
    return _judge(data, rng, (len(then), len(now)))


def _insufficient(code: str, sizes: tuple[int, int]) -> DomainReport:
    figures = {"n_earlier": sizes[0], "n_current": sizes[1], "minimum": LEAST_ROWS}
    return DomainReport("insufficient evidence", (Reason(code, figures),), *sizes)


def _same_calendar(
    earlier: Transactions, current: Transactions, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return equally many rows of both stretches from every calendar cell."""
    timed = earlier.time_ms is not None and current.time_ms is not None
    cells = [calendar_cells(t.time_ms if timed else None, len(t)) for t in (earlier, current)]
    chosen: list[list[Rows]] = [[], []]
    available = sum(min(int((cells[0] == c).sum()), int((cells[1] == c).sum())) for c in np.unique(cells[1]))
    share = min(1.0, N_ROWS / max(available, 1))
    for cell in np.unique(cells[1]):
        rows = [np.flatnonzero(part == cell) for part in cells]
        size = int(min(len(rows[0]), len(rows[1])) * share)
        for side in (0, 1):
            chosen[side].append(rng.choice(rows[side], size, replace=False))
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))


@dataclass(frozen=True)
class _Data:
    """Rows of both stretches: float64 [n, columns], which stretch, which fold, which clusters."""

    names: Sequence[str]
    features: Floats
    is_current: NDArray[np.bool_]
    folds: NDArray[np.intp]
    clusters: tuple[NDArray[np.int64], ...]
    days_each: tuple[int, ...]

    @classmethod
    def of(cls, then: Transactions, now: Transactions, profile: Profile, rng: np.random.Generator) -> "_Data":
        is_current = np.repeat([False, True], [len(then), len(now)])
        both = concatenate([_untimed(then), _untimed(now)])
        columns = [_feature(both, f.column, f.kind == "category") for f in profile.fields]
        card = np.arange(len(both))
        if profile.main_entity is not None:
            codes = both.texts[profile.main_entity.column].codes.astype(np.int64)
            card = np.where(codes >= 0, codes, len(both) + card)
        _, card = np.unique(card, return_inverse=True)
        clusters, days_each = [card.astype(np.int64)], [LEAST_DAYS]
        if then.time_ms is not None and now.time_ms is not None:
            days = [then.time_ms // DAY_MS, now.time_ms // DAY_MS]
            clusters.append(np.concatenate(days))
            days_each = [len(np.unique(d)) for d in days]
        return cls(
            [f.column for f in profile.fields],
            np.column_stack(columns),
            is_current,
            rng.integers(0, N_FOLDS, int(card.max()) + 1)[card],
            tuple(clusters),
            tuple(days_each),
        )


def _untimed(table: Transactions) -> Transactions:
    """Return a table that `concatenate` leaves in its order."""
    return replace(table, time_ms=None)


def _feature(table: Transactions, name: str, category: bool) -> Floats:
    """Return a column as a number; a level is its rank by frequency."""
    if not category:
        return table.numbers[name]
    column = table.texts[name]
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    rank = np.full(len(counts) + 1, np.nan)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank[column.codes]


def _judge(data: _Data, rng: np.random.Generator, sizes: tuple[int, int]) -> DomainReport:
    models = [_fit(data, fold) for fold in range(N_FOLDS)]
    scores = _scores(models, data, data.features)
    auc, influence = _auc(scores, data)
    error = _standard_error(influence, data)
    degrees = max(min(len(np.unique(c)) for c in data.clusters) - 2, 1)
    reach = float(stats.t.ppf(0.975, degrees)) * error
    p_value = float(stats.t.sf((auc - 0.5) / max(error, 1e-12), degrees))
    apart = p_value <= LEVEL and auc >= MIN_AUC
    figures = {"auc": auc, "minimum": MIN_AUC, "p_value": p_value}
    return DomainReport(
        "drift" if apart else "ok",
        (Reason("stretches_differ" if apart else "stretches_alike", figures),),
        *sizes,
        auc=auc,
        low=max(auc - reach, 0.0),
        high=min(auc + reach, 1.0),
        p_value=p_value,
        drivers=_drivers(models, data, auc, influence, rng) if apart else (),
    )


def _fit(data: _Data, fold: int) -> Any:
    from xgboost import XGBClassifier

    # One thread: on a machine that serves as well, waiting for each other costs threads more than they save.
    model = XGBClassifier(
        n_estimators=60, max_depth=4, learning_rate=0.1, min_child_weight=20, tree_method="hist", n_jobs=1
    )
    rows = data.folds != fold
    return model.fit(data.features[rows], data.is_current[rows])


def _scores(models: Sequence[Any], data: _Data, features: Floats) -> Floats:
    scores = np.empty(len(features))
    for fold, model in enumerate(models):
        rows = data.folds == fold
        scores[rows] = model.predict(features[rows], output_margin=True)
    return scores


def _auc(scores: Floats, data: _Data) -> tuple[float, Floats]:
    """Return the AUC averaged over folds, and each row's influence on it (they sum to 0)."""
    auc, influence = 0.0, np.zeros(len(scores))
    for fold in range(N_FOLDS):
        rows = np.flatnonzero(data.folds == fold)
        weight = len(rows) / len(scores)
        now, then = rows[data.is_current[rows]], rows[~data.is_current[rows]]
        above = _share_below(scores[now], scores[then])
        below = 1 - _share_below(scores[then], scores[now])
        here = float(above.mean())
        auc += weight * here
        influence[now] = weight * (above - here) / len(now)
        influence[then] = weight * (below - here) / len(then)
    return auc, influence


def _share_below(values: Floats, others: Floats) -> Floats:
    """Return for each value the share of others below it, ties counted half."""
    ordered = np.sort(others)
    left, right = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    share: Floats = (left + right) / (2 * len(others))
    return share


def _standard_error(influence: Floats, data: _Data) -> float:
    """Return the larger one of the errors clustered by card and by day."""
    worst = 0.0
    for clusters in data.clusters:
        _, place = np.unique(clusters, return_inverse=True)
        sums = np.bincount(place, influence)
        worst = max(worst, float((sums**2).sum()) * len(sums) / max(len(sums) - 1, 1))
    return float(np.sqrt(worst))


def _drivers(
    models: Sequence[Any], data: _Data, auc: float, influence: Floats, rng: np.random.Generator
) -> tuple[Driver, ...]:
    """Shuffle each column of rows that its model has not seen; keep those whose loss is beyond chance."""
    found = []
    for i, name in enumerate(data.names):
        features = data.features.copy()
        features[:, i] = rng.permutation(features[:, i])
        without, changed = _auc(_scores(models, data, features), data)
        drop, error = auc - without, _standard_error(influence - changed, data)
        if drop >= MIN_DROP and drop > 1.645 * error:
            found.append(Driver(name, drop, error))
    return tuple(sorted(found, key=lambda driver: -driver.drop))
