"""Random search for a profile's default hyperparameters, on data before the test window only.

    python -m benchmarks.search --profile cards --trials 8 [--data FILE]

Each trial is fitted on the plan's train part and judged by average precision on its calibration part (all
later); the test part is never looked at. Prints a Markdown table, best first.
"""

import argparse
from pathlib import Path

import numpy as np

from fraud.data.profile import ModelSettings, load_profile
from fraud.data.sources import load_transactions
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.estimators import TrainingRows, fit_random_forest, fit_xgboost
from fraud.models.evaluate import Ranking
from fraud.models.split import labels_as_of, split

FOREST = {
    "n_estimators": [200],
    "min_samples_leaf": [1, 2, 4, 8],
    "max_features": ["sqrt", 0.25, 0.4, 0.6],
    "max_samples": [0.4, 0.7, None],
}
BOOSTING = {
    "n_estimators": [1500],
    "learning_rate": [0.03, 0.05, 0.08],
    "max_depth": [4, 5, 6, 8],
    "min_child_weight": [1, 3, 8],
    "subsample": [0.7, 0.9],
    "colsample_bytree": [0.4, 0.6, 0.8],
    "reg_lambda": [1.0, 5.0],
}


def main() -> None:
    """Print the table of both searches."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="cards")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    profile = load_profile(options.profile)
    table, _ = load_transactions(profile, options.data)
    plan = split(table, profile, 7)
    observed = table.with_labels(labels_as_of(table, plan.as_of_ms), table.known_at_ms)
    pipeline = FeaturePipeline.fit(profile, observed.take(plan.train))
    history = History.of(table, profile) if profile.features.history else None
    train, later = (
        TrainingRows(pipeline.transform(part, history), part.labels, np.ones(len(part)), part.rows)
        for part in (observed.take(plan.train), observed.take(plan.calibration))
    )
    sampled = train.undersampled(profile.models.negatives_per_fraud, 7)
    rng = np.random.default_rng(options.seed)
    print(f"{len(sampled.labels):,} rows fitted, {int(later.labels.sum())} frauds judged on\n", flush=True)
    for name, space in (("random_forest", FOREST), ("xgboost", BOOSTING)):
        found = []
        for _ in range(options.trials):
            chosen = {key: values[int(rng.integers(len(values)))] for key, values in space.items()}
            settings = ModelSettings.model_validate({name: chosen})
            fitted = (
                fit_random_forest(sampled, settings, 7)
                if name == "random_forest"
                else fit_xgboost(sampled, later, settings, 7)
            )
            scores = fitted.estimator.predict_proba(later.features)[:, 1].astype(float)
            found.append((Ranking.of(later.labels, scores).auc_and_ap()[1], fitted.best_iteration, chosen))
            print(f"<!-- {name} {found[-1]} -->", flush=True)
        print(f"\n| {name}: AP on the later slice | rounds | parameters |\n|---|---|---|")
        for ap, rounds, chosen in sorted(found, key=lambda f: -f[0]):
            print(f"| {ap:.4f} | {rounds or ''} | {chosen} |")


if __name__ == "__main__":
    main()
