"""The batch that one would write with pandas, scikit-learn and XGBoost: the peer of `benchmarks.serving`.

Reads a CSV, makes the profile's features of each row with `groupby` and `rolling`, asks both estimators and
writes Parquet. Generous to the peer: history begins with the file, labels are left out (their features are
0), and nothing is validated. Prints the seconds of each stage as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from fraud.data.profile import Profile, parse_profile

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"


def features(
    frame: pd.DataFrame, profile: Profile, levels: dict[str, list[str]], names: list[str]
) -> pd.DataFrame:
    """Return the matrix [n, d] with the profile's features, by pandas alone."""
    roles = profile.columns
    time_column, amount = str(roles.time), str(roles.amount)
    frame = frame.sort_values(time_column, kind="stable").reset_index(drop=True)
    columns: dict[str, Any] = {}
    for field in profile.fields:
        if field.feature and field.kind == "category":
            codes = {level: float(i) for i, level in enumerate(levels[field.column])}
            columns[field.column] = frame[field.column].map(codes).fillna(-1.0)
        elif field.feature and field.kind != "date":
            columns[field.column] = frame[field.column]
    moment = frame[time_column]
    columns["hour"] = (moment - moment.dt.normalize()).dt.total_seconds() / 3600
    columns["weekday"] = moment.dt.weekday.astype(float)
    for distance in profile.features.distances:
        columns[distance.name] = kilometres(*(frame[c] for c in (*distance.origin, *distance.destination)))
    for aggregate in profile.features.history:
        by = list(aggregate.by)
        prefix = "_".join(by)
        for window in aggregate.windows:
            rolling = frame.groupby(by, sort=False).rolling(
                window.replace("d", "D"), on=time_column, closed="left"
            )[amount]
            ordered = frame[by].groupby(by, sort=False).ngroup().argsort(kind="stable")
            count = pd.Series(np.empty(len(frame)))
            mean = pd.Series(np.empty(len(frame)))
            count.iloc[ordered] = rolling.count().to_numpy()
            mean.iloc[ordered] = rolling.mean().to_numpy()
            made = {
                "count": count,
                "mean": mean,
                "ratio": frame[amount] / mean,
                "sum": (mean * count).fillna(0),
            }
            for function in aggregate.functions:
                columns[f"{prefix}_{function}_{window}"] = made.get(function, 0.0)
        if aggregate.last:
            groups = frame.groupby(by, sort=False)
            hours = groups[time_column].diff().dt.total_seconds() / 3600
            latitude, longitude = profile.features.position or ("", "")
            before = groups[[latitude, longitude]].shift()
            km = kilometres(before[latitude], before[longitude], frame[latitude], frame[longitude])
            last = {"hours": hours, "km": km, "speed": km / hours.clip(lower=1 / 60)}
            for function in aggregate.last:
                columns[f"{prefix}_{function}_since_last"] = last[function]
    return pd.DataFrame({name: columns.get(name, 0.0) for name in names}).astype(np.float32)


def kilometres(lat_a: Any, lon_a: Any, lat_b: Any, lon_b: Any) -> Any:
    """Return great-circle distances in km."""
    a, b = np.radians(lat_a), np.radians(lat_b)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon_b - lon_a) / 2) ** 2
    return 2 * 6371.0088 * np.arcsin(np.sqrt(np.minimum(1, h)))


def main() -> None:
    """Score sys.argv[1] into the directory sys.argv[2]."""
    source, directory = sys.argv[-2:]
    profile = parse_profile(json.loads((ARTIFACTS / "serving" / "profile.json").read_text()), "profile")
    fitted = json.loads((ARTIFACTS / "serving" / "features.json").read_text())
    models = {
        name: joblib.load(ARTIFACTS / "modelos_otimizados" / f"{name}_otimizado.pkl").estimator
        for name in ("random_forest", "xgboost")
    }
    models["random_forest"].n_jobs = 2
    models["xgboost"].get_booster().set_param({"nthread": 2})
    stages: dict[str, float] = {}
    clock, began = time.perf_counter(), time.process_time()

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        stages[stage], clock = now - clock, now

    frame = pd.read_csv(source, parse_dates=[str(profile.columns.time)])
    lap("read")
    matrix = features(frame, profile, fitted["levels"], fitted["features"])
    lap("features")
    scores = {}
    for name, model in models.items():
        scores[f"{name}_probability"] = model.predict_proba(matrix.to_numpy())[:, 1]
        lap(name)
    frame.sort_values(str(profile.columns.time), kind="stable").assign(**scores).to_parquet(
        Path(directory, "peer.parquet"), index=False
    )
    lap("write")
    used = time.process_time() - began
    print(
        json.dumps(
            {
                "stages": stages,
                "processor": used,
                "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
