"""Time and peak memory of training on the Handbook's 1.75 million rows, and of both forest engines.

    python -m benchmarks.training ../shared/data/handbook_simulated.parquet [--trees 50] [--rows 300000]
    python -m benchmarks.training ... --engines-only --bins 256 1024 4096  the accelerator's values per column
    python -m benchmarks.training ... --choose --bins 256 1024 4096        the same, on days before the test

Stages run one after another in processes of their own, so that each peak is that stage's. The table is read
and checked and its features computed as `fraud train` does; all rows before the last fifth are fitted. The
engines are compared on the newest `--rows` of them (same parameters and seeds; average precision on the last
fifth), with fewer trees than a release has: a forest's time is proportional to its trees. The last fifth lies
after the Handbook's test window, so nothing may be chosen by it: `--choose` judges the profile's own forest
on the folds before the window instead.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import sklearn
import xgboost

from fraud.data.profile import ModelSettings, load_profile
from fraud.data.sources import load_transactions
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models import acceleration
from fraud.models.estimators import TrainingRows, fit_random_forest, fit_xgboost, usable_cores
from fraud.models.evaluate import Ranking
from fraud.models.folds import fold_data, judge, paired_difference, prequential_folds

BOOSTING = {"n_estimators": 400, "max_depth": 6, "learning_rate": 0.05}


def load(options: argparse.Namespace) -> dict[str, object]:
    profile = load_profile("handbook")
    start = perf_counter()
    table, _ = load_transactions(profile, options.file)
    loaded = perf_counter()
    matrix = FeaturePipeline.fit(profile, table).transform(table, History.of(table, profile))
    done = perf_counter()
    np.save(options.scratch / "x.npy", matrix)
    np.save(options.scratch / "y.npy", table.labels)
    shape = f"{matrix.shape[0]:,} x {matrix.shape[1]}"
    return {"read, check, type": loaded - start, f"features ({shape})": done - loaded}


def rows(options: argparse.Namespace, n: int | None) -> tuple[TrainingRows, TrainingRows]:
    x, y = (np.load(options.scratch / name, mmap_mode="r") for name in ("x.npy", "y.npy"))
    cut = len(y) * 4 // 5
    n = cut if n is None else min(n, cut)

    def part(a: int, b: int) -> TrainingRows:
        return TrainingRows(np.array(x[a:b]), np.array(y[a:b]), np.ones(b - a), np.arange(a, b))

    return part(cut - n, cut), part(cut, len(y))


def forest(options: argparse.Namespace, engine: str, n: int | None, bins: int) -> dict[str, object]:
    acceleration.N_BINS = bins
    n_trees = options.trees
    train, later = rows(options, n)
    settings = ModelSettings(
        random_forest={"n_estimators": n_trees, "min_samples_leaf": 5, "max_features": 0.3}
    )
    seconds, precision, n_nodes = [], [], []
    for seed in range(1, options.seeds + 1 if n is not None else 2):
        start = perf_counter()
        fitted = fit_random_forest(train, settings, seed, engine)  # type: ignore[arg-type]
        seconds.append(perf_counter() - start)
        n_nodes += [tree.tree_.node_count for tree in fitted.estimator.estimators_]
        scores = fitted.estimator.predict_proba(later.features[::4])[:, 1]
        precision.append(Ranking.of(later.labels[::4], scores).auc_and_ap()[1])
    each = ", ".join(f"{p:.4f}" for p in precision)
    by = fitted.engine + (f" ({bins:,} values per column)" if engine == acceleration.PACKAGE else "")
    nodes = f"{n_trees} trees of {np.mean(n_nodes):,.0f} nodes"
    return {f"{by}, {len(train.labels):,} rows, {nodes} (AP {each})": min(seconds)}


def choose(options: argparse.Namespace) -> None:
    """Print the profile's forest by values per column, on folds before the test window."""
    profile = load_profile("handbook")
    table, _ = load_transactions(profile, options.file)
    data = fold_data(table, profile, prequential_folds(table, profile, options.folds))
    labels = [d.judged.labels for d in data]
    print(f"{len(data)} folds, {int(sum((y == 1).sum() for y in labels)):,} frauds, {options.seeds} seeds\n")
    print("| values per column | AP by fold, mean of seeds | mean | first less this, seeds' mean score |")
    print("|---|---|---|---|", flush=True)
    first = None
    for bins in options.bins:
        acceleration.N_BINS = bins
        seeds = range(1, options.seeds + 1)
        runs = [
            [judge("random_forest", d, profile.models, s, profile, cards=False) for s in seeds] for d in data
        ]
        scores = [np.mean([f.scores for f in fold], axis=0) for fold in runs]
        by_fold = [float(np.mean([f.ap for f in fold])) for fold in runs]
        first = scores if first is None else first
        less = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*paired_difference(labels, first, scores))
        each = ", ".join(f"{ap:.4f}" for ap in by_fold)
        print(f"| {bins:,} | {each} | {np.mean(by_fold):.4f} | {less} |", flush=True)


def boosting(options: argparse.Namespace) -> dict[str, object]:
    train, later = rows(options, None)
    settings = ModelSettings(xgboost=BOOSTING)
    start = perf_counter()
    fitted = fit_xgboost(train, later.take(np.arange(len(later.labels)) % 4 == 0), settings, 1, curves=False)
    seconds = perf_counter() - start
    stopped = (fitted.best_iteration or 0) + 1
    return {f"XGBoost hist, {len(train.labels):,} rows, best of {stopped} rounds by early stopping": seconds}


def stage(options: argparse.Namespace) -> dict[str, object]:
    if options.stage == "load":
        return load(options)
    if options.stage == "boosting":
        return boosting(options)
    engine, size, bins = options.stage.split(":")
    return forest(options, engine, options.rows if size == "some" else None, int(bins))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bins", type=int, nargs="+", default=[acceleration.N_BINS])
    parser.add_argument("--folds", type=int, default=4, help="with --choose (default: 4)")
    parser.add_argument("--engines-only", action="store_true", help="leave out what fits on all rows")
    parser.add_argument(
        "--choose", action="store_true", help="values per column on folds before the test window"
    )
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        seconds = stage(options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak": peak}))
        return
    print(f"python {platform.python_version()}, scikit-learn {sklearn.__version__}, ", end="")
    print(f"{acceleration.description()}, xgboost {xgboost.__version__}, {usable_cores()} cores\n")
    if options.choose:
        choose(options)
        return
    print("| stage | seconds | peak memory of its process, MB |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        whole = [f"{acceleration.PACKAGE}:all:{options.bins[0]}", "boosting"]
        some = [f"{acceleration.PACKAGE}:some:{bins}" for bins in options.bins]
        for name in ["load", *(whole if not options.engines_only else []), *some, "scikit-learn:some:0"]:
            command = [sys.executable, "-m", "benchmarks.training", str(options.file), "--stage", name]
            command += ["--scratch", scratch, "--trees", str(options.trees), "--rows", str(options.rows)]
            command += ["--seeds", str(options.seeds)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            outcome = json.loads(answer.splitlines()[-1])
            for what, seconds in outcome["seconds"].items():
                print(f"| {what} | {seconds:.1f} | {outcome['peak']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
