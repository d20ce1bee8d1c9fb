"""What older versions wrote stays readable, alone and beside what this one writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fraud.errors import FlagError
from fraud.feedback.card import dataset_card
from fraud.feedback.dataset import read_events
from fraud.feedback.events import (
    ADDED,
    COLUMNS,
    SCHEMA_VERSION,
    FlagEvent,
    PredictionEvent,
    ReviewEvent,
    review_row,
)
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.store import FeedbackStore
from fraud.records import Finding, Label, Review
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add

FIXTURES = Path(__file__).parent / "fixtures"
SHARD = FIXTURES / "train-20260105-n1-schema1.jsonl"
LINES = SHARD.read_bytes().splitlines()

LOAD = """
import json, sys
from datasets import load_dataset
print(json.dumps(load_dataset(sys.argv[2], cache_dir=sys.argv[1])["train"].to_list()))
"""


LINES_2 = (FIXTURES / "train-20260203-n1-schema2.jsonl").read_bytes().splitlines()


@pytest.fixture
def repository(tmp_path):
    """Return a dataset as version 1 left it: its shard and its card."""
    repository = LocalRepository(tmp_path / "dataset.git")
    card = (FIXTURES / "README-schema1.md").read_bytes()
    repository.commit([Add(f"data/{SHARD.name}", SHARD), Add("README.md", card)], "v1", None)
    return repository


@pytest.fixture
def both(repository, tmp_path):
    """Return the same dataset after this version has added a review of an old flag."""
    review = Review("v_1", parse_row(parse_line(LINES[1])).recorded_at, "f_1", Finding.ACCEPT, "seen", "m1")
    store = FeedbackStore(tmp_path / "store", repository, "n2")
    store.append([review_row(review, node="n2")])
    assert store.drain().problem is None
    return repository


def test_every_row_of_version_1_is_an_event():
    events = [parse_row(parse_line(line)) for line in LINES]
    assert [type(event) for event in events] == [PredictionEvent, FlagEvent] * 3
    assert events[2].prediction.history is None and events[4].prediction.history == ()
    assert (events[3].flag.label, events[3].flag.comment) == (Label.LEGITIMATE, "çã\n漢 \u2028")
    assert all(event.audit_asked is None for event in events[::2])


def test_a_row_of_version_1_has_no_column_that_came_later():
    row = parse_line(LINES[0])
    assert row["schema_version"] == 1 < SCHEMA_VERSION
    assert set(row) == set(COLUMNS) - set(ADDED)
    with pytest.raises(FlagError, match="audit_asked"):
        parse_row({**row, "audit_asked": True, "audit_probability": 0.5})
    for event in ("review", "withdrawal"):
        with pytest.raises(FlagError, match="schema version 1"):
            parse_row({**row, "event": event})


def test_every_row_of_version_2_is_an_event_and_of_its_flags_nobody_knows_what_they_answer():
    rows = [parse_line(line) for line in LINES_2]
    assert all(row["schema_version"] == 2 for row in rows)
    events = [parse_row(row) for row in rows]
    assert [type(event) for event in events] == [PredictionEvent, FlagEvent] * 3 + [ReviewEvent]
    assert [event.audit_asked for event in events[:6:2]] == [True, False, None]
    assert all(event.flag.answers_audit is None for event in events[1:6:2])
    with pytest.raises(FlagError, match="answers_audit"):
        parse_row({**rows[1], "answers_audit": True})


def test_the_card_comes_with_the_first_shard_of_the_new_version(both):
    (newest, _) = both.history()
    assert both.read("README.md", newest.revision) == dataset_card().encode()
    assert "schema version 1" not in dataset_card().lower()


def test_events_of_both_versions_are_read_together(both):
    events, bad = read_events(both, both.head())
    assert (len(events), bad) == (7, [])


def test_both_versions_load_together_with_the_later_columns_null_in_old_rows(repository, both, tmp_path):
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    arguments = [str(tmp_path / "cache"), str(both.snapshot(both.head()))]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *arguments],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    rows = json.loads(done.stdout)
    assert [row["schema_version"] for row in rows] == [1] * 6 + [SCHEMA_VERSION]
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert {row["finding"] for row in rows[:6]} == {None} and rows[6]["finding"] == "accept"
