"""How long the real `fraud monitor` takes, and how much memory, on a log of a million predictions.

    python -m benchmarks.monitoring_product [--rows 1000000] [--days 100] [--windows 7d,28d]

The log is written as the demo writes it: JSONL shards of events in a local repository, one a day, of the
profile `cards`. Transactions are simulated ones with times of their own, repeated until there are enough;
scores are drawn, since nothing here depends on how good they are; a tenth is asked about by lot, and of those
60% answer. The command is run in a process of its own for each window, and its highest resident memory is
what the system counted. Needs about 2 GB of disk, and minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from fraud.data.profile import load_profile
from fraud.data.sources import load_transactions
from fraud.feedback.events import Row, prediction_row, submission
from fraud.feedback.keeping import KEEP_CONSENT_VERSION
from fraud.feedback.shards import json_line
from fraud.models.bundle import load_bundle
from fraud.models.examples import to_record
from fraud.records import MODELS, Flag, Label, ModelVersion, Prediction, Score, Verdict
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add
from fraud.service import CONSENT_VERSION

START = datetime(2025, 1, 1, tzinfo=UTC)
ASKED, ANSWERED, FRAUDS = 0.1, 0.6, 0.01
_DAYS_PER_COMMIT = 10


def write_log(repository: LocalRepository, artifacts: Path, n_rows: int, n_days: int) -> int:
    """Commit the log; return how many rows it holds."""
    profile, bundle = load_profile("cards"), load_bundle(artifacts)
    table, _ = load_transactions(profile, None)
    records = [to_record(table, row, profile) for row in range(min(len(table), 20_000))]
    version = ModelVersion(bundle.version, None, bundle.manifest_digest)
    thresholds = {m: bundle.models[m].thresholds for m in MODELS}
    rng = np.random.default_rng(5)
    head, written, operations = None, 0, []
    for day in range(n_days):
        lines = []
        for number in range(day * n_rows // n_days, (day + 1) * n_rows // n_days):
            moment = START + timedelta(days=day, seconds=int(rng.integers(0, 86_400)))
            record = {**records[number % len(records)], profile.columns.time: moment.isoformat()}
            fraud = rng.random() < FRAUDS
            scores = {
                m: Score(m, p, thresholds[m], thresholds[m].decide(p))
                for m, p in zip(MODELS, rng.beta(2 if fraud else 0.3, 3 if fraud else 9, 2), strict=True)
            }
            asked = bool(rng.random() < ASKED)
            name = f"p_{number:024d}"
            prediction = Prediction(
                name, moment, profile.name, record, None, scores, version, 4.0, asked, ASKED
            )
            for row in rows_of(prediction, fraud, answers=asked and rng.random() < ANSWERED):
                lines.append(json_line(row))
        written += len(lines)
        shard = f"data/train-{START + timedelta(days=day):%Y%m%d}-bench-{day:06d}.jsonl"
        operations.append(Add(shard, b"".join(lines)))
        if len(operations) == _DAYS_PER_COMMIT or day == n_days - 1:
            head = repository.commit(operations, f"Days until {day}", head)
            operations = []
    return written


def rows_of(prediction: Prediction, fraud: bool, *, answers: bool) -> Iterator[Row]:
    """Yield the events of a prediction: kept, and a word on it if there is one."""
    lot = {"audit_asked": prediction.audit_asked, "audit_probability": prediction.audit_probability}
    yield prediction_row(prediction, node="bench", consent_version=KEEP_CONSENT_VERSION, **lot)
    if answers:
        label = Label.FRAUD if fraud else Label.LEGITIMATE
        name = prediction.prediction_id.replace("p_", "f_")
        said = prediction.predicted_at + timedelta(hours=5)
        reporter = f"r{prediction.prediction_id[-4:]}"
        flag = Flag(
            name, said, prediction.prediction_id, Verdict.WRONG, label, "", CONSENT_VERSION, reporter, True
        )
        yield submission(prediction, flag, node="bench", **lot)[1]


def watched(played: Path, window: str, until: datetime) -> tuple[int, float, float, float]:
    """Return exit code, seconds, CPU seconds and the highest resident MB of one run."""
    command = [sys.executable, "-m", "fraud", "monitor", "--simulated", str(played)]
    command += ["--window", window, "--until", f"{until:%Y-%m-%dT%H:%MZ}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    return os.waitstatus_to_exitcode(status), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print a row for each window."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--windows", default="7d,28d")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--keep", type=Path, help="where the log is, or is to be left, for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        played = options.keep or Path(directory)
        played.mkdir(parents=True, exist_ok=True)
        repository = LocalRepository(played / "dataset.git")
        if repository.head() is None:
            write_log(repository, options.artifacts, options.rows, options.days)
        load = ", ".join(f"{value:.0f}" for value in os.getloadavg())
        print(f"\n## `fraud monitor` on {options.rows:,} predictions of {options.days} days\n")
        print(f"Load averages {load}; {os.cpu_count()} cores.\n")
        print("| window | exit code | seconds | CPU seconds | peak MB |\n|---|---:|---:|---:|---:|")
        for window in options.windows.split(","):
            code, took, cpu, peak = watched(played, window, START + timedelta(days=options.days))
            print(f"| {window} | {code} | {took:.0f} | {cpu:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
