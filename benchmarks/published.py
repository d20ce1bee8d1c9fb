"""Both models against published results, on the published splits, from raw columns.

    python -m benchmarks.published ../shared/data

Handbook: chapter 3's split; untuned AUC / AP / CP@100 were RF .867/.658/.287 and XGB .862/.639/.273.
ULB: 80/20 by time; published AUC .985 to .992 (Fraud Dataset Benchmark, arXiv 2208.14417).
"""

import argparse
import platform
from pathlib import Path

import numpy as np
import sklearn
import xgboost

from fraud.data.profile import load_profile
from fraud.data.sources import load_transactions
from fraud.models.train import train

TABLES = (("handbook", "handbook_simulated.parquet"), ("ulb", "ulb_creditcard.parquet"))


def main() -> None:
    """Print one table per data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    versions = f"scikit-learn {sklearn.__version__}, xgboost {xgboost.__version__}, numpy {np.__version__}"
    print(f"python {platform.python_version()}, {versions}, seed 7")
    for name, file in TABLES:
        profile = load_profile(name)
        transactions, _ = load_transactions(profile, options.directory / file)
        training = train(transactions, profile)
        parts = training.split.windows(transactions)
        n_train = sum(int(str(parts[p]["n_rows"])) for p in ("train", "calibration"))
        n_frauds = sum(int(str(parts[p]["n_frauds"])) for p in ("train", "calibration"))
        test = parts["test"]
        print(f"\n{name}: train {n_train:,} rows / {n_frauds} frauds", end="")
        print(f" (the last {parts['calibration']['n_rows']:,} calibrate first)", end="")
        print(f", test {test['n_rows']:,} / {test['n_frauds']}\n")
        shown = ["auc", "ap", *(m for m in training.models["xgboost"].metrics if m.startswith("card"))]
        print("| model | " + " | ".join(shown) + " |\n|---|" + "---|" * len(shown))
        for model in training.models.values():
            print(f"| {model.name} | " + " | ".join(cell(model.metrics[m]) for m in shown) + " |", flush=True)


def cell(estimate: object) -> str:
    """Return a figure with its interval."""
    value, low, high = estimate.value, estimate.low, estimate.high  # type: ignore[attr-defined]
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
