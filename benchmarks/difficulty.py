"""How hard the built-in data are: the shipped models against logistic regression on the same held-out rows.

    python -m benchmarks.difficulty

Reads the shipped bundle's held-out predictions (so train first if the profile changed), fits a logistic
regression on the same features and rows (standardised, missing values imputed with an indicator, categories
one-hot), and prints average precision with intervals, recall by typology at equal numbers of alerts, and how
often the two models disagree.
"""

import json
import platform

import numpy as np
import pandas as pd
import sklearn
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fraud.data.profile import load_profile
from fraud.data.sources import load_transactions
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.bundle import PREDICTIONS_FILE, read_manifest
from fraud.models.evaluate import Ranking
from fraud.models.split import labels_as_of, split
from fraud.settings import ROOT


def logistic(profile: object, table: object, names: list[str]) -> np.ndarray:
    """Return a logistic regression's held-out scores."""
    plan = split(table, profile, 7)
    observed = table.with_labels(labels_as_of(table, plan.as_of_ms), table.known_at_ms)
    pipeline = FeaturePipeline.fit(profile, observed.take(plan.train))
    matrix = pipeline.transform(table, History.of(table, profile))
    categories = [names.index(n) for n in pipeline.levels]
    numbers = [i for i in range(len(names)) if i not in categories]
    model = make_pipeline(
        make_column_transformer(
            (
                make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
                numbers,
            ),
            (OneHotEncoder(handle_unknown="ignore"), categories),
        ),
        LogisticRegression(max_iter=2000),
    )
    # Counts and amounts have long tails, which a linear model cannot bend by itself.
    squeezed = np.sign(matrix) * np.log1p(np.abs(matrix))
    squeezed[:, categories] = matrix[:, categories]
    model.fit(squeezed[plan.train], observed.labels[plan.train])
    return np.asarray(model.predict_proba(squeezed[plan.test])[:, 1])


def interval(labels: np.ndarray, scores: np.ndarray) -> str:
    """Return average precision with a bootstrap interval."""
    ranking, rng = Ranking.of(labels, scores), np.random.default_rng(7)
    draws = [ranking.auc_and_ap(rng.poisson(1.0, len(labels)).astype(float))[1] for _ in range(300)]
    low, high = np.quantile(draws, [0.025, 0.975])
    auc, ap = ranking.auc_and_ap()
    return f"{ap:.3f} [{low:.3f}, {high:.3f}] | {auc:.3f}"


def main() -> None:
    """Print the tables."""
    manifest, _ = read_manifest(ROOT / "artifacts")
    profile = load_profile(manifest["profile"])
    table, source = load_transactions(profile, None)
    if source["sha256"] != manifest["data"]["sha256"]:
        raise SystemExit("artifacts/ was trained on another table; run `python -m fraud train` first")
    held_out = pd.read_parquet(ROOT / "artifacts" / PREDICTIONS_FILE)
    labels = held_out["label"].to_numpy(float)
    scores = {
        "XGBoost": held_out["xgboost"].to_numpy(float),
        "Random Forest": held_out["random_forest"].to_numpy(float),
        "logistic regression": logistic(profile, table, manifest["features"]),
        "amount alone": held_out["amount"].to_numpy(float),
    }
    print(f"python {platform.python_version()}, scikit-learn {sklearn.__version__}, ", end="")
    print(f"xgboost {xgboost.__version__}, data {json.dumps(profile.source.model_dump())}")
    print(f"{len(labels):,} held-out transactions, {int(labels.sum())} reported frauds\n")
    print("| model | average precision | AUC |\n|---|---|---|")
    for name, score in scores.items():
        print(f"| {name} | {interval(labels, score)} |")
    n_alerts = int(labels.sum())
    alerts = {n: set(np.argsort(-s, kind="stable")[:n_alerts].tolist()) for n, s in scores.items()}
    kinds = held_out["typology"].to_numpy()
    print(f"\nrecall of the {n_alerts} highest scores, by what it truly was\n")
    print("| typology | n | " + " | ".join(alerts) + " |\n|---|---|" + "---|" * len(alerts))
    for kind in sorted(set(kinds) - {"none"}):
        rows = set(np.flatnonzero(kinds == kind).tolist())
        shares = " | ".join(f"{len(rows & found) / len(rows):.2f}" for found in alerts.values())
        print(f"| {kind} | {len(rows)} | {shares} |")
    forest, boosting = alerts["Random Forest"], alerts["XGBoost"]
    own = len(forest - boosting)
    print(f"\nRandom Forest and XGBoost each raise {own} of these {n_alerts} alerts alone", end="")
    print(f"; at their own thresholds they disagree on {manifest['disagreement_rate']:.2%} of transactions")


if __name__ == "__main__":
    main()
