"""Consent taken back: the content goes, nothing else changes, and no training uses it again."""

from datetime import timedelta

import pytest

from fraud.errors import NotFound, RepositoryError
from fraud.feedback.dataset import read_events
from fraud.feedback.events import review_row, submission, withdrawal_row
from fraud.feedback.store import FeedbackStore
from fraud.feedback.trust import TrustPolicy, decide
from fraud.feedback.withdrawal import withdrawal_id
from fraud.records import Finding, Review, Withdrawal
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add


@pytest.fixture
def repository(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


@pytest.fixture
def store(tmp_path, repository):
    return FeedbackStore(tmp_path / "store", repository, "n1", sleep=lambda _: None)


@pytest.fixture
def later(prediction):
    return prediction.predicted_at + timedelta(days=1)


@pytest.fixture
def save(make_prediction, make_flag):
    def save(store, comment, prediction=None, reporter="r1"):
        prediction = prediction or make_prediction(transaction={"amount": 1, "note": f"of {comment}"})
        flag = make_flag(prediction, comment=comment, reporter=reporter)
        return store.append(submission(prediction, flag, node="n1")).receipt_id

    return save


@pytest.fixture
def withdraw(later):
    def withdraw(store, flag_id, node="n1", at=None):
        withdrawal = Withdrawal(withdrawal_id(flag_id), at or later, flag_id)
        return store.withdraw(withdrawal_row(withdrawal, node=node))

    return withdraw


def text_at(repository, revision):
    folder = repository.snapshot(revision)
    return "".join(path.read_text("utf-8") for path in sorted(folder.glob("**/*.jsonl")))


def test_the_content_leaves_the_head_in_the_commit_of_the_tombstone(store, repository, save, withdraw):
    gone, kept = save(store, "secret words"), save(store, "harmless")
    before = store.drain().revision
    lines = text_at(repository, before).splitlines()
    receipt = withdraw(store, gone)
    assert receipt.receipt_id == withdrawal_id(gone) and not receipt.committed
    assert store.drain().n_batches == 1
    head = repository.head()
    assert [commit.revision for commit in repository.history()] == [head, before]
    after = text_at(repository, head)
    assert "secret words" not in after and gone in after
    assert [line for line in lines if kept in line or "of harmless" in line] == [
        line for line in after.splitlines() if '"withdrawal"' not in line
    ], "every other row is the same to the byte"
    assert store.receipt(gone).withdrawn and store.receipt(withdrawal_id(gone)).revision == head
    events, bad = read_events(repository, head)
    assert ([type(event).__name__ for event in events], bad) == (
        ["WithdrawalEvent", "PredictionEvent", "FlagEvent"], [],
    )  # fmt: skip


def test_a_flag_that_still_waits_is_never_committed(store, repository, save, withdraw):
    gone, kept = save(store, "secret words"), save(store, "harmless")
    withdraw(store, gone)
    assert store.backlog() == 2, "the other flag and the tombstone"
    store.drain()
    for commit in repository.history():
        assert "secret words" not in text_at(repository, commit.revision)
    assert kept in text_at(repository, repository.head())
    assert store.receipt(gone).withdrawn and not store.receipt(gone).committed


def test_the_words_are_not_in_the_outbox_any_more(store, save, withdraw, tmp_path):
    withdraw(store, save(store, "secret words"))
    store.close()
    assert all(b"secret words" not in path.read_bytes() for path in (tmp_path / "store").iterdir())


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_flag_in_a_batch_whose_commit_failed_is_withdrawn(
    store, repository, save, withdraw, monkeypatch, took_effect
):
    gone = save(store, "secret words")
    commit = LocalRepository.commit

    def fail(self, *arguments):
        if took_effect:
            commit(self, *arguments)
        raise RepositoryError("The answer was lost.")

    with monkeypatch.context() as patched:
        patched.setattr(LocalRepository, "commit", fail)
        assert store.drain().problem
    withdraw(store, gone)
    assert store.drain().problem is None
    assert "secret words" not in text_at(repository, repository.head())
    assert store.backlog() == 0
    assert [type(event).__name__ for event in read_events(repository, repository.head())[0]] == [
        "WithdrawalEvent"
    ]


def test_a_withdrawal_repeated_is_the_same_one(store, repository, save, withdraw, later):
    gone = save(store, "secret words")
    first = withdraw(store, gone)
    assert withdraw(store, gone, at=later + timedelta(hours=1)) == first
    store.drain()
    head = repository.head()
    assert withdraw(store, gone).revision == head
    assert store.drain().n_batches == 0 and repository.head() == head


def test_another_node_withdraws_what_it_finds_at_the_head(tmp_path, store, repository, save, withdraw):
    gone = save(store, "secret words")
    store.drain()
    other = FeedbackStore(tmp_path / "other", repository, "n2")
    for node_store, node in ((other, "n2"), (store, "n1")):
        withdraw(node_store, gone, node=node)
        node_store.drain()
    events, bad = read_events(repository, repository.head())
    assert (len(events), bad) == (1, []), "two nodes took back the same flag: one tombstone"


@pytest.mark.parametrize("receipt", ["f_unknown", "", "f_" + "0" * 26, "../../etc", "x" * 64, "\x00", "p_1"])
def test_a_receipt_that_was_never_given_gets_one_sentence(store, save, withdraw, receipt):
    save(store, "harmless")
    store.drain()
    with pytest.raises(NotFound, match="Nothing with this receipt is kept here") as caught:
        withdraw(store, receipt)
    assert caught.value.field == "receipt_id"
    assert store.backlog() == 0


def test_a_full_outbox_is_no_reason_to_refuse_a_withdrawal(tmp_path, repository, save, withdraw):
    store = FeedbackStore(tmp_path / "small", repository, "n1", max_backlog=1)
    gone = save(store, "secret words")
    withdraw(store, gone)
    assert store.backlog() == 1


def test_what_others_said_of_the_same_prediction_stays_with_what_they_saw(
    store, repository, save, withdraw, make_prediction, later
):
    prediction = make_prediction(transaction={"note": "shared"})
    mine, theirs = save(store, "mine", prediction), save(store, "theirs", prediction, "r2")
    store.drain()
    withdraw(store, mine)
    store.drain()
    text = text_at(repository, repository.head())
    assert text.count('"event":"prediction"') == 1 and "mine" not in text
    (label,) = decide(read_events(repository, repository.head())[0], TrustPolicy.naive(), as_of=later).labels
    assert label.reporters == ("r2",)
    withdraw(store, theirs)
    store.drain()
    assert "shared" not in text_at(repository, repository.head())


def test_a_review_goes_with_its_flag_because_its_note_may_repeat_it(store, repository, save, withdraw, later):
    gone = save(store, "secret words")
    review = Review("v_1", later, gone, Finding.REJECT, "the secret words are wrong", "m1")
    store.append([review_row(review, node="n1")])
    store.drain()
    withdraw(store, gone)
    store.drain()
    assert "secret words" not in text_at(repository, repository.head())
    events, bad = read_events(repository, repository.head())
    assert ({event.withdrawal.flag_id for event in events}, bad) == ({gone, "v_1"}, []), "each has its stone"


def test_content_committed_by_a_node_that_had_not_heard_of_it_is_used_for_nothing(
    store, repository, save, withdraw, later
):
    gone = save(store, "secret words")
    first = store.drain().revision
    (shard,) = [path for path in repository.files(first) if path.startswith("data/")]
    content = repository.read(shard, first)
    withdraw(store, gone)
    store.drain()
    repository.commit([Add("data/train-20990101-late-1.jsonl", content)], "late", repository.head())
    events, bad = read_events(repository, repository.head())
    assert (len(events), bad) == (1, [])
    assert decide(events, TrustPolicy.naive(), as_of=later).labels == ()


def test_a_withdrawal_counts_even_as_of_a_time_before_it(store, repository, save, withdraw, later):
    gone = save(store, "secret words")
    store.drain()
    events, _ = read_events(repository, repository.head())
    tombstone = Withdrawal(withdrawal_id(gone), later, gone)
    withdraw(store, gone)
    store.drain()
    stones, _ = read_events(repository, repository.head())
    assert stones[0].withdrawal == tombstone
    assert decide(events, TrustPolicy.naive(), as_of=later).labels
    assert decide(events + stones, TrustPolicy.naive(), as_of=later - timedelta(hours=23)).labels == ()


def test_a_comment_that_quotes_a_receipt_is_not_withdrawn_with_it(store, repository, save, withdraw):
    gone = save(store, "secret words")
    quoting = save(store, f'about "event_id":"{gone}" I say no')
    store.drain()
    withdraw(store, gone)
    store.drain()
    assert quoting in text_at(repository, repository.head())


def test_lines_that_are_no_events_stay_unless_they_are_about_the_flag(store, repository, save, withdraw):
    gone = save(store, "secret words")
    first = store.drain().revision
    torn = f'{{"event":"flag","event_id":"{gone}","comment":"secret wo\n'
    repository.commit(
        [Add("data/train-20990101-zz-1.jsonl", ("nonsense\r\n" + torn + "last").encode())], "by hand", first
    )
    withdraw(store, gone)
    store.drain()
    assert repository.read("data/train-20990101-zz-1.jsonl", repository.head()) == b"nonsense\r\nlast"
