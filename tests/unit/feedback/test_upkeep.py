"""What maintainers do with the dataset: compact, diff, count, verify."""

import json
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from fraud.errors import NotFound, RepositoryError
from fraud.feedback import compaction
from fraud.feedback.compaction import compact
from fraud.feedback.dataset import read_events
from fraud.feedback.events import review_row, submission, withdrawal_row
from fraud.feedback.store import FeedbackStore
from fraud.feedback.upkeep import diff, stats, verify
from fraud.feedback.withdrawal import withdrawal_id
from fraud.records import Finding, Label, Review, Verdict, Withdrawal
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add


@pytest.fixture
def repository(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


@pytest.fixture
def store(tmp_path, repository):
    return FeedbackStore(tmp_path / "store", repository, "n1", sleep=lambda _: None)


@pytest.fixture
def save(store, make_prediction, make_flag):
    """Return a function that saves and commits one flag, and returns its id."""

    def save(comment="", **changes):
        prediction = make_prediction()
        flag = make_flag(prediction, comment=comment, **changes)
        store.append(submission(prediction, flag, node="n1"))
        assert store.drain().problem is None
        return flag.flag_id

    return save


@pytest.fixture
def withdraw(store, make_prediction):
    def withdraw(flag_id):
        at = make_prediction().predicted_at + timedelta(days=1)
        store.withdraw(withdrawal_row(Withdrawal(withdrawal_id(flag_id), at, flag_id), node="n1"))
        assert store.drain().problem is None

    return withdraw


def bad_line(repository):
    repository.commit([Add("data/train-20250101-zz-1.jsonl", b"nonsense")], "by hand", repository.head())


# compact


def test_compaction_keeps_every_event_in_its_order_and_every_bad_line(repository, save):
    for _ in range(3):
        save()
    bad_line(repository)
    before = read_events(repository, repository.head())
    report = compact(repository, "2026-01")
    events, bad = read_events(repository, report.revision)
    assert (events, [item.reason for item in bad]) == (before[0], [item.reason for item in before[1]])
    assert (report.n_shards, report.n_parts) == (4, 1)
    assert repository.files(report.revision) == (
        "README.md", "data/train-000001-2026-01-000.jsonl", "merged/000001-2026-01.txt",
        "parquet/events-000001-2026-01-000.parquet",
    )  # fmt: skip
    table = pq.read_table(repository.snapshot("2026-01") / "parquet/events-000001-2026-01-000.parquet")
    assert table["event_id"].to_pylist() == [event.event_id for event in events]


def test_a_second_compaction_takes_what_came_since_and_a_repeated_one_nothing(repository, save):
    save()
    first = compact(repository, "one")
    assert compact(repository, "one").n_shards == 0 and compact(repository, "same").revision == first.revision
    save()
    before, _ = read_events(repository, repository.head())
    with pytest.raises(RepositoryError, match="already names"):
        compact(repository, "one")
    second = compact(repository, "two")
    assert second.n_shards == 1 and read_events(repository, second.revision)[0] == before
    assert compact(repository, "two").revision == repository.head() == second.revision


def test_large_compactions_come_in_parts(repository, save, monkeypatch):
    for _ in range(3):
        save("x" * 1_000)
    before, _ = read_events(repository, repository.head())
    monkeypatch.setattr(compaction, "PART_BYTES", 3_000)
    assert compact(repository, "t").n_parts == 3
    assert read_events(repository, repository.head()) == (before, [])


def test_a_withdrawal_reaches_into_what_was_compacted(repository, save, withdraw):
    gone, kept = save("secret words"), save("harmless")
    compact(repository, "t")
    withdraw(gone)
    head = repository.snapshot(repository.head())
    assert all(b"secret words" not in path.read_bytes() for path in head.rglob("*") if path.is_file())
    rows = pq.read_table(head / "parquet/events-000001-t-000.parquet").to_pylist()
    assert [row["event"] for row in rows] == ["withdrawal", "prediction", "flag"]
    assert rows[2]["event_id"] == kept


def test_a_batch_whose_answer_was_lost_is_not_written_again_after_a_compaction(
    store, repository, save, make_prediction, make_flag, monkeypatch
):
    prediction = make_prediction()
    store.append(submission(prediction, make_flag(prediction), node="n1"))
    commit = LocalRepository.commit

    def fail(self, *arguments):
        commit(self, *arguments)
        raise RepositoryError("The answer was lost.")

    with monkeypatch.context() as patched:
        patched.setattr(LocalRepository, "commit", fail)
        assert store.drain().problem
    compacted = compact(repository, "t").revision
    assert store.drain().n_submissions == 1
    assert repository.head() == compacted


def test_nothing_can_be_compacted_before_the_first_commit(repository):
    with pytest.raises(NotFound):
        compact(repository, "t")


# diff


def test_a_diff_counts_what_came_and_what_went(repository, save, withdraw):
    gone = save()
    first = repository.head()
    save(label=Label.LEGITIMATE, verdict=Verdict.RIGHT)
    withdraw(gone)
    report = diff(repository, first, repository.head())
    assert report.added == {"prediction": 1, "flag": 1, "withdrawal": 1}
    assert report.removed == {"prediction": 1, "flag": 1}
    assert (report.labels_added, report.labels_removed) == ({"legitimate": 1}, {"fraud": 1})
    back = diff(repository, repository.head(), first)
    assert (back.added, back.removed) == (report.removed, report.added)


def test_a_compaction_is_no_difference(repository, save):
    save()
    before = repository.head()
    after = compact(repository, "t").revision
    report = diff(repository, before, after)
    assert (report.added, report.removed) == ({}, {})


# stats


def test_stats_count_by_kind_label_version_reporter_and_day(repository, store, save, make_prediction):
    flag = save(reporter="r1")
    save(reporter="r1", label=Label.LEGITIMATE)
    save(reporter="r2", verdict=Verdict.RIGHT)
    at = make_prediction().predicted_at
    store.append([review_row(Review("v_1", at, flag, Finding.ACCEPT, "", "m1"), node="n1")])
    store.drain()
    bad_line(repository)
    found = stats(repository, repository.head())
    assert found.kinds == {"prediction": 3, "flag": 3, "review": 1}
    assert (found.labels, found.verdicts) == ({"fraud": 2, "legitimate": 1}, {"wrong": 2, "right": 1})
    assert (found.findings, found.model_versions) == ({"accept": 1}, {"1.0.0": 3})
    assert (found.n_reporters, found.largest_share) == (2, pytest.approx(2 / 3))
    assert (found.days, found.n_quarantined) == ({20458: 3}, 1)


# verify


def test_a_sound_dataset_verifies_with_what_was_withdrawn_and_what_waits(
    store, repository, save, withdraw, make_prediction, make_flag
):
    gone, _ = save(), save()
    at = make_prediction().predicted_at
    store.append([review_row(Review("v_1", at, gone, Finding.ACCEPT, "", "m1"), node="n1")])
    store.drain()
    withdraw(gone)
    prediction = make_prediction()
    store.append(submission(prediction, make_flag(prediction), node="n1"))
    report = verify(repository, store.receipts())
    assert (report.reasons, report.n_receipts, report.n_problems) == ((), 4, 0)


def test_what_is_missing_forged_or_torn_is_named(store, repository, save):
    lost, forged = save(), save("honest")
    head = repository.head()
    shards = {f: repository.read(f, head).decode() for f in repository.files(head) if f.startswith("data/")}
    lost_shard, forged_shard = (next(f for f in shards if name in shards[f]) for name in (lost, forged))
    lines = [json.loads(line) for line in repository.read(forged_shard, head).splitlines()]
    lines[0]["transaction_json"] = lines[0]["transaction_json"].replace("12.5", "99")
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    repository.commit([Add(lost_shard, b"torn"), Add(forged_shard, content)], "by hand", head)
    report = verify(repository, store.receipts())
    assert report.n_problems == 3
    assert any("content_digest" in reason for reason in report.reasons)
    assert any("not JSON" in reason for reason in report.reasons)
    assert report.reasons[-1] == f"receipt {lost} is marked committed and is not at the head"


def test_an_empty_dataset_verifies(store, repository):
    assert verify(repository, store.receipts()).n_problems == 0
