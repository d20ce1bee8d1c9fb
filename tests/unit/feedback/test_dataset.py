import json
import os
import subprocess
import sys
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fraud.errors import NotFound
from fraud.feedback import checking
from fraud.feedback.card import dataset_card
from fraud.feedback.dataset import log, pull, read_events
from fraud.feedback.events import COLUMNS, submission
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add


@pytest.fixture
def repository(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


@pytest.fixture
def save(tmp_path, repository, make_prediction, make_flag):
    store = FeedbackStore(tmp_path / "store", repository, "n1")

    def save(**changes):
        prediction = make_prediction(**changes)
        rows = submission(prediction, make_flag(prediction, comment="çã\n漢 \u2028"), node="n1")
        store.append(rows)
        return store.drain().revision

    return save


def add_shard(repository, content, name="data/train-99991231-zz-1.jsonl"):
    return repository.commit([Add(name, content)], "by hand", repository.head())


LOAD = """
import json, sys
from datasets import load_dataset
rows = []
for folder in sys.argv[2:]:
    dataset = load_dataset(folder, cache_dir=sys.argv[1])
    assert list(dataset) == ["train"], dataset
    rows.append(dataset["train"].to_list())
print(json.dumps(rows))
"""


def test_every_revision_loads_as_a_dataset_with_columns_that_are_all_null(repository, save, tmp_path):
    first = save(history=None)
    second = save()  # the first history and the first revision that is no null
    folders = [str(repository.snapshot(revision)) for revision in (first, second)]
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "cache"), *folders],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    one, two = json.loads(done.stdout)
    assert [len(one), len(two)] == [2, 4]
    assert list(two[0]) == list(COLUMNS)
    assert two[:2] == one
    assert one[1]["comment"] == "çã\n漢 \u2028"
    assert (one[0]["history_json"], one[0]["audit_probability"]) == (None, None)
    assert isinstance(one[0]["recorded_ms"], int)


def test_the_card_is_yaml_that_declares_every_column():
    front = yaml.safe_load(dataset_card().split("---\n")[1])
    assert [feature["name"] for feature in front["dataset_info"]["features"]] == list(COLUMNS)
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.jsonl"}]


def test_bad_lines_are_set_aside_with_their_place_and_the_rest_is_read(repository, save):
    save()
    good = repository.read(repository.files(repository.head())[1], repository.head()).split(b"\n")[1]
    event = json.loads(good)
    lines = [
        json.dumps({**event, "event_id": "f_new"}).encode(),
        b"", b"not json", b'{"a":1}', b"\xff\xfe",
        json.dumps({**event, "label": "maybe", "event_id": "x"}).encode(),
        json.dumps({**event, "label": "legitimate"}).encode(), b"[" * 3_000_000, good, good[:40],
    ]  # fmt: skip
    revision = add_shard(repository, b"\n".join(lines))
    events, bad = read_events(repository, revision)
    assert len(events) == 3
    assert [item.line for item in bad] == [2, 3, 4, 5, 6, 7, 8, 10]
    assert {item.shard for item in bad} == {"data/train-99991231-zz-1.jsonl"}
    reasons = [item.reason for item in bad]
    assert reasons[4] == "label: must be one of fraud, legitimate."
    assert reasons[5].startswith("event_id: already used")
    assert all(
        reason.startswith("line: not JSON") for reason in (*reasons[:2], reasons[3], reasons[6], reasons[7])
    )


def test_files_that_are_no_shards_are_not_read(repository, save):
    revision = save()
    for name in ("data/notes.jsonl", "train-1.jsonl", "data/train-1.csv"):
        revision = add_shard(repository, b"nonsense\n", name)
    assert read_events(repository, revision)[1] == []


def test_an_event_that_is_there_twice_is_read_once(repository, save):
    revision = save()
    content = repository.read(repository.files(revision)[1], revision)
    events, bad = read_events(repository, add_shard(repository, content))
    assert (len(events), bad) == (2, [])


def test_a_prediction_flagged_again_on_another_node_is_no_conflict(
    repository, tmp_path, make_prediction, make_flag
):
    prediction = make_prediction()
    for node, consent in (("n1", "2026-01"), ("n2", "2026-02")):
        store = FeedbackStore(tmp_path / node, repository, node)
        store.append(submission(prediction, make_flag(prediction, consent_version=consent), node=node))
        revision = store.drain().revision
    events, bad = read_events(repository, revision)
    assert (len(events), bad) == (3, [])


def test_a_pull_writes_valid_rows_bad_lines_and_the_sha(repository, save, tmp_path):
    first = save(history=None)
    repository.tag("retraining-1", first)
    add_shard(repository, b"nonsense\n")
    out = tmp_path / "out"
    report = pull(repository, repository.head(), out)
    assert (report.n_events, report.n_quarantined) == (2, 1)
    table = pq.read_table(out / "events.parquet")
    assert table.column_names == list(COLUMNS)
    assert table.schema.field("history_json").type == pa.string()
    assert table.num_rows == 2
    (bad,) = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert bad["line"] == 1
    assert json.loads((out / "revision.json").read_text())["revision"] == repository.head()
    assert pull(repository, "retraining-1", out).revision == first
    assert (out / "quarantine.jsonl").read_text() == ""
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "events.parquet",
        "quarantine.jsonl",
        "revision.json",
    ]


CLASSES = """
import json, sys
from datasets import ClassLabel, load_dataset
table = load_dataset(sys.argv[2], cache_dir=sys.argv[1])["train"]
names = {name: f.names for name, f in table.features.items() if isinstance(f, ClassLabel)}
print(json.dumps([names, table["event"][:], table["label"][:], table["verdict"][:]]))
"""


def test_a_pull_loads_with_class_labels_and_holds_words_for_every_other_reader(repository, save, tmp_path):
    save()
    pull(repository, repository.head(), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "events.parquet")["label"].to_pylist() == [None, "fraud"]
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CLASSES, str(tmp_path / "cache"), str(tmp_path / "out")],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    names, event, label, verdict = json.loads(done.stdout)
    assert names == {
        "event": ["prediction", "flag", "review", "withdrawal"], "verdict": ["right", "wrong"],
        "label": ["fraud", "legitimate"], "finding": ["accept", "reject", "unsure"],
    }  # fmt: skip
    assert (event, label, verdict) == ([0, 1], [None, 0], [None, 1])


@pytest.mark.parametrize("lines", [1, 3, 8_192])
def test_a_pull_holds_what_read_events_returns_however_many_lines_are_checked_at_once(
    repository, save, tmp_path, monkeypatch, lines
):
    save(), save()
    first = next(f for f in repository.files(repository.head()) if f.startswith("data/"))
    shown, said = repository.read(first, repository.head()).splitlines()
    conflict = json.dumps({**json.loads(said), "label": "legitimate"}).encode()
    again = json.dumps({**json.loads(shown), "node": "n9", "consent_version": "later"}).encode()
    add_shard(repository, b"\n".join([b"nonsense", conflict, again, said]))
    monkeypatch.setattr(checking, "_MAX_LINES", lines)
    report = pull(repository, repository.head(), tmp_path / "out")
    events, bad = read_events(repository, repository.head())
    ids = pq.read_table(tmp_path / "out" / "events.parquet")["event_id"].to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert (ids, lines) == ([event.event_id for event in events], [asdict(item) for item in bad])
    assert (report.n_events, report.n_quarantined) == (4, 2)


def test_a_pull_of_an_unknown_revision_is_not_found(repository, save, tmp_path):
    save()
    with pytest.raises(NotFound):
        pull(repository, "no-such-tag", tmp_path / "out")


def test_the_log_counts_what_each_commit_added(repository, save):
    save()
    add_shard(repository, b"nonsense\n")
    save()
    entries = log(repository, limit=10)
    assert [(entry.n_submissions, entry.n_rows) for entry in entries] == [(1, 2), (None, None), (1, 2)]
    assert entries[1].message == "by hand"
    assert len(log(repository, 1)) == 1
