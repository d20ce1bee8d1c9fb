"""Point-in-time features of the Handbook's 1.75 million rows: this package against the pandas way.

    python -m benchmarks.features ../shared/data/handbook_simulated.parquet [--runs 3]

Both compute, per customer, count and mean amount of the last 1, 7 and 30 days, and per terminal count and
fraud rate of labels known after 7 days. The pandas way is groupby().rolling() on a time index, as the
Handbook's own chapter does it. Runs are interleaved; medians are printed, and how far the answers differ.
"""

import argparse
import platform
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

from fraud.data.profile import DAY_MS, load_profile
from fraud.data.table import transactions_from_frame
from fraud.features.history import History

WINDOWS = (1, 7, 30)  # days


def with_pandas(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the same features by groupby().rolling(), windows closed on the left."""
    columns = {}
    by_customer = frame.set_index("TX_DATETIME").groupby("CUSTOMER_ID")["TX_AMOUNT"]
    by_terminal = frame.set_index("TX_DATETIME").groupby("TERMINAL_ID")["TX_FRAUD"]
    delay = by_terminal.rolling("7D", closed="left")
    frauds_in_delay, count_in_delay = delay.sum().fillna(0), delay.count().fillna(0)
    for days in WINDOWS:
        rolling = by_customer.rolling(f"{days}D", closed="left")
        count, mean = rolling.count().fillna(0), rolling.mean()
        columns[f"CUSTOMER_ID_count_{days}d"] = in_order(count, frame, "CUSTOMER_ID")
        columns[f"CUSTOMER_ID_mean_{days}d"] = in_order(mean, frame, "CUSTOMER_ID")
        longer = by_terminal.rolling(f"{7 + days}D", closed="left")
        frauds = longer.sum().fillna(0) - frauds_in_delay
        rate = frauds / (longer.count().fillna(0) - count_in_delay)
        count = by_terminal.rolling(f"{days}D", closed="left").count().fillna(0)
        columns[f"TERMINAL_ID_count_{days}d"] = in_order(count, frame, "TERMINAL_ID")
        columns[f"TERMINAL_ID_fraud_rate_{days}d"] = in_order(rate, frame, "TERMINAL_ID")
    return columns


def in_order(values: pd.Series, frame: pd.DataFrame, key: str) -> np.ndarray:
    """Return a grouped result in the order of the table."""
    order = np.argsort(frame[key].to_numpy(), kind="stable")
    result = np.empty(len(frame))
    result[order] = values.to_numpy()
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    profile = load_profile("handbook")
    frame = pd.read_parquet(options.file).sort_values("TX_DATETIME", kind="stable", ignore_index=True)
    table = transactions_from_frame(frame, profile)
    History.of(table.take(np.arange(1000)), profile).features(table.take(np.arange(1000)))  # compile
    ours, theirs = [], []
    for _ in range(options.runs):
        start = perf_counter()
        mine = History.of(table, profile).features(table)
        middle = perf_counter()
        reference = with_pandas(frame)
        ours.append(middle - start)
        theirs.append(perf_counter() - middle)
    start = perf_counter()
    transactions_from_frame(frame, profile)
    typed = perf_counter() - start
    print(f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    print(f"{len(frame):,} rows over {(table.times()[-1] - table.times()[0]) / DAY_MS:.0f} days\n")
    print("| | seconds (median) | rows/s |\n|---|---|---|")
    print(f"| this package, 12 features | {median(ours):.2f} | {len(frame) / median(ours):,.0f} |")
    print(f"| pandas groupby().rolling() | {median(theirs):.2f} | {len(frame) / median(theirs):,.0f} |")
    ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"\nratio {ratio:.1f}; checking and typing the table takes {typed:.2f} s more")
    for name, values in reference.items():
        same = np.isclose(values, mine[name], rtol=1e-9, atol=1e-9, equal_nan=True)
        if not same.all():
            print(f"{name}: {(~same).sum():,} rows differ, first {np.flatnonzero(~same)[:3].tolist()}")


if __name__ == "__main__":
    main()
