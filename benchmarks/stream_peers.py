"""What evidently and NannyML say of days of production, by their defaults; their interpreters run it.

    <venv>/bin/python benchmarks/stream_peers.py evidently|nannyml REFERENCE STREAM OUT SECONDS

The stream (Parquet, as the reference) has columns `day` and `first_look`. evidently is shown the 7 days
before each day from `first_look` on; NannyML is shown all of it at once, in chunks of days and of weeks, as
it is made for. Writes {"version", "seconds", "cut", kind: {day: [columns]}}, where a day is the number of
whole days that had passed and `cut` the first day that was not looked at for want of time.
"""

import json
import sys
import time
import warnings

import pandas as pd
from drift_peers import _evidently_columns

WINDOW = 7
SUNDAY = 6
MODELS = ("random_forest", "xgboost")
LEFT_OUT = {"t", "day", "first_look", "label", *(f"{m}_alert" for m in MODELS)}


def by_evidently(reference: pd.DataFrame, stream: pd.DataFrame, seconds: float) -> dict:
    """DataDriftPreset of each trailing window: columns that drifted, and whether the data set did."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    start, columns = time.perf_counter(), [c for c in reference.columns if c not in LEFT_OUT]
    found: dict = {"column": {}, "dataset": {}, "cut": None}
    for day in range(int(stream["first_look"].iloc[0]), int(stream["day"].max()) + 2):
        if time.perf_counter() - start > seconds:
            found["cut"] = day
            break
        window = stream[(stream["day"] >= day - WINDOW) & (stream["day"] < day)]
        try:
            result = Report([DataDriftPreset()]).run(window[columns], reference[columns]).dict()
        except ValueError as error:  # a column that is empty
            found["column"][day], found["dataset"][day] = [f"ValueError: {error}"[:80]], []
            continue
        found["column"][day] = _evidently_columns(result)
        counts = [m["value"] for m in result["metrics"] if isinstance(m.get("value"), dict)]
        shares = [value["share"] for value in counts if "share" in value]
        found["dataset"][day] = ["data set"] if shares and shares[0] >= 0.5 else []
    return found


def by_nannyml(reference: pd.DataFrame, stream: pd.DataFrame, seconds: float) -> dict:
    """Univariate drift, missing values and CBPE's F1, all at 3 standard deviations of reference chunks."""
    import nannyml

    start, columns = time.perf_counter(), [c for c in reference.columns if c not in LEFT_OUT]
    found: dict = {"cut": None}
    for words, period in (("daily", "D"), ("weekly", "W")):
        chunks = {"timestamp_column_name": "t", "chunk_period": period}
        found[words] = _chunks(
            [
                nannyml.UnivariateDriftCalculator(column_names=columns, **chunks),
                nannyml.MissingValuesCalculator(column_names=columns, **chunks),
            ],
            reference,
            stream,
            period,
        )
        if time.perf_counter() - start > seconds:
            found["cut"] = int(stream["first_look"].iloc[0])
            return found
        estimators = {
            model: nannyml.CBPE(
                y_pred_proba=model,
                y_pred=f"{model}_alert",
                y_true="label",
                metrics=["f1"],
                problem_type="classification_binary",
                **chunks,
            )
            for model in MODELS
        }
        found[f"f1_{words}"] = {}
        for model, estimator in estimators.items():
            told = _chunks([estimator], reference, stream, period)
            for day, alarms in told.items():
                found[f"f1_{words}"].setdefault(day, []).extend([f"f1:{model}"] if alarms else [])
    return found


def _chunks(
    calculators: list, reference: pd.DataFrame, stream: pd.DataFrame, period: str
) -> dict[int, list[str]]:
    """Return the columns alerted, by the number of days that had passed when the chunk was whole.

    A week that the stream ends within is left out: it is smaller than those that limits were taken from.
    """
    first_look, shown = int(stream["first_look"].iloc[0]), stream.drop(columns=["day", "first_look", "label"])
    origin = stream["t"].min().normalize()
    drifted: dict[int, set[str]] = {}
    for calculator in calculators:
        calculator.fit(reference)
        look = calculator.estimate if hasattr(calculator, "estimate") else calculator.calculate
        frame = look(shown).to_df()
        alerts = frame.loc[:, [c for c in frame.columns if c[-1] == "alert"]]
        analysis = frame[next(c for c in frame.columns if c[-1] == "period")] == "analysis"
        ends = frame[next(c for c in frame.columns if c[-1] in ("end_index",))]
        for row in frame.index[analysis]:
            day = (shown["t"].iloc[int(ends[row])] - origin).days + 1
            whole = period == "D" or shown["t"].iloc[int(ends[row])].dayofweek == SUNDAY
            if day >= first_look and whole:
                told = {key[0] for key, alert in alerts.loc[row].items() if bool(alert)}
                drifted.setdefault(day, set()).update(told)
    return {day: sorted(names) for day, names in drifted.items()}


def main() -> None:
    """Read, look, write."""
    warnings.simplefilter("ignore")
    tool, reference_path, stream_path, out, seconds = sys.argv[1:6]
    start = time.perf_counter()
    reference, stream = pd.read_parquet(reference_path), pd.read_parquet(stream_path)
    looks = {"evidently": by_evidently, "nannyml": by_nannyml}[tool]
    found = looks(reference, stream, float(seconds))
    found |= {"version": __import__(tool).__version__, "seconds": time.perf_counter() - start}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
