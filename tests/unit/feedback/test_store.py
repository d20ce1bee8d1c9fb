import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from fraud.durable import exclusive
from fraud.errors import FlagError, NotFound, RepositoryError, SettingsError, StorageError
from fraud.feedback import store as store_module
from fraud.feedback.card import dataset_card, schema_version_of
from fraud.feedback.dataset import read_events
from fraud.feedback.events import SCHEMA_VERSION, submission
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add


class Troubled:
    """A repository that fails as told: before a commit, after it, or by moving on first."""

    def __init__(self, inner):
        self.inner = inner
        self.troubles = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def commit(self, operations, message, parent):
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble == "down":
            raise RepositoryError("The repository is down.")
        if trouble == "stale":
            self.inner.commit([Add("other.txt", str(len(self.troubles)).encode())], "other", parent)
        revision = self.inner.commit(operations, message, parent)
        if trouble == "lost answer":
            raise RepositoryError("The answer was lost.")
        if trouble == "crash":
            raise KeyboardInterrupt
        return revision


@pytest.fixture
def repository(tmp_path):
    return Troubled(LocalRepository(tmp_path / "dataset.git"))


@pytest.fixture
def make_store(tmp_path, repository):
    return lambda **options: FeedbackStore(
        tmp_path / "store", repository, **{"node": "n1", "sleep": lambda _: None, **options}
    )


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def rows(make_prediction, make_flag):
    def make(**changes):
        prediction = make_prediction()
        return submission(prediction, make_flag(prediction, **changes), node="n1")

    return make


def flags_at_head(repository):
    events, bad = read_events(repository, repository.head())
    assert bad == []
    return [event.event_id for event in events if hasattr(event, "flag")]


def test_making_a_store_touches_no_disk(store, tmp_path):
    assert list(tmp_path.iterdir()) == []


def test_a_receipt_gets_its_revision_when_the_submission_is_committed(store, repository, rows):
    shown, said = rows()
    receipt = store.append((shown, said))
    assert receipt.receipt_id == said["event_id"]
    assert not receipt.committed
    report = store.drain()
    assert (report.n_submissions, report.n_batches, report.backlog, report.problem) == (1, 1, 0, None)
    assert store.receipt(receipt.receipt_id).revision == report.revision == repository.head()
    assert flags_at_head(repository) == [receipt.receipt_id]


def test_an_unknown_receipt_is_not_found(store):
    with pytest.raises(NotFound):
        store.receipt("f_unknown")


def test_a_correction_is_kept_beside_the_original(store, repository, make_prediction, make_flag):
    prediction = make_prediction()
    for _ in range(2):
        store.append(submission(prediction, make_flag(prediction), node="n1"))
        store.drain()
    assert len(flags_at_head(repository)) == 2
    assert len(read_events(repository, repository.head())[0]) == 3  # the prediction counts once


def test_nothing_to_drain_makes_no_commit(store, repository, rows):
    assert store.drain().revision is None
    assert repository.head() is None
    store.append(rows())
    head = store.drain().revision
    assert store.drain().n_batches == 0
    assert repository.head() == head


def test_a_row_that_would_be_quarantined_is_never_acknowledged(store, rows):
    shown, said = rows()
    for bad in ((), ({**shown, "label": "fraud"}, said), (shown, {**said, "comment": "x" * 3_000})):
        with pytest.raises(FlagError):
            store.append(bad)
    assert store.backlog() == 0


def test_the_same_submission_again_is_one_submission(store, repository, rows):
    submitted = rows()
    first = store.append(submitted)
    assert store.append(submitted) == first
    store.drain()
    assert store.append(submitted).committed
    assert store.drain().n_submissions == 0
    assert flags_at_head(repository) == [first.receipt_id]


def test_a_repository_that_is_down_keeps_everything_for_the_next_drain(store, repository, rows):
    receipt = store.append(rows())
    repository.troubles = ["down"]
    report = store.drain()
    assert (report.problem, report.backlog) == ("The repository is down.", 1)
    assert store.drain().problem is None
    assert flags_at_head(repository) == [receipt.receipt_id]


@pytest.mark.parametrize("trouble", ["lost answer", "crash"])
def test_a_commit_whose_answer_was_lost_is_not_written_twice(make_store, repository, rows, trouble):
    receipt = make_store().append(rows())
    repository.troubles = [trouble]
    try:
        assert make_store().drain().problem == "The answer was lost."
    except KeyboardInterrupt:
        assert trouble == "crash"
    head = repository.head()
    after = make_store()
    assert after.drain().revision == head == after.receipt(receipt.receipt_id).revision
    assert len(repository.history()) == 1
    assert flags_at_head(repository) == [receipt.receipt_id]


def test_a_stale_parent_is_read_again(store, repository, rows):
    receipt = store.append(rows())
    repository.troubles = ["stale", "stale"]
    assert store.drain().problem is None
    assert flags_at_head(repository) == [receipt.receipt_id]
    assert "other.txt" in repository.files(repository.head())


def test_endless_contention_gives_up_and_keeps_the_batch(make_store, repository, rows):
    waits = []
    store = make_store(sleep=waits.append)
    store.append(rows())
    repository.troubles = ["stale"] * 20
    report = store.drain()
    assert "drain again" in report.problem
    assert report.backlog == 1
    assert len(waits) == 7
    assert sum(waits) < 30


def test_batches_keep_their_order_and_their_limit(store, repository, rows, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_SUBMISSIONS_PER_BATCH", 2)
    receipts = [store.append(rows()) for _ in range(5)]
    repository.troubles = [None, "down"]
    assert store.drain().n_batches == 1
    assert store.drain().n_batches == 2
    assert flags_at_head(repository) == [receipt.receipt_id for receipt in receipts]
    assert repository.history()[0].message.startswith("Add 1 submission from n1\n")


def test_a_second_drainer_leaves_at_once(store, tmp_path, rows):
    store.append(rows())
    with exclusive(tmp_path / "store" / "drain.mutex", 0):
        report = store.drain()
    assert (report.busy, report.backlog) == (True, 1)


def test_two_nodes_drain_into_one_repository(tmp_path, rows):
    def work(node):
        store = FeedbackStore(tmp_path / node, LocalRepository(tmp_path / "dataset.git"), node)
        receipts = []
        for _ in range(5):
            receipts.append(store.append(rows()).receipt_id)
            assert store.drain().problem is None
        return receipts

    with ThreadPoolExecutor(2) as pool:
        receipts = [receipt for found in pool.map(work, ("a", "b")) for receipt in found]
    assert sorted(flags_at_head(LocalRepository(tmp_path / "dataset.git"))) == sorted(receipts)


def test_drainers_of_one_disk_queue_and_never_lose_to_each_other(tmp_path, rows):
    def work(node):
        repository = Troubled(LocalRepository(tmp_path / "dataset.git"))
        store = FeedbackStore(tmp_path / node, repository, node, sleep=never)
        for _ in range(4):
            store.append(rows())
            assert store.drain().problem is None

    def never(_):
        raise AssertionError("a drainer lost its race and had to back off")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    assert len(flags_at_head(LocalRepository(tmp_path / "dataset.git"))) == 16


def test_an_older_node_leaves_the_card_of_a_newer_schema(store, repository, rows):
    store.append(rows())
    head = store.drain().revision
    newer = dataset_card().replace(
        f"Schema version {SCHEMA_VERSION};", f"Schema version {SCHEMA_VERSION + 1};"
    )
    assert newer != dataset_card()
    repository.commit([Add("README.md", newer.encode())], "a newer node", head)
    store.append(rows())
    after = store.drain().revision
    assert repository.read("README.md", after) == newer.encode()
    assert len(flags_at_head(repository)) == 2


@pytest.mark.parametrize(
    ("card", "version"),
    [
        (dataset_card().encode(), SCHEMA_VERSION),
        (b"---\n---\n- Schema version 1; every row has every column\n", 1),
        (b"my own words on Schema version 9; as I like\n", None),
        (b"", None),
        (b"\xff\xfe- Schema version x;", None),
    ],
)
def test_a_card_says_its_schema_version_or_none(card, version):
    assert schema_version_of(card) == version


def test_a_damaged_record_is_named_and_the_rest_is_committed(store, repository, rows):
    good, bad = store.append(rows()), store.append(rows())
    with store._outbox._file.transaction() as database:
        database.execute("UPDATE submissions SET payload = x'00' WHERE receipt_id = ?", (bad.receipt_id,))
    report = store.drain()
    assert (report.damaged, report.n_submissions, report.backlog) == ((bad.receipt_id,), 1, 1)
    assert flags_at_head(repository) == [good.receipt_id]


def test_a_batch_that_is_all_damaged_makes_no_commit(store, repository, rows):
    store.append(rows())
    with store._outbox._file.transaction() as database:
        database.execute("UPDATE submissions SET payload = x'00'")
    assert store.drain().n_batches == 0
    assert repository.head() is None
    assert store.drain().damaged


def test_the_card_is_kept_in_step_by_the_commit_that_brings_rows(store, repository, rows):
    store.append(rows())
    head = store.drain().revision
    assert repository.read("README.md", head) == dataset_card().encode()
    older = repository.commit([Add("README.md", b"a card of an older version")], "edit", head)
    assert store.drain().revision is None and repository.head() == older, "no rows, no commit"
    store.append(rows())
    newest = store.drain().revision
    assert repository.read("README.md", newest) == dataset_card().encode()
    assert len(repository.history()) == 3


@pytest.mark.parametrize("node", ["", "a/b", "..", "a b", "-a", "a-", "x" * 41, "é", "a\n"])
def test_a_node_name_that_is_no_file_name_is_refused(tmp_path, repository, node):
    with pytest.raises(SettingsError):
        FeedbackStore(tmp_path, repository, node)


def test_a_store_on_a_damaged_outbox_says_so(store, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "outbox.sqlite3").write_bytes(b"not a database" * 500)
    with pytest.raises(StorageError, match="damaged"):
        store.check()


def test_a_line_of_a_shard_is_one_json_object_with_every_column(store, repository, rows):
    store.append(rows(comment="one\ntwo \u2028 🙂"))
    head = store.drain().revision
    (shard,) = (path for path in repository.files(head) if path.startswith("data/"))
    lines = repository.read(shard, head).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line)["event"] for line in lines] == ["prediction", "flag"]
