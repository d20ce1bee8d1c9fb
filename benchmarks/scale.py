"""How fast, and in how much memory, `--engine dask` trains and scores: by rows, by workers, by steps.

    python -m fraud simulate --out /tmp/t1m --rows 1000000 --days 270
    python -m benchmarks.scale train /tmp/t1m --workers 2 --memory-limit 2GB
    python -m benchmarks.scale score /tmp/t1m --workers 2 --memory-limit 2GB
    python -m benchmarks.scale process /tmp/t1m
    python -m benchmarks.scale curve
    python -m benchmarks.scale plan

Every run adds a line to --log (default: /tmp/scale.jsonl); `curve` prints all of them as tables, and what a
million rows cost. Seconds are told twice: by the clock, and of the processors (this process and the workers),
which is what stays comparable on a machine that others use. `plan` reckons what a billion rows would take.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fraud.data.profile import load_profile
from fraud.models.evaluate import Ranking
from fraud.models.fitting import Parts, fit_model, pack
from fraud.models.train import Prepared, prepare
from fraud.records import MODELS
from fraud.scale.boosting import fit_boosting_at_scale
from fraud.scale.cluster import Engine, EngineOptions, engine
from fraud.scale.forest import fit_forest_at_scale
from fraud.scale.partitions import parquet_files, partitions_of
from fraud.scale.preparing import prepare_at_scale
from fraud.scale.scoring import score_directory
from fraud.settings import read_settings

WORKERS, CORES, WORKER_BYTES = 8, 16, 64e9
"""Of the plan: enough memory for what boosting holds."""
BUSY, PRICE = 0.5, 0.05
"""Assumed, not measured: the share of paid time that is worked, and a list price of general machines."""
SHARE_OF_MEMORY, BYTES_PER_FOREST_ROW = 0.6, 1080
STEPS = {
    "type_partition": "read, type, scatter",
    "survey": "count",
    "_one_bucket": "history features",
    "assemble": "join, transform",
    "accept_file": "read, check, scatter",
    "score_one": "join, score, write",
}


def used() -> tuple[float, int]:
    """Return processor seconds and peak memory in bytes of the process that this runs in."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime, own.ru_maxrss * 1024


class Timed(Engine):
    """An engine that takes note of what each step took."""

    def __init__(self, connected: Engine) -> None:
        super().__init__(connected.client, connected.folder, lambda message: print(message, flush=True))
        self.seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def cpu(self) -> float:
        """Return the processor seconds of this process and the workers."""
        return used()[0] + sum(seconds for seconds, _ in self.each_worker(used).values())

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """Add what a block takes to a step."""
        clock, cpu = time.perf_counter(), self.cpu()
        yield
        self.seconds[step][0] += time.perf_counter() - clock
        self.seconds[step][1] += self.cpu() - cpu
        print(f"{step}: {time.perf_counter() - clock:.1f} s", flush=True)

    def each(self, function: Callable[..., Any], items: Sequence[Any], *shared: Any) -> list[Any]:
        """Do what an engine does, and take note."""
        step = STEPS.get(getattr(function, "__name__", ""))
        if step is None:
            return super().each(function, items, *shared)
        with self.timing(step):
            return super().each(function, items, *shared)

    def peak(self) -> int:
        """Return the most memory that a worker has had, in bytes."""
        return max(peak for _, peak in self.each_worker(used).values())


def train(options: argparse.Namespace) -> dict[str, Any]:
    profile = load_profile(options.profile)
    with tempfile.TemporaryDirectory() as folder:
        chosen = EngineOptions(
            workers=options.workers, memory_limit=options.memory_limit, scratch=options.scratch
        )
        with engine(chosen, Path(folder) / "bundle") as connected:
            timed = Timed(connected)
            began = time.perf_counter()
            partitions = partitions_of(parquet_files(options.table), options.partition_rows)
            ready = prepare_at_scale(timed, partitions, profile)
            found: dict[str, Any] = {"preparing_s": time.perf_counter() - began}
            for name, fit in (("random_forest", fit_forest_at_scale), ("xgboost", fit_boosting_at_scale)):
                with timed.timing(name):
                    _, final = fit(timed, ready.disk, profile.models, 7, refit=profile.evaluation.refit)
                found |= {f"{name}_ap": ap_of(name, final, ready.prepared), f"{name}_rows": final.n_rows}
            disk = sum(f.stat().st_size for f in timed.folder.rglob("*") if f.is_file())
            found |= {
                "rows": ready.whole.n_rows,
                "peak": timed.peak(),
                "steps": dict(timed.seconds),
                "disk": disk,
            }
            return found | {"seconds": time.perf_counter() - began}


def ap_of(name: str, final: Any, prepared: Prepared) -> float:
    scores = pack(name, final).probability(prepared.test_features)
    return Ranking.of(prepared.test.labels, scores).auc_and_ap()[1]


def process(options: argparse.Namespace) -> dict[str, Any]:
    """Do the same work in one process, without Dask."""
    import pandas as pd

    from fraud.data.table import transactions_from_frame

    began, steps = time.perf_counter(), {}
    profile = load_profile(options.profile)

    @contextmanager
    def timing(step: str) -> Iterator[None]:
        clock, cpu = time.perf_counter(), used()[0]
        yield
        steps[step] = [time.perf_counter() - clock, used()[0] - cpu]

    with timing("read, type"):
        frame = pd.concat([pd.read_parquet(path) for path in parquet_files(options.table)])
        transactions = transactions_from_frame(frame, profile)
        del frame
    with timing("features"):
        prepared = prepare(transactions, profile)
    found: dict[str, Any] = {"rows": len(transactions)}
    parts = Parts(prepared.train, prepared.calibration, profile.evaluation.refit)
    for name in MODELS:
        with timing(name):
            _, final = fit_model(name, parts, profile.models, 7)
        found |= {f"{name}_ap": ap_of(name, final, prepared), f"{name}_rows": final.n_rows}
    return found | {"peak": used()[1], "steps": steps, "seconds": time.perf_counter() - began}


def score(options: argparse.Namespace) -> dict[str, Any]:
    from fraud.models.bundle import load_bundle
    from fraud.serving.scorer import Scorer

    scorer = Scorer.from_bundle(load_bundle(options.bundle or read_settings().models.artifacts))
    target = Path(tempfile.mkdtemp(dir=options.scratch)) / "scored"
    chosen = EngineOptions(
        workers=options.workers, memory_limit=options.memory_limit, scratch=options.scratch
    )
    try:
        with engine(chosen, target) as connected:
            timed = Timed(connected)
            began = time.perf_counter()
            result = score_directory(
                timed, scorer, options.table, target, datetime(2027, 6, 1, tzinfo=UTC),
                partition_rows=options.partition_rows,
            )  # fmt: skip
            return {
                "rows": result.n_scored,
                "seconds": time.perf_counter() - began,
                "peak": timed.peak(),
                "steps": dict(timed.seconds),
            }
    finally:
        shutil.rmtree(target.parent, ignore_errors=True)


def size_of(table: Path) -> dict[str, int]:
    """Return a table's bytes in its files, and of its cells in memory by the types they have there."""
    files = parquet_files(table)
    first = pq.ParquetFile(files[0]).read_row_group(0)
    n_rows = sum(pq.read_metadata(path).num_rows for path in files)
    return {
        "on_disk": sum(path.stat().st_size for path in files),
        "in_memory": int(first.nbytes / first.num_rows * n_rows),
    }


def curve(lines: Sequence[dict[str, Any]]) -> str:
    """Return all runs as a Markdown table, with what a million rows cost."""
    shown = [
        "| what | rows | workers x limit | seconds | rows/s | processor s | processor s per 1e6 rows | "
        "table in memory | peak of a worker | AP forest / boosting |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        cpu = sum(step[1] for step in one["steps"].values())
        cluster = f"{one['workers']} x {one['memory_limit']}" if one["what"] != "process" else "-"
        ap = f"{one['random_forest_ap']:.4f} / {one['xgboost_ap']:.4f}" if "xgboost_ap" in one else "-"
        shown.append(
            f"| {one['what']} | {one['rows']:,} | {cluster} | {one['seconds']:.0f} | "
            f"{one['rows'] / one['seconds']:,.0f} | {cpu:.0f} | {cpu / one['rows'] * 1e6:.1f} | "
            f"{one['in_memory'] / 1e6:,.0f} MB | {one['peak'] / 1e6:,.0f} MB | {ap} |"
        )
    shown += [
        "",
        "| what | rows | workers | step | seconds | processor s | per 1e6 rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        for step, (clock, cpu) in one["steps"].items():
            per = cpu / one["rows"] * 1e6
            shown.append(
                f"| {one['what']} | {one['rows']:,} | {one['workers']} | {step} | {clock:.1f} | {cpu:.1f} "
                f"| {per:.1f} |"
            )
    return "\n".join(shown)


def plan(lines: Sequence[dict[str, Any]], rows: float = 1e9) -> str:
    """Return what so many rows would take, computed from the newest largest runs of `train` and `score`.

    A plan and no measurement: processor seconds are taken to grow with the rows, which history features and
    scoring do in these runs, those of boosting with the rows that it fits on, and machines to be busy for
    `BUSY` of the time that is paid for. A run whose workers did not hold all rows to boost on gives the
    seconds of each; how many they would be is known from the runs that held them.
    """
    run = {
        what: max((x for x in lines if x["what"] == what), key=lambda x: x["rows"])
        for what in ("train", "score")
    }
    factor = {what: rows / one["rows"] for what, one in run.items()}
    steps = {
        f"{what}: {step}": seconds[1] * factor[what] / 3600
        for what, one in run.items()
        for step, seconds in one["steps"].items()
        if step not in MODELS  # their rows are bounded by the workers' memory, not by the table
    }
    boosted = max(x["xgboost_rows"] / x["rows"] for x in lines if x["what"] == "train") * rows
    boosting = run["train"]["steps"]["xgboost"][1]
    steps["train: xgboost"] = boosting / run["train"]["xgboost_rows"] * boosted / 3600
    forest = run["train"]["steps"]["random_forest"][1]
    per_row = forest / run["train"]["random_forest_rows"]
    sampled = SHARE_OF_MEMORY * WORKER_BYTES / (BYTES_PER_FOREST_ROW)
    steps["train: random_forest (a sample of each worker's own)"] = per_row * sampled / 3600
    hours = sum(steps.values())
    cores = WORKERS * CORES
    wall = hours / cores / BUSY
    shown = [f"| step | core hours for {rows:,.0f} rows |", "|---|---|"]
    shown += [f"| {step} | {value:,.1f} |" for step, value in steps.items()]
    shown += [
        f"| **all** | **{hours:,.1f}** |",
        "",
        "| | |",
        "|---|---|",
        f"| table, Parquet | {run['train']['on_disk'] * factor['train'] / 1e9:,.0f} GB |",
        f"| working directory while training | {run['train']['disk'] * factor['train'] / 1e9:,.0f} GB |",
        f"| rows that boosting fits on, and their memory | {boosted / 1e6:,.0f} million, "
        f"{boosted * 560 / 1e9:,.0f} GB |",
        f"| workers | {WORKERS} of {CORES} cores and {WORKER_BYTES / 1e9:.0f} GB |",
        f"| hours, at {BUSY:.0%} busy | {wall:.1f} |",
        f"| money, at {PRICE} USD per core and hour | {wall * cores * PRICE:,.0f} USD |",
    ]
    return "\n".join(shown)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "score", "process", "curve", "plan"))
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--profile", default="cards")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="2GB")
    parser.add_argument("--partition-rows", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir(), "scale.jsonl"))
    options = parser.parse_args()
    if options.what in ("curve", "plan"):
        lines = [json.loads(line) for line in options.log.read_text().splitlines()]
        print((curve if options.what == "curve" else plan)(lines))
        return
    found = {"train": train, "score": score, "process": process}[options.what](options)
    line = {"what": options.what, "workers": options.workers, "memory_limit": options.memory_limit}
    line |= found | size_of(options.table) | {"load": os.getloadavg()[0]}
    with options.log.open("a") as stream:
        stream.write(json.dumps(line) + "\n")
    print(json.dumps(line, indent=1))


if __name__ == "__main__":
    main()
