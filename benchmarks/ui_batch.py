"""A table of a million rows through the Table tab's own path: seconds, rows per second, memory, cancelling.

Run: python -m benchmarks.ui_batch [rows]. Writes benchmarks/results/ui_batch.md. The tables are the built-in
simulator's, with as many copies of each card as are needed; the bundle is artifacts/. Everything happens in
this process, as in the demo: the memory named is the whole process's, models and libraries included.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fraud.data.profile import load_profile
from fraud.data.sources import simulated_frame
from fraud.models.bundle import load_bundle
from fraud.serving.scorer import Scorer
from fraud.tables.desk import TableDesk
from fraud.tables.matching import guess

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ui_batch.md"
LIMIT_MB = 2_048


def main(n_rows: int) -> None:
    """Measure a CSV and a Parquet file and write the table."""
    scorer = Scorer.from_bundle(load_bundle(ROOT / "artifacts"))
    base = _resident_mb()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("csv", "parquet"):
            path = Path(folder) / f"table.{ending}"
            # In a process of its own: what makes the table is not what is measured.
            command = [sys.executable, "-m", "benchmarks.ui_batch", str(n_rows), str(path)]
            subprocess.run(command, cwd=ROOT, check=True)
            rows.append(_measure(scorer, path))
    text = _report(n_rows, base, rows)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)
    assert all(row["peak"] < LIMIT_MB for row in rows), "more memory than allowed"


def _write(n_rows: int, path: Path) -> None:
    frame = simulated_frame(load_profile("cards"))
    frame = frame.drop(columns=["is_fraud", "reported_at", "typology"])
    copies = []
    for copy in range(-(-n_rows // len(frame))):
        names = {c: frame[c].astype(str) + f"-{copy}" for c in ("card_id", "transaction_id")}
        copies.append(frame.assign(**names))
    whole = pd.concat(copies).sort_values("occurred_at", kind="stable").head(n_rows)
    table = pa.Table.from_pandas(whole, preserve_index=False)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)


def _measure(scorer: Scorer, path: Path) -> dict[str, float]:
    """Return what one table took; its file is gone afterwards, as the desk takes it over."""
    desk, found = TableDesk(lambda: scorer), {"mb": path.stat().st_size / 1e6}
    peak = _Peak()
    began = time.perf_counter()
    job, sheet = desk.open(path, path.name)
    found["open"] = time.perf_counter() - began
    columns = guess(sheet, scorer.bundle.profile).columns
    desk.start(job, columns)
    _until(lambda: desk.progress(job).step == "score" and desk.progress(job).n_done > 0)
    cancelled = time.perf_counter()
    desk.cancel(job)
    _until(lambda: desk.progress(job).state == "cancelled")
    found["cancel"] = time.perf_counter() - cancelled
    desk.start(job, columns)
    steps: dict[str, float] = {}
    began = time.perf_counter()
    while (now := desk.progress(job)).state in ("waiting", "running"):
        if now.step:
            steps.setdefault(now.step, time.perf_counter() - began)
        time.sleep(0.02)
    found["total"] = time.perf_counter() - began
    assert now.state == "done", now.problem
    found["read"] = steps["history"] - steps["read"]
    found["history"] = steps["score"] - steps["history"]
    found["score"] = found["total"] - steps["score"]
    table = desk.table(job)
    found |= _shown(table, path.parent)
    found["peak"] = peak.stop()
    desk.close()
    return found


def _shown(table: object, folder: Path) -> dict[str, float]:
    took = {}
    for name, action in {
        "first_page": lambda: table.page("differ", 0, 25),
        "page": lambda: table.page("all", 400, 25),
        "csv": lambda: sum(len(part) for part in table.csv()),
        "parquet": lambda: table.write_parquet(folder / "out.parquet"),
    }.items():
        began = time.perf_counter()
        action()
        took[name] = time.perf_counter() - began
    return took


def _until(reached: Callable[[], bool]) -> None:
    while not reached():
        time.sleep(0.005)


class _Peak:
    """The most memory that this process held while it was watched, in MB."""

    def __init__(self) -> None:
        self._most, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self._most = max(self._most, _resident_mb())

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._most


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _report(n_rows: int, base: float, rows: list[dict[str, float]]) -> str:
    lines = [
        "# A large table through the Table tab",
        "",
        f"`python -m benchmarks.ui_batch {n_rows}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"load average {os.getloadavg()[0]:.1f} (other work on the machine slows it), pyarrow "
        f"{pa.__version__}; resident before the first table {base:,.0f} MB. The limit is {LIMIT_MB:,} MB.",
        "",
        "| | CSV | Parquet |",
        "|---|---|---|",
    ]
    for key, words, form in (
        ("mb", "file, MB", "{:,.0f}"),
        ("open", "looked through before it is matched, s", "{:.1f}"),
        ("read", "read, checked and typed, s", "{:.1f}"),
        ("history", "past indexed, s", "{:.1f}"),
        ("score", "features and both models, s", "{:.1f}"),
        ("total", "all of it, s", "{:.1f}"),
        ("cancel", "from Cancel to stopped, while scoring, s", "{:.2f}"),
        ("first_page", "first page after sorting by risk, s", "{:.2f}"),
        ("page", "any other page, s", "{:.3f}"),
        ("csv", "download as CSV (escaped), s", "{:.1f}"),
        ("parquet", "download as Parquet, s", "{:.1f}"),
        ("peak", "most resident memory of the process, MB", "{:,.0f}"),
    ):
        lines.append(f"| {words} | " + " | ".join(form.format(row[key]) for row in rows) + " |")
    speeds = " and ".join(f"{n_rows / row['total']:,.0f}" for row in rows)
    return "\n".join([*lines, "", f"Rows per second, start to end: {speeds}.", ""])


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if len(sys.argv) > 2:
        _write(wanted, Path(sys.argv[2]))
    else:
        main(wanted)
