"""What evidently and NannyML say of the same windows, by their defaults; run by an interpreter that has them.

    <venv>/bin/python benchmarks/drift_peers.py evidently|nannyml reference.parquet windows.parquet out.json

`windows.parquet` has a column `window`, the number of each row's window; all have one size. Prints nothing;
writes {"version", "seconds", "peak_mb", "drifted": {window: [columns]}}.
"""

import json
import sys
import time
import warnings

import pandas as pd


def peak_mb() -> float:
    """Return this process's peak memory; getrusage would report its parent's, if that was larger."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


LEFT_OUT = ["t", "card", "window"]


def by_evidently(reference: pd.DataFrame, windows: pd.DataFrame) -> dict[int, list[str]]:
    """DataDriftPreset: a test by the column's type and the number of rows, each judged by itself."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    drifted = {}
    columns = [c for c in reference.columns if c not in LEFT_OUT]
    for number, window in windows.groupby("window"):
        try:
            result = Report([DataDriftPreset()]).run(window[columns], reference[columns])
        except ValueError as error:  # an empty column
            drifted[int(number)] = [f"ValueError: {error}"]
            continue
        drifted[int(number)] = _evidently_columns(result.dict())
    return drifted


def _evidently_columns(result: dict) -> list[str]:
    found = []
    for metric in result["metrics"]:
        config = metric.get("config", {})
        column, value = config.get("column"), metric.get("value")
        if column is None or not isinstance(value, int | float):
            continue
        # A p-value alerts below its threshold, a distance from its threshold on.
        by_p = "p_value" in str(config.get("method", metric.get("metric_id", "")))
        threshold = config.get("threshold", 0.05 if by_p else 0.1)
        if value < threshold if by_p else value >= threshold:
            found.append(column)
    return found


def by_nannyml(reference: pd.DataFrame, windows: pd.DataFrame) -> dict[int, list[str]]:
    """UnivariateDriftCalculator and MissingValuesCalculator, both at 3 standard deviations of chunks."""
    import nannyml

    columns = [c for c in reference.columns if c not in LEFT_OUT]
    size = int((windows["window"] == windows["window"].iloc[0]).sum())
    calculators = [
        nannyml.UnivariateDriftCalculator(column_names=columns, chunk_size=size),
        nannyml.MissingValuesCalculator(column_names=columns, chunk_size=size),
    ]
    drifted: dict[int, set[str]] = {int(w): set() for w in windows["window"].unique()}
    order = list(drifted)
    for calculator in calculators:
        calculator.fit(reference[columns])
        frame = calculator.calculate(windows[columns].reset_index(drop=True)).to_df()
        alerts = frame.loc[:, [c for c in frame.columns if c[-1] == "alert"]]
        period = frame[next(c for c in frame.columns if c[-1] == "period")]
        for row, (_, values) in enumerate(alerts[period == "analysis"].iterrows()):
            drifted[order[row]] |= {key[0] for key, alert in values.items() if bool(alert)}
    return {window: sorted(found) for window, found in drifted.items()}


def main() -> None:
    """Read, compare, write."""
    warnings.simplefilter("ignore")
    tool, reference_path, windows_path, out = sys.argv[1:5]
    start, start_cpu = time.perf_counter(), time.process_time()
    reference, windows = pd.read_parquet(reference_path), pd.read_parquet(windows_path)
    reference = reference[[c for c in reference.columns if c in windows.columns]]
    if "window" not in windows:
        windows["window"] = 0
    drifted = {"evidently": by_evidently, "nannyml": by_nannyml}[tool](reference, windows)
    document = {
        "version": __import__(tool).__version__,
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - start_cpu,
        "peak_mb": peak_mb(),
        "drifted": drifted,
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(document, file)


if __name__ == "__main__":
    main()
