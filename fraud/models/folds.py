"""Time-ordered validation before the test window: folds, what a model scores on them, learning curves.

Every fold repeats the profile's evaluation plan earlier in time (prequential validation): train, wait for the
labels, validate on what comes next. No fold reaches into the test window, nor into the label delay before it,
and folds are judged by labels as they stood when the test window began, so whatever is chosen here could have
been chosen on that day.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, ModelSettings, Profile, TimeEvaluation
from fraud.data.table import Transactions
from fraud.errors import TableError
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.estimators import TrainingRows
from fraud.models.evaluate import Ranking, card_precision
from fraud.models.fitting import Parts, fit_model, score
from fraud.models.split import Rows, Split, drop_compromised, labels_as_of, split

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
MIN_FRAUDS = 5
"""Fewer frauds in a fold's training or validation part tell nothing; such a fold is left out."""


@dataclass(frozen=True)
class Fold:
    """Row positions: what is fitted, what early stopping and calibration use, and what is judged.

    Labels are taken as they stood at `as_of_ms` where they are fitted, and at `judged_as_of_ms`, the moment
    the test window begins, where the fold is judged by them (None without time: as they stand in the end).
    """

    train: Rows
    calibration: Rows
    validation: Rows
    as_of_ms: int | None
    judged_as_of_ms: int | None

    def judged_labels(self, transactions: Transactions) -> F64:
        """Return the labels that the fold is judged by, float64 [len(validation)]."""
        return labels_as_of(transactions, self.judged_as_of_ms)[self.validation]


def prequential_folds(
    transactions: Transactions, profile: Profile, n_folds: int = 4, seed: int = 7
) -> list[Fold]:
    """Return up to `n_folds` folds, oldest first, all before the profile's test window.

    With a training window of fixed length every fold has it; otherwise training starts where the table does
    and the folds divide the later half of what comes before the test. Tables without time get random folds.

    Raises
    ------
    TableError
        Not one fold has frauds enough to train and to judge.
    """
    plan = split(transactions, profile, seed)
    if isinstance(profile.evaluation, TimeEvaluation):
        folds = _in_time(transactions, profile, profile.evaluation, plan, n_folds)
    else:
        folds = _stratified(transactions, plan, n_folds, seed)
    known = labels_as_of(transactions, plan.as_of_ms)
    sound = [f for f in folds if all(_enough(known[rows]) for rows in (f.train, f.calibration, f.validation))]
    if not sound:
        raise TableError(
            f"Before the test window there is no period with {MIN_FRAUDS} frauds to train on and as many to "
            "judge by; ask for fewer folds or bring more data.",
            code="empty_part",
        )
    return sound


def _enough(labels: F64) -> bool:
    return int((labels == 1).sum()) >= MIN_FRAUDS and bool((labels == 0).any())


def _in_time(
    transactions: Transactions, profile: Profile, plan: TimeEvaluation, whole: Split, n_folds: int
) -> list[Fold]:
    assert whole.as_of_ms is not None  # noqa: S101 (a plan in time has a moment)
    time, delay = transactions.times(), int(plan.delay_days * DAY_MS)
    known = ~np.isnan(transactions.labels)
    end = whole.as_of_ms - delay  # later labels are not known when the test begins
    bounds = _bounds(time, plan, end, n_folds)
    folds = []
    for start, stop in pairwise(bounds):
        fit_end = start - delay
        fit_start = int(time[0]) if plan.train_days is None else fit_end - int(plan.train_days * DAY_MS)
        fitted = np.flatnonzero(known & (time >= fit_start) & (time < fit_end))
        if plan.test_start is not None:
            n_train = int(np.searchsorted(time[fitted], fit_end - int(plan.calibration_days * DAY_MS)))
        else:
            n_train = int(len(fitted) * (1 - plan.calibration_fraction))
        judged = np.flatnonzero(known & (time >= start) & (time < stop))
        judged = drop_compromised(transactions, profile, plan.drop_compromised, judged, fit_start)
        folds.append(Fold(fitted[:n_train], fitted[n_train:], judged, int(start), whole.as_of_ms))
    return folds


def _bounds(time: NDArray[np.int64], plan: TimeEvaluation, end: int, n_folds: int) -> NDArray[np.int64]:
    """Return the n_folds + 1 moments between which the folds are judged."""
    if plan.train_days is not None and plan.test_days is not None:
        length = int(plan.test_days * DAY_MS)
    elif plan.test_start is None:  # as many rows in each fold, since nights are empty
        before = time[time < end]
        positions = np.linspace(len(before) // 2, len(before) - 1, n_folds + 1).astype(int)
        return np.append(before[positions[:-1]], end)
    else:
        length = int((end - int(time[0])) / 2 / n_folds)
    return end - length * np.arange(n_folds, -1, -1, dtype=np.int64)


def _stratified(transactions: Transactions, plan: Split, n_folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import StratifiedKFold

    rows = np.sort(np.concatenate([plan.train, plan.calibration]))
    parts = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, transactions.labels[rows])
    folds = []
    for number, (others, judged) in enumerate(parts):
        shuffled = np.random.default_rng(seed + number).permutation(others)
        n_train = int(len(shuffled) * 0.85)
        folds.append(Fold(rows[shuffled[:n_train]], rows[shuffled[n_train:]], rows[judged], None, None))
    return folds


@dataclass(frozen=True)
class FoldData:
    """A fold's matrices; what fitting sees is what was known when its validation began.

    `judged` has the labels that were known when the test window began.
    """

    parts: Parts
    judged: Transactions
    features: F32


def fold_data(transactions: Transactions, profile: Profile, folds: Sequence[Fold]) -> list[FoldData]:
    """Return the matrices of all folds; the features of each row are computed once for all of them.

    History looks backwards only, so it does not depend on the fold; the order of a category's levels does.
    """
    needed = np.unique(
        np.concatenate([np.concatenate([f.train, f.calibration, f.validation]) for f in folds])
    )
    history = History.of(transactions, profile) if profile.features.history else None
    used = transactions.take(needed)
    matrix = FeaturePipeline.fit(profile, used).transform(used, history)
    result = []
    for fold in folds:
        observed = labels_as_of(transactions, fold.as_of_ms)
        rows = {name: np.searchsorted(needed, getattr(fold, name)) for name in ("train", "calibration")}
        fitted = {name: used.take(at) for name, at in rows.items()}
        pipeline = FeaturePipeline.fit(
            profile, transactions.with_labels(observed, transactions.known_at_ms).take(fold.train)
        )
        parts = {
            name: TrainingRows(
                pipeline.recode(matrix[rows[name]], fitted[name]),
                observed[getattr(fold, name)],
                np.ones(len(rows[name])),
                fitted[name].rows,
            )
            for name in rows
        }
        at = np.searchsorted(needed, fold.validation)
        judged = used.take(at)
        judged = judged.with_labels(fold.judged_labels(transactions), judged.known_at_ms)
        refit = profile.evaluation.refit
        result.append(FoldData(Parts(**parts, refit=refit), judged, pipeline.recode(matrix[at], judged)))
    return result


@dataclass(frozen=True)
class Figures:
    """What one model came to on one fold: its scores, average precision, AUC and CP@k (NaN without cards)."""

    scores: F64
    ap: float
    auc: float
    card_precision: float


def judge(
    name: str, data: FoldData, settings: ModelSettings, seed: int, profile: Profile, cards: bool = True
) -> Figures:
    """Fit one model on a fold as `fraud train` would, and judge it on what came next."""
    _, final = fit_model(name, data.parts, settings, seed, curves=False)
    scores = score(final, data.features)
    auc, ap = Ranking.of(data.judged.labels, scores).auc_and_ap()
    main, precision = profile.main_entity, float("nan")
    if cards and main is not None and data.judged.time_ms is not None:
        precision = card_precision(data.judged, scores, main.column, profile.costs.precision_at)
    return Figures(scores, ap, auc, precision)


JudgeFolds = Callable[[str, Sequence[FoldData], ModelSettings, int, Profile, bool], Iterator[Figures]]
"""Yields what `judge` returns for each fold, in their order; whoever has seen enough stops asking."""


def judge_folds(
    name: str, data: Sequence[FoldData], settings: ModelSettings, seed: int, profile: Profile, cards: bool
) -> Iterator[Figures]:
    """Judge one model on folds one after the other, each when it is asked for."""
    return (judge(name, fold, settings, seed, profile, cards) for fold in data)


def prequential_figures(
    transactions: Transactions,
    profile: Profile,
    settings: Mapping[str, ModelSettings],
    n_folds: int = 4,
    seed: int = 7,
) -> dict[str, list[Figures]]:
    """Return each model's figures on every fold, oldest first; mean and spread are for the reader to take."""
    data = fold_data(transactions, profile, prequential_folds(transactions, profile, n_folds, seed))
    return {name: [judge(name, d, s, seed, profile) for d in data] for name, s in settings.items()}


def learning_curve(
    name: str,
    data: FoldData,
    settings: ModelSettings,
    profile: Profile,
    shares: Sequence[float] = (0.1, 0.2, 0.4, 0.7, 1.0),
    seed: int = 7,
    progress: Callable[[str], None] = lambda message: None,
) -> list[tuple[int, Figures]]:
    """Return (training rows, figures) for growing parts of a fold's training rows, its newest ones first.

    The newest, because an earlier day would also be a staler one: only the amount is to differ.
    """
    points = []
    for share in shares:
        n = max(1, int(len(data.parts.train.labels) * share))
        chosen = np.zeros(len(data.parts.train.labels), bool)
        chosen[-n:] = True
        train = data.parts.train.take(chosen)
        if int(train.labels.sum()) < MIN_FRAUDS:
            continue
        parts = Parts(train, data.parts.calibration, data.parts.refit)
        figures = judge(name, FoldData(parts, data.judged, data.features), settings, seed, profile, False)
        progress(f"{name}: {n:,} rows, AP {figures.ap:.3f}")
        points.append((n, figures))
    return points


def paired_difference(
    labels: Sequence[F64], ours: Sequence[F64], theirs: Sequence[F64], n_bootstrap: int = 400, seed: int = 7
) -> tuple[float, float, float]:
    """Return (difference, low, high) of mean average precision over folds, with a 95% paired bootstrap.

    Both models' scores are weighted by the same Poisson draws, transaction by transaction, so that what makes
    a fold easy or hard for both cancels out.
    """
    rankings = [(Ranking.of(y, a), Ranking.of(y, b)) for y, a, b in zip(labels, ours, theirs, strict=True)]
    point = float(np.mean([a.auc_and_ap()[1] - b.auc_and_ap()[1] for a, b in rankings]))
    rng, draws = np.random.default_rng(seed), []
    for _ in range(n_bootstrap):
        differences = []
        for y, (a, b) in zip(labels, rankings, strict=True):
            weights = rng.poisson(1.0, len(y)).astype(np.float64)
            differences.append(a.auc_and_ap(weights)[1] - b.auc_and_ap(weights)[1])
        draws.append(np.mean(differences))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return point, float(low), float(high)
