"""What each group of features is worth: average precision without it, on folds before the test window.

    python -m benchmarks.ablation ../shared/data --profile handbook [--folds 3] [--models xgboost]

A group is a history aggregate's function over all its windows, the calendar, positions, ages, or a field;
numbered fields ("V1" to "V28") are one group, since anonymous components say nothing one by one. The
model is fitted on the same folds with and without the group; the loss comes with a paired 95% interval over
transactions. A group whose interval lies below zero harms; of one whose interval holds zero nothing is shown.
"""

import argparse
import platform
import re
from pathlib import Path

import numpy as np

from fraud.data.profile import HistoryAggregate, Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.features.pipeline import FeaturePipeline
from fraud.models.estimators import TrainingRows
from fraud.models.fitting import Parts
from fraud.models.folds import FoldData, fold_data, judge, paired_difference, prequential_folds


def groups(profile: Profile, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Return group -> its features; a table's own fields are a group each, unless they are numbered."""
    found: dict[str, list[str]] = {}
    for aggregate in profile.features.history:
        for function in aggregate.functions:
            found.setdefault(f"{' x '.join(aggregate.by)}: {function}", []).extend(_of(aggregate, function))
        for function in aggregate.last:
            prefix = "_".join(aggregate.by)
            found[f"{' x '.join(aggregate.by)}: {function} since last"] = [f"{prefix}_{function}_since_last"]
    if profile.features.calendar:
        found["calendar"] = list(profile.features.calendar)
    derived = [d.name for d in profile.features.distances] + [a.name for a in profile.features.ages]
    found |= {name: [name] for name in derived}
    grouped = {n for members in found.values() for n in members}
    own = [n for n in names if n not in grouped]
    stems: dict[str, list[str]] = {}
    for name in own:
        numbered = re.fullmatch(r"(\D+)\d+", name)
        stems.setdefault(numbered[1] if numbered else name, []).append(name)
    for members in stems.values():
        found[f"field {members[0]}" if len(members) == 1 else f"fields {members[0]} to {members[-1]}"] = (
            members
        )
    return found


def _of(aggregate: HistoryAggregate, function: str) -> list[str]:
    return [f"{'_'.join(aggregate.by)}_{function}_{window}" for window in aggregate.windows]


def without(data: FoldData, dropped: np.ndarray) -> FoldData:
    """Return a fold that lacks some columns."""

    def narrow(rows: TrainingRows) -> TrainingRows:
        return TrainingRows(np.delete(rows.features, dropped, axis=1), rows.labels, rows.weights, rows.rows)

    parts = Parts(narrow(data.parts.train), narrow(data.parts.calibration), data.parts.refit)
    return FoldData(parts, data.judged, np.delete(data.features, dropped, axis=1))


def main() -> None:
    """Print one table per model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--profile", default="handbook")
    parser.add_argument("--file", help="table in the directory (default: the profile's simulator)")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["random_forest", "xgboost"])
    options = parser.parse_args()
    profile = load_profile(options.profile)
    table, _ = load_transactions(profile, None if options.file is None else options.directory / options.file)
    folds = prequential_folds(table, profile, options.folds)
    data = fold_data(table, profile, folds)
    names = FeaturePipeline.fit(profile, table.take(folds[-1].train)).names
    labels = [d.judged.labels for d in data]
    n_frauds = int(sum(y.sum() for y in labels))
    print(
        f"python {platform.python_version()}; {options.profile}: {len(folds)} folds, "
        f"{n_frauds:,} frauds judged"
    )
    for model in options.models:
        full = [judge(model, d, profile.models, 7, profile, cards=False) for d in data]
        print(f"\n{model}, all {len(names)} features: AP {np.mean([f.ap for f in full]):.4f}\n")
        print("| group left out | features | AP lost without it | 95% |\n|---|---|---|---|", flush=True)
        rows = []
        for group, members in groups(profile, names).items():
            dropped = np.array([names.index(m) for m in members])
            less = [judge(model, without(d, dropped), profile.models, 7, profile, cards=False) for d in data]
            lost, low, high = paired_difference(
                labels, [f.scores for f in full], [f.scores for f in less], n_bootstrap=200
            )
            rows.append((lost, f"| {group} | {len(members)} | {lost:+.4f} | {low:+.4f} to {high:+.4f} |"))
        for _, row in sorted(rows, key=lambda r: -r[0]):
            print(row, flush=True)


if __name__ == "__main__":
    main()
