"""Every acknowledged receipt is in the dataset exactly once, however often its process is killed."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository

COMMON = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fraud.feedback.events import submission
from fraud.feedback.store import FeedbackStore
from fraud.ids import new_id
from fraud.records import *
from fraud.records import MODELS
from fraud.repositories.local import LocalRepository
home = Path(sys.argv[1])
store = FeedbackStore(home / "store", LocalRepository(home / "dataset.git"), "n1")
"""

APPEND = (
    COMMON
    + """
thresholds = Thresholds(0.2, 0.8)
scores = {model: Score(model, 0.5, thresholds, Decision.REVIEW) for model in MODELS}
version = ModelVersion("1.0.0", None, "d" * 64)
while True:
    now = datetime.now(UTC)
    prediction = Prediction(new_id("p"), now, "cards", {"amount": 1}, None, scores, version, 1.0)
    flag = Flag(new_id("f"), now, prediction.prediction_id, Verdict.WRONG, Label.FRAUD, "", "1", "r1")
    print(store.append(submission(prediction, flag, node="n1")).receipt_id, flush=True)
"""
)

DRAIN = (
    COMMON
    + """
print("ready", flush=True)
while True:
    report = store.drain()
    if report.problem:
        print(report.problem, flush=True)
"""
)

ROUNDS = 6


def start(code: str, home: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", code, home], stdout=subprocess.PIPE, text=True, cwd=root)


def kill(process: subprocess.Popen[str]) -> list[str]:
    process.send_signal(signal.SIGKILL)
    # A line without its end was cut by the kill: nobody was told of that receipt.
    output = process.communicate(timeout=60)[0]
    return [line.strip() for line in output.splitlines(keepends=True) if line.endswith("\n")]


def test_every_acknowledged_receipt_is_in_the_dataset_exactly_once(tmp_path):
    chance = random.Random(11)  # noqa: S311 - a reproducible choice, not a secret
    acknowledged: list[str] = []
    problems: list[str] = []
    for _ in range(ROUNDS):
        appender, drainer = start(APPEND, tmp_path), start(DRAIN, tmp_path)
        acknowledged.append(appender.stdout.readline().strip())
        assert drainer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.6))
        victims = [(appender, acknowledged), (drainer, problems)]
        chance.shuffle(victims)
        for process, output in victims:
            output += kill(process)
            time.sleep(chance.uniform(0.0, 0.2))
    repository = LocalRepository(tmp_path / "dataset.git")
    store = FeedbackStore(tmp_path / "store", repository, "n1")
    store.check()
    assert store.drain().problem is None
    assert problems == []
    events, quarantined = read_events(repository, repository.head())
    assert quarantined == []
    in_dataset = Counter(event.event_id for event in events if isinstance(event, FlagEvent))
    assert len(acknowledged) > ROUNDS
    assert set(in_dataset) >= set(acknowledged)
    # read_events would hide a row that was written twice, so the lines themselves are counted.
    head = repository.head()
    shards = [path for path in repository.files(head) if path.startswith("data/")]
    n_lines = sum(repository.read(path, head).count(b"\n") for path in shards)
    assert n_lines == len(events) == 2 * len(in_dataset)
    assert all(store.receipt(receipt).committed for receipt in acknowledged)
    assert store.backlog() == 0
