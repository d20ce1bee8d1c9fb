"""A backup by the operator's guide, taken while answers come and are committed, put back somewhere else."""

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.feedback.dataset import pull
from fraud.feedback.store import FeedbackStore
from fraud.ids import new_id
from fraud.records import Label
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from tests.demo import ROOT, wait_for

GUIDE = (ROOT / "docs/operator-guide.md").read_text(encoding="utf-8")
_AFTERWARDS = 25
"""Flags that are committed between the first file of the backup and the last."""


class Busy:
    """A demo's service with somebody who flags without a pause, and a thread that commits."""

    def __init__(self, home: Path, bundle: Path) -> None:
        store = FeedbackStore(home / "outbox", LocalRepository(home / "dataset.git"), "n")
        champion = Champion(ModelRegistry(LocalRepository(home / "registry")), bundle)
        self.service = FraudService(champion, store, node="n", pseudonym_key=b"k")
        self.acknowledged: list[str] = []
        self._store, self._stopping = store, threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._flags, self._commits)]
        for thread in self._threads:
            thread.start()

    def committed(self) -> int:
        return sum(receipt.committed for receipt in self._store.receipts())

    def _flags(self) -> None:
        example = self.service.examples()[0]["transaction"]
        while not self._stopping.is_set():
            seen = self.service.score(example)
            alert = any(score.decision.value != "approve" for score in seen.scores.values())
            given = self.service.flag(
                seen.prediction_id,
                "right" if alert else "wrong",
                label=Label.FRAUD,
                consent=True,
                session=new_id("s"),
            )
            self.acknowledged.append(given.receipt_id)
            self._stopping.wait(0.01)

    def _commits(self) -> None:
        while not self._stopping.is_set():
            self._store.drain()

    def end(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.service.close()


@pytest.fixture
def busy(tmp_path: Path, small_bundle: Path) -> Iterator[Busy]:
    running = Busy(tmp_path / "home", small_bundle)
    yield running
    running.end()


def types(command: str, **stands_for: Path) -> None:
    """Run a command of the guide, word for word but for what it leaves open."""
    assert command in GUIDE, command
    for word, path in stands_for.items():
        command = command.replace(word, str(path))
    subprocess.run(["bash", "-euc", command], check=True, capture_output=True)


def test_a_backup_of_a_demo_that_commits_holds_every_acknowledged_receipt(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (elsewhere / "outbox").mkdir(parents=True)
    wait_for(lambda: busy.committed() >= _AFTERWARDS)
    # In the order of the guide: what is committed between the two is in the clone as well.
    assert GUIDE.index("sqlite3 FILE") < GUIDE.index("git clone --mirror")
    promised = list(busy.acknowledged)
    outbox = Path("outbox/outbox.sqlite3")
    types('sqlite3 FILE ".backup COPY"', FILE=home / outbox, COPY=elsewhere / outbox)
    enough = busy.committed() + _AFTERWARDS
    wait_for(lambda: busy.committed() >= enough)
    types(
        "git clone --mirror REPOSITORY COPY", REPOSITORY=home / "dataset.git", COPY=elsewhere / "dataset.git"
    )
    busy.end()

    restored = FeedbackStore(elsewhere / "outbox", LocalRepository(elsewhere / "dataset.git"), "n")
    assert restored.drain().problem is None and restored.backlog() == 0
    assert all(restored.receipt(receipt).committed for receipt in promised)
    restored.close()
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(elsewhere))
    assert main(["feedback", "verify"]) == 0, capsys.readouterr().out
    repository = LocalRepository(elsewhere / "dataset.git")
    head = repository.head()
    assert head is not None
    n_events = pull(repository, head, tmp_path / "pulled").n_events
    once = {
        each
        for line in (path.read_text() for path in repository.snapshot(head).glob("data/*.jsonl"))
        for each in re.findall(r'"event_id":"(f_\w+)"', line)
    }
    assert set(promised) <= once and n_events == 2 * len(once), "a flag and what was shown with it, once"
