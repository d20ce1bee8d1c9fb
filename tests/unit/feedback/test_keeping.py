"""Predictions kept with consent though nobody flagged them: durable, once, and taken back by receipt."""

from datetime import timedelta

import pytest

from fraud.errors import NotFound, OutboxFull, StorageError
from fraud.feedback.dataset import pull, read_events
from fraud.feedback.events import PredictionEvent, is_kept, submission, withdrawal_row
from fraud.feedback.keeping import KEEP_CONSENT_VERSION, PredictionLog, kept_row
from fraud.feedback.purge import plan_purge, purge
from fraud.feedback.store import FeedbackStore
from fraud.feedback.trust import TrustPolicy, decide
from fraud.feedback.upkeep import verify
from fraud.feedback.withdrawal import withdrawal_id
from fraud.ids import new_id
from fraud.records import Withdrawal
from fraud.repositories.local import LocalRepository
from fraud.repositories.rewriting import Past


@pytest.fixture
def repository(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


@pytest.fixture
def store(tmp_path, repository):
    return FeedbackStore(tmp_path / "store", repository, "n1", sleep=lambda _: None)


@pytest.fixture
def scored(make_prediction):
    def scored(number):
        return make_prediction(
            prediction_id=new_id("p"), transaction={"amount": number, "note": f"n{number}"}
        )

    return scored


def take_back(store, receipt_id, moment):
    withdrawal = Withdrawal(withdrawal_id(receipt_id), moment, receipt_id)
    return store.withdraw(withdrawal_row(withdrawal, node="n1"))


def text_at(repository, revision):
    return "".join(p.read_text("utf-8") for p in sorted(repository.snapshot(revision).glob("**/*.jsonl")))


def test_many_predictions_are_saved_in_one_transaction_and_drain_like_flags(store, repository, scored):
    log = PredictionLog(store, "n1")
    predictions = [scored(n) for n in range(30)]
    assert all(log.offer(p) for p in predictions)
    log.close()
    assert (log.n_kept, log.n_dropped, store.backlog()) == (30, 0, 30)
    head = store.drain().revision
    events, bad = read_events(repository, head)
    assert not bad and [e.event_id for e in events] == [p.prediction_id for p in predictions]
    assert {e.consent_version for e in events} == {KEEP_CONSENT_VERSION}
    assert store.receipt(predictions[0].prediction_id).revision == head


def test_a_receipt_is_only_given_for_what_is_on_disk(store, scored):
    log = PredictionLog(store, "n1")
    prediction = scored(1)
    log._thread = object()  # nobody writes: as if the process died before the group commit
    assert log.offer(prediction)
    with pytest.raises(NotFound):
        store.receipt(prediction.prediction_id)
    log.flush()
    assert store.receipt(prediction.prediction_id).receipt_id == prediction.prediction_id


def test_a_full_queue_drops_and_counts(store, scored):
    log = PredictionLog(store, "n1", max_queue=2)
    log._thread = object()
    assert [log.offer(scored(n)) for n in range(4)] == [True, True, False, False]
    log.flush()
    assert (log.n_kept, log.n_dropped) == (2, 2)


def test_kept_predictions_leave_half_of_the_outbox_to_flags(tmp_path, repository, scored, make_flag):
    store = FeedbackStore(tmp_path / "small", repository, "n1", max_backlog=4)
    log = PredictionLog(store, "n1")
    log._thread = object()
    for number in range(2):
        log.offer(scored(number))
    log.flush()
    log.offer(scored(3))
    log.flush()
    assert (log.n_kept, log.n_dropped) == (2, 1)
    flagged = scored(4)
    store.append(submission(flagged, make_flag(flagged), node="n1"))
    with pytest.raises(OutboxFull):
        store.append_all([[kept_row(scored(5), "n1")]])


def test_one_prediction_that_breaks_the_schema_costs_only_itself(store, scored, make_prediction):
    log = PredictionLog(store, "n1")
    log._thread = object()
    bad = make_prediction(prediction_id=new_id("p"), transaction={"amount": float("inf")})
    for prediction in (scored(1), bad, scored(2)):
        log.offer(prediction)
    log.flush()
    assert (log.n_kept, log.n_dropped) == (2, 1)


def test_a_failing_outbox_is_counted_and_ends_nothing(store, scored, monkeypatch):
    log = PredictionLog(store, "n1")
    log._thread = object()

    def refuse(rows):
        raise StorageError("the disk is full", code="outbox_failed")

    with monkeypatch.context() as patched:
        patched.setattr(store, "append_all", refuse)
        log.offer(scored(1))
        log.flush()
    log.offer(scored(2))
    log.flush()
    assert (log.n_kept, log.n_dropped) == (1, 1)


@pytest.fixture
def kept_and_flagged(store, scored, make_flag):
    prediction = scored(7)
    store.append([kept_row(prediction, "n1")])
    store.append([kept_row(scored(8), "n1")])
    flag = make_flag(prediction, flag_id=new_id("f"))
    store.append(submission(prediction, flag, node="n2"))
    return prediction, flag


def test_a_later_flag_does_not_repeat_the_prediction(store, repository, kept_and_flagged, tmp_path):
    prediction, flag = kept_and_flagged
    head = store.drain().revision
    events, bad = read_events(repository, head)
    assert not bad
    assert [e.event_id for e in events].count(prediction.prediction_id) == 1 and len(events) == 3
    report = pull(repository, head, tmp_path / "out")
    assert (report.n_events, report.n_quarantined) == (3, 0)
    labels = decide(events, TrustPolicy(quarantine_days=0), as_of=flag.flagged_at + timedelta(days=1)).labels
    assert [label.prediction_ids for label in labels] == [(prediction.prediction_id,)]


def test_withdrawing_a_kept_prediction_removes_its_row_and_leaves_a_tombstone(
    store, repository, scored, make_prediction
):
    gone, other = scored("secret"), scored("plain")
    for prediction in (gone, other):
        store.append([kept_row(prediction, "n1")])
    store.drain()
    assert not store.receipt(gone.prediction_id).withdrawn
    receipt = take_back(store, gone.prediction_id, gone.predicted_at)
    assert take_back(store, gone.prediction_id, gone.predicted_at).receipt_id == receipt.receipt_id
    head = store.drain().revision
    assert "secret" not in text_at(repository, head) and gone.prediction_id in text_at(repository, head)
    events, bad = read_events(repository, head)
    assert not bad and {type(e).__name__ for e in events} == {"PredictionEvent", "WithdrawalEvent"}
    assert [e.event_id for e in events if isinstance(e, PredictionEvent)] == [other.prediction_id]
    assert store.receipt(gone.prediction_id).withdrawn
    assert verify(repository, store.receipts()).n_problems == 0


def test_a_kept_prediction_that_still_waits_is_never_committed(store, repository, scored):
    gone = scored("secret")
    store.append([kept_row(gone, "n1")])
    take_back(store, gone.prediction_id, gone.predicted_at)
    head = store.drain().revision
    assert "secret" not in text_at(repository, head)
    store.append_all([[kept_row(gone, "n1")]])
    assert store.drain().n_submissions == 0, "what was withdrawn is not kept again"


def test_each_consent_is_taken_back_by_its_own_receipt(store, repository, kept_and_flagged):
    prediction, flag = kept_and_flagged
    store.drain()
    take_back(store, prediction.prediction_id, flag.flagged_at)
    events, bad = read_events(repository, store.drain().revision)
    later = flag.flagged_at + timedelta(days=1)
    labels = decide(events, TrustPolicy(quarantine_days=0), as_of=later).labels
    assert not bad and labels, "the flag keeps its copy of what was shown"
    take_back(store, flag.flag_id, flag.flagged_at)
    head = store.drain().revision
    assert '"n7"' not in text_at(repository, head).replace("\\", "")
    assert verify(repository, store.receipts()).n_problems == 0


def test_withdrawing_the_flag_leaves_what_was_kept_for_itself(store, repository, kept_and_flagged):
    prediction, flag = kept_and_flagged
    store.drain()
    take_back(store, flag.flag_id, flag.flagged_at)
    events, bad = read_events(repository, store.drain().revision)
    assert not bad
    assert prediction.prediction_id in {e.event_id for e in events if isinstance(e, PredictionEvent)}
    assert verify(repository, store.receipts()).n_problems == 0


def test_a_prediction_that_is_only_beside_a_flag_has_no_receipt_of_its_own(store, scored, make_flag):
    prediction = scored(1)
    store.append(submission(prediction, make_flag(prediction, flag_id=new_id("f")), node="n1"))
    store.drain()
    with pytest.raises(NotFound):
        take_back(store, prediction.prediction_id, prediction.predicted_at)


def test_another_node_can_take_back_what_it_finds_at_the_head(tmp_path, store, repository, scored):
    gone = scored("secret")
    store.append([kept_row(gone, "n1")])
    store.drain()
    second = FeedbackStore(tmp_path / "second", repository, "n2")
    take_back(second, gone.prediction_id, gone.predicted_at)
    assert "secret" not in text_at(repository, second.drain().revision)


def test_a_purge_removes_a_kept_prediction_from_every_revision(store, repository, scored, tmp_path):
    gone = scored("secret")
    store.append([kept_row(gone, "n1")])
    first = store.drain().revision
    take_back(store, gone.prediction_id, gone.predicted_at)
    store.drain()
    past = Past(tmp_path / "dataset.git")
    done = purge(past, plan_purge(repository, past, gone.prediction_id))
    assert first in done.revisions
    assert all("secret" not in text_at(repository, c.revision) for c in repository.history())


def test_a_kept_row_is_told_from_a_copy_beside_a_flag(scored, make_flag):
    prediction = scored(1)
    kept = kept_row(prediction, "n1")
    beside, _ = submission(prediction, make_flag(prediction), node="n1")
    assert is_kept(kept) and not is_kept(beside)
    assert {c for c in kept if kept[c] != beside[c]} == {"consent_version"}
