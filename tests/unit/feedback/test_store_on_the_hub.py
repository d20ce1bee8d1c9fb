"""Feedback on the Hub: several nodes, a Hub that fails half of the time, and every acknowledged row once."""

import threading
from collections import Counter

import pytest

from fraud.feedback.card import dataset_card
from fraud.feedback.dataset import read_events
from fraud.feedback.events import submission
from fraud.feedback.store import FeedbackStore
from fraud.repositories.hub import HubRepository
from tests.hub.clients import DATASET, open_repository
from tests.hub.server import LoopbackHub


@pytest.fixture
def hub():
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture
def make_store(hub, tmp_path):
    def make(node):
        repository = open_repository(hub.url, tmp_path / f"cache-{node}")
        return FeedbackStore(tmp_path / node, repository, node, sleep=lambda _: None)

    return make


@pytest.fixture
def rows(make_prediction, make_flag):
    def make(**changes):
        prediction = make_prediction()
        return submission(prediction, make_flag(prediction, **changes), node="n1")

    return make


def check_every_row_is_there_once(repository: HubRepository, receipts) -> None:
    events, bad = read_events(repository, repository.head())
    assert bad == []
    assert Counter(e.event_id for e in events if hasattr(e, "flag")) == Counter(set(receipts))
    folder = repository.snapshot(repository.head())
    lines = [line for shard in folder.glob("data/*.jsonl") for line in shard.read_bytes().splitlines()]
    assert len(lines) == len(set(lines)) == 2 * len(receipts), "not even the raw lines are there twice"


def test_flags_become_commits_that_load_dataset_reads(hub, make_store, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    store = make_store("n1")
    receipts = []
    for comment in ("not me", ""):  # a column that is text in one shard and null in the next
        receipts.append(store.append(rows(comment=comment)).receipt_id)
        assert store.drain().problem is None
    reader = open_repository(hub.url, tmp_path / "reader")
    head = reader.head()
    assert [commit.message.splitlines()[0] for commit in reader.history()] == ["Add 1 submission from n1"] * 2
    assert all(store.receipt(receipt).committed for receipt in receipts)
    assert reader.read("README.md", head).decode() == dataset_card()
    assert hub.repo("dataset", DATASET).private

    import datasets

    folder = reader.snapshot(head)
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "datasets"))
    assert sorted(loaded["event"]) == ["flag", "flag", "prediction", "prediction"]
    assert "not me" in loaded["comment"]
    check_every_row_is_there_once(reader, receipts)


def test_the_card_is_sent_once_and_again_only_when_it_differs(hub, make_store, rows):
    store = make_store("n1")
    for _ in range(2):
        store.append(rows())
        store.drain()
    assert sum("validate-yaml" in entry.url for entry in hub.log) == 1


def test_nodes_that_commit_at_the_same_time_lose_nothing(hub, make_store, rows, tmp_path):
    receipts = {"a": [], "b": []}
    hub.fault("POST", "/preupload/", delay_s=0.02, times=None)  # between the look at the head and the commit

    def work(node):
        store = make_store(node)
        for _ in range(6):
            receipts[node].append(store.append(rows()).receipt_id)
            store.drain()
        for _ in range(20):
            if not store.drain().backlog:
                return

    threads = [threading.Thread(target=work, args=(node,)) for node in receipts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert any(entry.status == 412 for entry in hub.log), "they did collide"
    check_every_row_is_there_once(
        open_repository(hub.url, tmp_path / "reader"), receipts["a"] + receipts["b"]
    )


def test_half_of_the_requests_failing_every_row_is_there_exactly_once(hub, make_store, rows, tmp_path):
    share = {"times": None, "share": 0.16}
    for what in ({"status": 503}, {"drop": "before"}, {"drop": "after"}, {"status": 502, "drop": "after"}):
        hub.fault(".*", ".*", **what, **share)
    receipts = {"a": [], "b": []}

    def work(node):
        for _ in range(5):  # a new process each time, as after a crash
            store = make_store(node)
            receipts[node].append(store.append(rows()).receipt_id)
            store.drain()
        for _ in range(200):
            if not store.drain().backlog:
                return

    threads = [threading.Thread(target=work, args=(node,)) for node in receipts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    failed = sum(entry.status not in (200, 201, 302) for entry in hub.log)
    assert 0.4 < failed / len(hub.log) < 0.7
    hub.faults.clear()
    check_every_row_is_there_once(
        open_repository(hub.url, tmp_path / "reader"), receipts["a"] + receipts["b"]
    )


def test_a_hub_that_is_down_keeps_everything_for_the_next_drain(hub, make_store, rows, tmp_path):
    hub.stop()
    store = make_store("n1")
    receipt = store.append(rows()).receipt_id
    report = store.drain()
    assert report.backlog == 1 and "could not be reached" in report.problem
    hub.start()
    assert store.drain().problem is None
    check_every_row_is_there_once(open_repository(hub.url, tmp_path / "reader"), [receipt])
