"""Packed forests against the libraries they come from: one transaction, its reasons, a batch, the files.

    python -m benchmarks.engine

Every figure is a median over rounds in which the engines take turns, each on another row, so that a slow
moment of the machine meets all of them. All run on one thread. In turns, each engine finds the caches full of
the others' data, as in a server; "hot" is one engine alone.
"""

import os
import pickle
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import sklearn
import xgboost
from sklearn.ensemble import RandomForestClassifier

from fraud.models.engine import PackedForest, hard_rows, largest_difference
from fraud.models.packing import pack_random_forest, pack_xgboost

N_ROWS, N_FEATURES = 30_000, 30


def table() -> tuple[np.ndarray, np.ndarray]:
    """Return x float32 [30,000, 30] with 1% missing, and y with 2% positive."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    x[:, 20:] = rng.integers(-1, 9, size=(N_ROWS, 10))
    z = x[:, 0] * x[:, 1] + x[:, 2] + np.abs(x[:, 3]) + (x[:, 21] == 2) + rng.normal(scale=1.5, size=N_ROWS)
    x[rng.random(x.shape) < 0.01] = np.nan
    return x, (z > np.quantile(z, 0.98)).astype(int)


def take_turns(calls: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call, given the round's number; the first rounds only warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-3, rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call(number)
            elapsed = time.perf_counter() - start
            if number >= 0:
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def show(value: float) -> str:
    """Write microseconds with about three digits."""
    return f"{value * 1e6:,.0f}" if value >= 1e-4 else f"{value * 1e6:.1f}"


def main() -> None:
    """Train both models, measure, and print a markdown table."""
    x, y = table()
    forest = RandomForestClassifier(300, max_depth=12, n_jobs=2, random_state=0).fit(x, y)
    boosting = xgboost.XGBClassifier(n_estimators=400, max_depth=6, learning_rate=0.05, n_jobs=2).fit(x, y)
    forest.n_jobs = 1
    boosting.set_params(n_jobs=1)
    boosting.get_booster().set_param({"nthread": 1})
    packed = {"RF": pack_random_forest(forest), "XGB": pack_xgboost(boosting)}
    models = {"RF": forest, "XGB": boosting}
    for each in packed.values():
        each.warm_up()

    def row(i: int) -> np.ndarray:
        return x[i % N_ROWS : i % N_ROWS + 1]

    one = take_turns(
        {
            "RF packed": lambda i: packed["RF"].probability(row(i)),
            "XGB packed": lambda i: packed["XGB"].probability(row(i)),
            "XGB library": lambda i: boosting.predict_proba(row(i)),
        },
        2000,
    ) | take_turns({"RF library": lambda i: forest.predict_proba(row(i))}, 100)
    hot = {
        name: take_turns({"": lambda i, name=name: packed[name].probability(row(i))}, 2000)[""]
        for name in packed
    }
    hot = {f"{name} packed": seconds for name, seconds in hot.items()}
    reasons = take_turns(
        {
            "RF packed": lambda i: packed["RF"].contributions(row(i)),
            "XGB packed": lambda i: packed["XGB"].contributions(row(i)),
            "XGB library": lambda i: boosting.get_booster().predict(
                xgboost.DMatrix(row(i), nthread=1), pred_contribs=True
            ),
        },
        200,
    )
    batch = take_turns(
        {
            f"{name} {kind}": call
            for name in packed
            for kind, call in {
                "packed": lambda _, name=name: packed[name].probability(x),
                "library": lambda _, name=name: models[name].predict_proba(x),
            }.items()
        },
        5,
    )
    files: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, each in packed.items():
            path = Path(directory, "forest.npz")
            each.save(path)
            load = take_turns({"": lambda _, path=path: PackedForest.load(path)}, 9)[""]
            files[f"{name} packed"] = (path.stat().st_size, load)
        dumped = pickle.dumps(forest)
        files["RF library"] = (
            len(dumped),
            take_turns({"": lambda _: pickle.loads(dumped)}, 5)[""],  # noqa: S301 - made three lines above
        )
        json = bytes(boosting.get_booster().save_raw("ubj"))
        files["XGB library"] = (
            len(json),
            take_turns({"": lambda _: xgboost.Booster(model_file=bytearray(json))}, 5)[""],
        )

    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, "
        f"scikit-learn {sklearn.__version__}, xgboost {xgboost.__version__}; {os.cpu_count()} cores, "
        f"one thread used, load {os.getloadavg()[0]:.1f}.\n"
        f"RF: 300 trees, depth 12, {packed['RF'].split.size:,} nodes. "
        f"XGB: 400 rounds, depth 6, {packed['XGB'].split.size:,} nodes. {N_FEATURES} features.\n"
    )
    print(
        "| engine | one row, us | the same, hot | reasons, us | batch, rows/s | file, MB | load, ms "
        "| difference |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in one:
        model, kind = name.split()
        size, load = files[name]
        difference = largest_difference(
            packed[model], models[model].predict_proba, hard_rows(packed[model], 20_000, 1)
        )
        print(
            f"| {name} | {show(one[name])} | {show(hot[name]) if name in hot else '-'} "
            f"| {show(reasons[name]) if name in reasons else '-'} "
            f"| {N_ROWS / batch[name]:,.0f} | {size / 1e6:.2f} | {load * 1e3:.1f} "
            f"| {f'{difference:.1e}' if kind == 'packed' else '-'} |"
        )


if __name__ == "__main__":
    main()
