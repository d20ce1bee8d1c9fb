"""Prequential folds and learning curves as tables, and a smaller table to try things on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.models.analysis.intervals import average_precision
from fraud.models.folds import Figures, Fold, paired_difference
from fraud.models.tuning import Tuned

F64 = NDArray[np.float64]


def lighter(profile: Profile, n_transactions: int) -> Profile:
    """Return the profile with so much built-in data, over the same days and with the same plan."""
    return profile.model_copy(
        update={"source": profile.source.model_copy(update={"n_transactions": n_transactions})}
    )


def plan_table(transactions: Transactions, folds: Sequence[Fold]) -> pd.DataFrame:
    """Return what each fold trains on, stops and calibrates by, and is judged on.

    Returns
    -------
    DataFrame: `fold`, `n_train`, `n_calibration`, `n_judged`, `n_judged_frauds`, and where there are times
    `judged_from` and `judged_until`, days
    """
    rows = []
    for number, fold in enumerate(folds, start=1):
        row: dict[str, object] = {
            "fold": number,
            "n_train": len(fold.train),
            "n_calibration": len(fold.calibration),
            "n_judged": len(fold.validation),
            "n_judged_frauds": int((fold.judged_labels(transactions) == 1).sum()),
        }
        if transactions.time_ms is not None:
            days = pd.to_datetime(transactions.time_ms[fold.validation[[0, -1]]], unit="ms")
            row |= {"judged_from": f"{days[0]:%Y-%m-%d}", "judged_until": f"{days[1]:%Y-%m-%d}"}
        rows.append(row)
    return pd.DataFrame(rows)


def fold_table(figures: Mapping[str, Sequence[Figures]]) -> pd.DataFrame:
    """Return one row for each model and fold, folds numbered from 1, oldest first."""
    rows = [
        {"model": name, "fold": number, "ap": f.ap, "auc": f.auc, "card_precision": f.card_precision}
        for name, folds in figures.items()
        for number, f in enumerate(folds, start=1)
    ]
    return pd.DataFrame(rows, columns=["model", "fold", "ap", "auc", "card_precision"])


def fold_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation over the folds of `fold_table` (n - 1; NaN for one fold).

    Returns
    -------
    DataFrame: `model`, `metric`, `mean`, `sd`, `n_folds`; a metric that no fold has is left out
    """
    rows = []
    for model, folds in table.groupby("model", sort=False):
        for metric in ("ap", "auc", "card_precision"):
            known = folds[metric].dropna()
            if len(known):
                rows.append((model, metric, float(known.mean()), float(known.std()), len(known)))
    return pd.DataFrame(rows, columns=["model", "metric", "mean", "sd", "n_folds"])


def comparison_table(tuned: Tuned) -> pd.DataFrame:
    """Return baseline against optimised on every fold, with the paired 95% interval of the difference.

    Returns
    -------
    DataFrame: `fold`, `held_back`, `n_frauds`, and of average precision `baseline`, `optimised`, `difference`
    with its `low` and `high`; of the last fold they are those of `Tuned.held_back`
    """
    rows = []
    folds = zip(tuned.labels, tuned.optimised, tuned.baseline, strict=True)
    for number, (y, ours, theirs) in enumerate(folds, start=1):
        difference, low, high = paired_difference([y], [ours.scores], [theirs.scores])
        held_back = number == len(tuned.labels) and tuned.origin != "check"
        rows.append((number, held_back, int((y == 1).sum()), theirs.ap, ours.ap, difference, low, high))
    names = ["fold", "held_back", "n_frauds", "baseline", "optimised", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def trial_table(tuned: Tuned) -> pd.DataFrame:
    """Return the completed trials, best first: `mean_ap`, `negatives_per_fraud`, and each parameter."""
    rows = [
        {"mean_ap": trial.mean, "negatives_per_fraud": trial.settings.negatives_for(tuned.name)}
        | dict(getattr(trial.settings, tuned.name))
        for trial in tuned.trials
    ]
    return pd.DataFrame(rows)


def learning_table(points: Mapping[str, Sequence[tuple[int, Figures]]], labels: F64) -> pd.DataFrame:
    """Return average precision by the number of training rows, with a 95% bootstrap interval.

    Parameters
    ----------
    points : model -> what `fraud.models.folds.learning_curve` returned
    labels : of the judged transactions

    Returns
    -------
    DataFrame: `model`, `n_rows`, `ap`, `low`, `high`
    """
    rows = [
        (name, n_rows, *average_precision(labels, figures.scores))
        for name, curve in points.items()
        for n_rows, figures in curve
    ]
    return pd.DataFrame(rows, columns=["model", "n_rows", "ap", "low", "high"])
