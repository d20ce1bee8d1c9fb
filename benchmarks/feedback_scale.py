"""Feedback as the dataset grows: what acknowledging a flag costs, and what reading everything takes.

    python -m benchmarks.feedback_scale [--events 1000000] [--flags 300] [--home DIR]

Acknowledging is measured on one outbox whose dataset and receipts hold 1,000 events, and on one that holds as
many as asked; both take turns, so that a slow moment of the disk meets both. Pulling runs in a process of its
own, whose peak memory is read from the kernel. Shards are of 2,000 events, as the store writes them. With
`--home`, what was built there before is used again.
"""

import argparse
import json
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fraud.feedback.card import CARD_PATH, dataset_card
from fraud.feedback.dataset import pull
from fraud.feedback.events import submission
from fraud.feedback.shards import json_line
from fraud.feedback.store import FeedbackStore
from fraud.ids import new_id
from fraud.records import MODELS, Decision, Flag, Label, ModelVersion, Prediction, Score, Thresholds, Verdict
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add

START = datetime(2026, 1, 1, tzinfo=UTC)
PER_SHARD = 1_000  # submissions, two rows each


def rows(number: int) -> tuple[dict[str, object], dict[str, object]]:
    """Return the two rows of one submission about a typed transaction."""
    score = {model: Score(model, 0.25, Thresholds(0.2, 0.8), Decision.REVIEW) for model in MODELS}
    transaction = {
        "transaction_id": f"t{number}", "occurred_at": "2026-01-05T12:00:00Z", "amount": number / 7,
        "card_id": f"c{number % 997}", "merchant_id": f"m{number % 89}", "category": "grocery",
        "channel": "chip", "country": "BR",
    }  # fmt: skip
    at = START + timedelta(seconds=number)
    version = ModelVersion("1.0.0", None, "d" * 64)
    prediction = Prediction(new_id("p"), at, "cards", transaction, None, score, version, 3.5)
    words = "not me" if number % 3 else ""
    flag = Flag(
        new_id("f"), at, prediction.prediction_id, Verdict.WRONG, Label.FRAUD, words, "1", f"r{number % 50}"
    )
    return submission(prediction, flag, node="bench")


def shards(n_events: int) -> Iterator[tuple[Add, list[str]]]:
    """Yield shards that hold `n_events` in all, and the receipts in each."""
    for first in range(0, n_events // 2, PER_SHARD):
        made = [rows(number) for number in range(first, min(first + PER_SHARD, n_events // 2))]
        content = b"".join(json_line(row) for pair in made for row in pair)
        yield (
            Add(f"data/train-20260101-bench-{first:08d}.jsonl", content),
            [str(p[1]["event_id"]) for p in made],
        )


def build(home: Path, n_events: int) -> FeedbackStore:
    """Return a store whose dataset and committed receipts hold `n_events`."""
    built = home / "built"
    repository = LocalRepository(home / "dataset.git")
    store = FeedbackStore(home / "outbox", repository, "bench")
    store.check()
    if built.exists():
        return store
    with sqlite3.connect(home / "outbox" / "outbox.sqlite3") as database:
        batch: list[Add] = [Add(CARD_PATH, dataset_card().encode())]
        for shard, receipts in shards(n_events):
            batch.append(shard)
            name = shard.path[-14:-6]
            database.execute("INSERT INTO batches VALUES (?, 0, ?)", (name, "0" * 40))
            database.executemany(
                "INSERT INTO submissions (receipt_id, saved_ms, n_rows, checksum, batch_id)"
                " VALUES (?, 0, 2, '', ?)",
                ((receipt, name) for receipt in receipts),
            )
            if len(batch) > 50:
                repository.commit(batch, "bench", repository.head())
                batch = []
        if batch:
            repository.commit(batch, "bench", repository.head())
    built.touch()
    return store


def acknowledge(stores: list[FeedbackStore], n_flags: int) -> list[list[float]]:
    """Return the milliseconds of each acknowledgment, by store; they take turns."""
    times: list[list[float]] = [[] for _ in stores]
    for number in range(n_flags):
        for index, store in enumerate(stores):
            pair = rows(number)
            start = time.perf_counter()
            store.append(pair)
            times[index].append((time.perf_counter() - start) * 1_000)
    return times


def pull_apart(home: Path, out: Path) -> dict[str, float]:
    """Pull in a process of its own; return events, seconds and peak MB."""
    command = [sys.executable, "-m", "benchmarks.feedback_scale", "--pull", str(home), str(out)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def pull_here(home: str, out: str) -> None:
    """Print what one pull took."""
    repository = LocalRepository(Path(home) / "dataset.git")
    head = repository.head()
    assert head is not None
    start = time.perf_counter()
    repository.snapshot(head)
    checked_out, cpu = time.perf_counter(), time.process_time()
    report = pull(repository, head, Path(out))
    done = time.perf_counter()
    cpu = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "events": report.n_events,
        "checkout_s": checked_out - start,
        "pull_s": done - checked_out,
        "cpu_s": cpu,
    }
    print(json.dumps(figures | {"peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--flags", type=int, default=300)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--pull", nargs=2, metavar=("HOME", "OUT"))
    options = parser.parse_args()
    if options.pull:
        pull_here(*options.pull)
        return
    with tempfile.TemporaryDirectory(prefix="fraud-bench-") as folder:
        sizes = [1_000, options.events]
        homes = [(options.home or Path(folder)) / str(size) for size in sizes]
        stores = [build(home, size) for home, size in zip(homes, sizes, strict=True)]
        times = acknowledge(stores, options.flags)
        pulls = [pull_apart(home, home / "out") for home in homes]
    report(sizes, times, pulls)


def report(sizes: list[int], times: list[list[float]], pulls: list[dict[str, float]]) -> None:
    """Print the tables."""
    print("# Feedback at scale\n")
    print(f"`python -m benchmarks.feedback_scale --events {sizes[1]} --flags {len(times[0])}`\n")
    print(f"Python {platform.python_version()}, {platform.machine()}, cores shared with other work.\n")
    print("| events in dataset and outbox | acknowledge, median ms | 95th percentile ms | ratio of medians |")
    print("|---:|---:|---:|---:|")
    for size, taken in zip(sizes, times, strict=True):
        p95 = statistics.quantiles(taken, n=20)[-1]
        ratio = statistics.median(taken) / statistics.median(times[0])
        print(f"| {size:,} | {statistics.median(taken):.2f} | {p95:.2f} | {ratio:.2f} |")
    print("\n| events | check out, s | pull, s | of the CPU, s | events/s | peak memory, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for found in pulls:
        rate = found["events"] / found["pull_s"]
        print(
            f"| {found['events']:,.0f} | {found['checkout_s']:.1f} | {found['pull_s']:.1f} "
            f"| {found['cpu_s']:.1f} | {rate:,.0f} | {found['peak_mb']:,.0f} |"
        )


if __name__ == "__main__":
    main()
