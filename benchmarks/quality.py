"""Held-out quality of both models against published figures: five seeds, the profiles as shipped.

    python -m benchmarks.quality ../shared/data [--only handbook ulb sparkov] [--seeds 5]

The profiles' [models] were chosen on data before the test windows, by `fraud tune` or by hand on its folds
(results/quality.md says which, and how often a test window was seen); this is `fraud train` with another seed
each time. Per figure: mean and
standard deviation over seeds, what was published, the goal, and whether the mean is above it.
"""

import argparse
import platform
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import sklearn
import xgboost

from fraud.data.profile import load_profile
from fraud.data.sources import load_transactions
from fraud.models import acceleration
from fraud.models.train import prepare, train_prepared

FILES = {
    "handbook": "handbook_simulated.parquet",
    "ulb": "ulb_creditcard.parquet",
    "sparkov": "sparkov_v05.parquet",
}
GOALS = (
    # data, model (None: the better one), metric, published best, goal
    ("handbook", "random_forest", "ap", ".658 (tuned .678)", 0.690),
    ("handbook", "random_forest", "card_precision_at_100", ".287 (tuned .299)", 0.305),
    ("handbook", "xgboost", "auc", ".862 (tuned .869)", 0.875),
    ("handbook", "xgboost", "ap", ".639 (tuned .687)", 0.695),
    ("ulb", None, "auc", ".992 (H2O AutoML)", 0.992),
    ("ulb", None, "ap", ".792", 0.82),
    ("sparkov", None, "ap", ".897 (untuned XGB)", 0.95),
)


def figures(name: str, directory: Path, seeds: range) -> dict[str, dict[str, np.ndarray]]:
    """Return model -> metric -> one value per seed."""
    profile = load_profile(name)
    transactions, _ = load_transactions(profile, directory / FILES[name])
    prepared = replace(prepare(transactions, profile), n_bootstrap=0)
    rows = len(prepared.train.labels) + len(prepared.calibration.labels)
    frauds = int(prepared.train.labels.sum() + prepared.calibration.labels.sum())
    n_test = f"{len(prepared.test):,} / {int(prepared.test.labels.sum()):,}"
    print(f"\n{name}: train {rows:,} rows / {frauds:,} frauds, test {n_test}, ", end="")
    print(f"{len(prepared.names)} features\n")
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        training = train_prepared(replace(prepared, seed=seed))
        for model in training.models.values():
            for metric in ("auc", "ap", "card_precision_at_100", "brier"):
                if metric in model.metrics:
                    by_metric = found.setdefault(model.name, {})
                    by_metric.setdefault(metric, []).append(model.metrics[metric].value)
        so_far = {m: {k: round(v[-1], 4) for k, v in by.items()} for m, by in found.items()}
        print(name, seed, so_far, file=sys.stderr, flush=True)
    result = {m: {k: np.array(v) for k, v in metrics.items()} for m, metrics in found.items()}
    shown = list(result["xgboost"])
    print("| model | " + " | ".join(shown) + " |\n|---|" + "---|" * len(shown))
    for model, metrics in result.items():
        print(f"| {model} | " + " | ".join(spread(metrics[m]) for m in shown) + " |", flush=True)
    return result


def spread(values: np.ndarray) -> str:
    """Return mean and standard deviation over seeds."""
    return f"{values.mean():.4f} ({values.std(ddof=1) if len(values) > 1 else 0:.4f})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    engine = acceleration.description() if acceleration.installed() else "no accelerator"
    print(f"python {platform.python_version()}, scikit-learn {sklearn.__version__}, {engine}, ", end="")
    print(f"xgboost {xgboost.__version__}, seeds 1 to {options.seeds}: mean (standard deviation)")
    found = {name: figures(name, options.directory, range(1, options.seeds + 1)) for name in options.only}
    print("\n| data | figure | published best | goal | ours | reached |\n|---|---|---|---|---|---|")
    for name, model, metric, published, goal in GOALS:
        if name not in found:
            continue
        best = model or max(found[name], key=lambda m: found[name][m][metric].mean())
        values = found[name][best][metric]
        reached = "yes" if values.mean() > goal else "no"
        print(f"| {name} | {best} {metric} | {published} | {goal:.3f} | {spread(values)} | {reached} |")


if __name__ == "__main__":
    main()
