"""Drift monitoring: false alarms, power, time and memory, beside evidently and NannyML.

    python3.11 -m venv /tmp/evidently && /tmp/evidently/bin/pip install evidently 'pandas<3' pyarrow
    python3.11 -m venv /tmp/nannyml && /tmp/nannyml/bin/pip install nannyml statsmodels 'pandas<3' pyarrow
    python -m benchmarks.monitoring_drift --evidently /tmp/evidently/bin/python --nannyml ...

Without the interpreters the peers are left out. They run in processes of their own over the same Parquet
files, by their defaults. evidently 0.7 does not import beside pandas 3, and NannyML 0.13 does not without
statsmodels, hence the pins. Prints markdown.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.drift_peers import peak_mb
from benchmarks.drift_tables import N_COLUMNS, profile, table
from fraud.data.parquet_batches import parquet_batches
from fraud.data.profile import DAY_MS, Profile, load_profile
from fraud.data.simulate import simulate
from fraud.data.table import Transactions, transactions_from_frame
from fraud.models.reference import Batch, Reference, build_reference, in_batches
from fraud.monitoring.drift import measure_drift, start_window

Shift = Callable[[pd.DataFrame, np.random.Generator], None]
REFERENCE_DAY, WINDOW_DAY = 20_000, 20_063
PEER_SECONDS = 900
PEER_WINDOWS = 50
"""Windows that peers are shown: they take seconds for each."""
SEASON = Path("/work/shared/data/sparkov_v05.parquet")
HANDBOOK = SEASON.with_name("handbook_simulated.parquet")


def drifted(reference: Reference, path: Path) -> list[str]:
    """Return the columns that drifted in a file."""
    window = start_window(reference)
    for transactions in parquet_batches(path, profile()):
        window.update(Batch(transactions))
    return list(measure_drift(reference, window.sketch()).drifted)


def reference_of(path: Path) -> Reference:
    """Return the sketch of a file."""
    return build_reference(profile(), lambda: map(Batch, parquet_batches(path, profile())))


def peer(interpreter: str, tool: str, reference: Path, windows: Path) -> dict[str, Any]:
    """Return what a peer found, or the last line that it printed."""
    out = windows.with_suffix(f".{tool}.json")
    script = Path(__file__).with_name("drift_peers.py")
    quiet = os.environ | {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONPATH": ""}
    command = [interpreter, script, tool, reference, windows, out]
    try:
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=PEER_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {PEER_SECONDS} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return dict(json.loads(out.read_text()))


def speed(peers: dict[str, str], directory: Path, n: int) -> None:
    """Compare n with n rows."""
    rng = np.random.default_rng(1)
    paths = directory / "reference.parquet", directory / "window.parquet"
    for path, day in zip(paths, (REFERENCE_DAY, REFERENCE_DAY + 70), strict=True):
        table(rng, n, day, 60).to_parquet(path)
    ours = []
    for _ in range(3):
        command = [sys.executable, "-m", "benchmarks.monitoring_drift", "--one", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        ours.append(json.loads(done.stdout))
    best = min(ours, key=lambda run: run["seconds"])
    print(f"\n## {n:,} against {n:,} rows x {N_COLUMNS} columns, from Parquet\n")
    print("| | seconds | CPU seconds | peak MB | times our CPU | drifted (none did) |")
    print("|---|---|---|---|---|---|")
    for name, part in (("against the bundle's sketch", ""), ("making that sketch", "reference_")):
        seconds, cpu = best[f"{part}seconds"], best[f"{part}cpu"]
        print(f"| ours, {name} | {seconds:.1f} | {cpu:.1f} | {best['peak_mb']:.0f} | 1 | {best['n']} |")
    print(end="", flush=True)
    for tool, interpreter in peers.items():
        found = peer(interpreter, tool, *paths)
        if "error" in found:
            print(f"| {tool} | {found['error']} | - | - | - | - |", flush=True)
            continue
        n_found = len(next(iter(found["drifted"].values())))
        seconds, cpu, peak = found["seconds"], found["cpu"], found["peak_mb"]
        version, ratio = found["version"], cpu / best["cpu"]
        print(
            f"| {tool} {version} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} | {ratio:.0f} | {n_found} |",
            flush=True,
        )
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"\nOurs: best of three. Load averages at the end, on {os.cpu_count()} cores: {loads}.", flush=True)


def one(reference_path: Path, window_path: Path) -> None:
    """Print the time and memory of one comparison."""
    clocks = [(time.perf_counter(), time.process_time())]
    reference = reference_of(reference_path)
    clocks.append((time.perf_counter(), time.process_time()))
    n = len(drifted(reference, window_path))
    clocks.append((time.perf_counter(), time.process_time()))
    (_, _), (made, made_cpu), (took, took_cpu) = [(0.0, 0.0), *np.diff(clocks, axis=0).tolist()]
    answer = {"reference_seconds": made, "reference_cpu": made_cpu, "seconds": took, "cpu": took_cpu}
    print(json.dumps(answer | {"peak_mb": peak_mb(), "n": n}))


def shifts() -> dict[str, tuple[str, Shift]]:
    """Return each injected change, with the column that it changes."""

    def add(column: str, change: Callable[[pd.Series, np.random.Generator], Any]) -> tuple[str, Shift]:
        return column, lambda frame, rng: frame.__setitem__(column, change(frame[column], rng))

    def replaced(values: pd.Series, rng: np.random.Generator, share: float, value: object) -> pd.Series:
        return values.astype(object).where(rng.random(len(values)) >= share, value)

    return {
        "normal, +0.1 sd": add("n1", lambda v, r: v + 0.1),
        "normal, +0.25 sd": add("n1", lambda v, r: v + 0.25),
        "normal, +0.5 sd": add("n1", lambda v, r: v + 0.5),
        "normal, spread x1.5": add("n1", lambda v, r: v * 1.5),
        "amount x1.2": add("n0", lambda v, r: v * 1.2),
        "amount x1.5": add("n0", lambda v, r: v * 1.5),
        "unit change, amount x100": add("n0", lambda v, r: v * 100),
        "5% of a column null": add("n0", lambda v, r: v.where(r.random(len(v)) >= 0.05)),
        "a column all null": add("n0", lambda v, r: v * np.nan),
        "a new level, 1%": add("c1", lambda v, r: replaced(v, r, 0.01, "NEW")),
        "a new level, 5%": add("c1", lambda v, r: replaced(v, r, 0.05, "NEW")),
        "levels mixed, 20%": add("c1", lambda v, r: replaced(v, r, 0.2, "L4")),
    }


def write_windows(
    path: Path, n: int, size: int, rng: np.random.Generator, shift: Shift | None = None
) -> None:
    """Write n windows of a week each."""
    frames = []
    for number in range(n):
        frame = table(rng, size, WINDOW_DAY, 7)
        frame["c1"] = frame["c1"].astype(object)
        if shift is not None:
            shift(frame, rng)
        frame["c1"] = frame["c1"].astype(str)
        frames.append(frame.assign(window=number))
    pd.concat(frames, ignore_index=True).to_parquet(path, row_group_size=size)


def ours_by_window(reference: Reference, path: Path, size: int) -> dict[str, list[str]]:
    """Return the drifted columns of each window of a file."""
    found = {}
    for number, transactions in enumerate(parquet_batches(path, profile(), size)):
        window = start_window(reference)
        window.update(Batch(transactions))
        found[str(number)] = list(measure_drift(reference, window.sketch()).drifted)
    return found


def false_alarms(peers: dict[str, str], directory: Path, n: int, size: int) -> Path:
    """Compare windows without drift."""
    rng = np.random.default_rng(2)
    reference_path, windows, few = (directory / f"{name}.parquet" for name in ("small", "null", "few"))
    table(rng, 10 * size, REFERENCE_DAY, 56).to_parquet(reference_path)
    write_windows(windows, n, size, rng)
    pd.read_parquet(windows).query(f"window < {PEER_WINDOWS}").to_parquet(few)
    print(f"\n## Windows of {size:,} rows without drift, {N_COLUMNS} columns, independent rows\n")
    print("| | windows with an alert | columns alerted, of all |\n|---|---|---|")
    _alarms("ours", ours_by_window(reference_of(reference_path), windows, size))
    for tool, interpreter in peers.items():
        answer = peer(interpreter, tool, reference_path, few)
        if "error" in answer:
            print(f"| {tool} | {answer['error']} | - |", flush=True)
        else:
            _alarms(f"{tool}, any column", answer["drifted"])
    return reference_path


def _alarms(tool: str, by_window: dict[str, list[str]]) -> None:
    alarmed = sum(bool(c) for c in by_window.values())
    columns = sum(map(len, by_window.values())) / (len(by_window) * N_COLUMNS)
    n = len(by_window)
    print(f"| {tool} | {alarmed} of {n} ({alarmed / n:.1%}) | {columns:.2%} |", flush=True)


def power(peers: dict[str, str], directory: Path, reference_path: Path, n: int, size: int) -> None:
    """Compare windows with one changed column; peers judge each column by itself and are shown that one."""
    rng = np.random.default_rng(3)
    reference = reference_of(reference_path)
    print(f"\n## Share of {n} windows of {size:,} rows in which a change is found\n")
    print("| change | ours | " + " | ".join(peers) + " |\n|---|---|" + "---|" * len(peers), flush=True)
    for name, (column, shift) in shifts().items():
        path, narrow = directory / "shift.parquet", directory / "narrow.parquet"
        write_windows(path, n, size, rng, shift)
        pd.read_parquet(path, columns=[column, "window"]).to_parquet(narrow)
        cells = [_share(ours_by_window(reference, path, size), column)]
        for tool, interpreter in peers.items():
            answer = peer(interpreter, tool, reference_path, narrow)
            cells.append(answer.get("error") or _share(answer["drifted"], column))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _share(found: dict[str, list[str]], column: str) -> str:
    errors = [c for columns in found.values() for c in columns if c.startswith("ValueError")]
    if errors:
        return f"raises `{errors[0][:60]}...`"
    return f"{sum(column in columns for columns in found.values()) / len(found):.0%}"


def worlds() -> Iterator[tuple[str, Transactions, Profile]]:
    """Return tables in which nothing drifts by intent, of at least 175 days."""
    cards = load_profile("cards")
    for seed in (7, 8):
        frame = simulate(450_000, seed=seed, start=date(2026, 1, 1), days=270)
        yield "simulator", transactions_from_frame(frame, cards), cards
    if HANDBOOK.is_file():
        handbook = load_profile("handbook")
        yield "Handbook", transactions_from_frame(pd.read_parquet(HANDBOOK), handbook), handbook


def sliced_worlds() -> None:
    """Slice worlds without drift into windows."""
    print("\n## Worlds without intended drift, in windows: cards, merchants, weekends, holidays, ageing\n")
    print("The reference is days 120 to 174 of each; windows lie before and after.\n")
    print("| world | window | windows | with an alert | columns |\n|---|---|---|---|---|")
    alarms: dict[tuple[str, str], list[list[str]]] = {}
    for name, data, of in worlds():
        for hours, found in _sliced(data, of):
            alarms.setdefault((name, f"{hours} h"), []).append(found)
    for (name, length), found in alarms.items():
        n = sum(map(bool, found))
        columns = ", ".join(sorted({c for columns in found for c in columns})) or "-"
        print(f"| {name} | {length} | {len(found)} | {n} ({n / len(found):.1%}) | {columns} |", flush=True)


def _sliced(data: Transactions, of: Profile) -> Iterator[tuple[int, list[str]]]:
    time_ms = data.times()
    origin = int(time_ms[0] // DAY_MS) * DAY_MS
    day = (time_ms - origin) // DAY_MS
    reference_rows = Batch(data.take(np.flatnonzero((day >= 120) & (day < 175))))
    reference = build_reference(of, lambda: in_batches(reference_rows))
    for hours, step in ((6, 30), (24, 48), (72, 96), (168, 84)):
        for start in range(0, (int(day[-1]) + 1) * 24 - hours, step):
            if start + hours > 119 * 24 and start < 176 * 24:
                continue
            first = origin + start * 3_600_000
            rows = np.arange(*np.searchsorted(time_ms, [first, first + hours * 3_600_000]))
            window = start_window(reference)
            window.update(Batch(data.take(rows)))
            yield hours, list(measure_drift(reference, window.sketch()).drifted)


def season() -> None:
    """Compare December 2020 of Sparkov with its autumn, with and without December 2019 as the like period."""
    if not SEASON.is_file():
        print(f"\nNo season: {SEASON} is not here.")
        return
    print("\n## A season: Sparkov, reference September and October 2020\n")
    print("| window | without a like period | with the same weeks of the year before |\n|---|---|---|")
    sparkov = load_profile("sparkov")
    parts = list(_stretches(sparkov))
    reference_batch, windows = parts[0][1], parts[1:]
    reference = build_reference(sparkov, lambda: in_batches(reference_batch))
    for name, window_batch, like_batch in windows:
        sketches = []
        for batch in (window_batch, like_batch):
            tally = start_window(reference)
            tally.update(batch)
            sketches.append(tally.sketch())
        plain = measure_drift(reference, sketches[0]).drifted
        seasonal = measure_drift(reference, sketches[0], like_period=sketches[1]).drifted
        print(f"| {name} | {', '.join(plain) or 'ok'} | {', '.join(seasonal) or 'ok'} |", flush=True)


def _stretches(sparkov: Profile) -> Iterator[tuple[str, Batch, Batch]]:
    frame = pd.read_parquet(SEASON)
    data = transactions_from_frame(frame, sparkov)
    time_ms = data.times()

    def between(first: str, last: str) -> Batch:
        ends = [pd.Timestamp(day).value // 1_000_000 for day in (first, last)]
        return Batch(data.take(np.arange(*np.searchsorted(time_ms, ends))))

    autumn = between("2020-09-01", "2020-11-01")
    yield "reference", autumn, autumn
    for first, last in (
        ("2020-11-09", "2020-11-16"),
        ("2020-12-07", "2020-12-14"),
        ("2020-12-14", "2020-12-28"),
    ):
        before = [str(pd.Timestamp(day) - pd.Timedelta(days=364))[:10] for day in (first, last)]
        yield f"{first} to {last}", between(first, last), between(*before)
    now, before = between("2020-12-14", "2020-12-28"), between("2019-12-16", "2019-12-30")
    yield "the last, amounts x1.5, this year only", _dearer(now, sparkov), before
    yield "the last, amounts x1.5, in both years", _dearer(now, sparkov), _dearer(before, sparkov)


def _dearer(batch: Batch, of: Profile) -> Batch:
    amount = of.columns.amount or ""
    numbers = dict(batch.transactions.numbers)
    return Batch(replace(batch.transactions, numbers=numbers | {amount: numbers[amount] * 1.5}))


def main() -> None:
    """Run everything, print markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evidently", default="")
    parser.add_argument("--nannyml", default="")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--power-windows", type=int, default=20)
    parser.add_argument("--only", default="speed,false,power,world,season")
    parser.add_argument("--one", nargs=2, type=Path)
    chosen = parser.parse_args()
    if chosen.one:
        one(*chosen.one)
        return
    peers = {t: getattr(chosen, t) for t in ("evidently", "nannyml") if getattr(chosen, t)}
    print("# Drift monitoring\n\n`python -m benchmarks.monitoring_drift`, see its head for the peers\n")
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} shared cores.",
        flush=True,
    )
    only = set(chosen.only.split(","))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if "speed" in only:
            speed(peers, directory, chosen.rows)
        if only & {"false", "power"}:
            path = false_alarms(peers, directory, chosen.windows, 2_000)
            if "power" in only:
                power(peers, directory, path, chosen.power_windows, 2_000)
    if "world" in only:
        sliced_worlds()
    if "season" in only:
        season()


if __name__ == "__main__":
    main()
