"""What the dataset holds becomes observations: nothing guessed, nothing lost in silence."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from fraud.data.profile import DAY_MS, load_profile
from fraud.feedback.events import review_row, submission, withdrawal_row
from fraud.feedback.parquet import table_of
from fraud.feedback.trust import TrustPolicy
from fraud.ids import new_id
from fraud.monitoring.assessing import window_of
from fraud.monitoring.observing import NEEDED, Beginning, observe
from fraud.monitoring.opinions import Standing
from fraud.records import (
    MODELS,
    Decision,
    Finding,
    Flag,
    Label,
    ModelVersion,
    Prediction,
    Review,
    Score,
    Thresholds,
    Verdict,
    Withdrawal,
)

NOON = datetime(2026, 9, 20, 12, tzinfo=UTC)
PROFILE = load_profile("cards")
AT_ONCE = TrustPolicy(quarantine_days=0)


def _transaction(**changes):
    values = {f.column: f.default for f in PROFILE.fields}
    ids = {"transaction_id": None, "occurred_at": "2026-09-20T11:00:00+00:00", "card_id": "c1"}
    return values | ids | {"merchant_id": "m1"} | changes


def _shown(minute=0, probability=0.1, asked=None, pi=None, transaction=None, profile="cards"):
    thresholds = Thresholds(0.2, 0.8)
    score = {m: Score(m, probability, thresholds, thresholds.decide(probability)) for m in MODELS}
    prediction = Prediction(
        prediction_id=new_id("p"),
        predicted_at=NOON + timedelta(minutes=minute),
        profile=profile,
        transaction=_transaction(amount=10.0 + minute) if transaction is None else transaction,
        history=None,
        scores=score,
        model_version=ModelVersion("1.0.0", None, "d" * 64),
        latency_ms=1.5,
        audit_asked=asked,
        audit_probability=pi,
    )
    return prediction


def _flagged(prediction, label=Label.FRAUD, reporter="r1", answers=None):
    flag = Flag(
        new_id("f"),
        prediction.predicted_at + timedelta(hours=1),
        prediction.prediction_id,
        Verdict.WRONG,
        label,
        "",
        "1",
        reporter,
        answers,
    )
    rows = submission(
        prediction,
        flag,
        node="n",
        audit_asked=prediction.audit_asked,
        audit_probability=prediction.audit_probability,
    )
    return flag, list(rows)


def _kept(prediction):
    return _flagged(prediction)[1][:1]


def _observe(
    rows, profile=PROFILE, start=NOON, end=NOON + timedelta(days=1), as_of=NOON + timedelta(days=30)
):
    tables = [table_of(rows)]
    return observe(tables, profile, {"now": (start, end)}, as_of=as_of, trust=AT_ONCE)["now"]


def test_predictions_come_in_the_order_in_which_they_were_made() -> None:
    rows = _kept(_shown(2, 0.9)) + _kept(_shown(1, 0.3)) + _kept(_shown(0, 0.1))
    found = _observe(rows).observations
    assert found.answers["xgboost"].probability.tolist() == [0.1, 0.3, 0.9]
    assert found.answers["xgboost"].alerted.tolist() == [False, True, True]
    assert found.transactions.numbers["amount"].tolist() == [10, 11, 12]


def test_the_transactions_stay_beside_their_predictions_whatever_their_own_time() -> None:
    late = _transaction(amount=1.0, occurred_at="2026-09-20T11:30:00+00:00")
    early = _transaction(amount=2.0, occurred_at="2026-09-20T10:30:00+00:00")
    rows = _kept(_shown(0, 0.1, transaction=late)) + _kept(_shown(1, 0.9, transaction=early))
    found = _observe(rows).observations
    assert found.transactions.numbers["amount"].tolist() == [1, 2]
    assert found.transactions.texts["card_id"].texts() == ["c1", "c1"]


def test_a_prediction_that_nobody_spoke_of_has_no_label() -> None:
    found = _observe(_kept(_shown()))
    assert np.isnan(found.observations.labels).all()
    assert found.n_labels == 0


def test_an_answer_that_was_asked_for_by_lot_is_told_from_one_that_was_volunteered() -> None:
    _, asked = _flagged(_shown(0, asked=True, pi=0.2), answers=True)
    _, volunteered = _flagged(_shown(1, asked=False, pi=0.1), Label.LEGITIMATE)
    found = _observe(asked + volunteered).observations
    assert found.labels.tolist() == [1, 0]
    assert found.volunteered.tolist() == [False, True]
    assert found.audit_asked.tolist() == [True, False]
    assert found.audit_probability.tolist() == [0.2, 0.1]


@pytest.mark.parametrize("answers", [False, None])
def test_a_word_that_answers_no_question_is_volunteered_even_where_the_lot_fell(answers) -> None:
    """That it is known depends on what it says; and of an older flag nobody knows."""
    _, rows = _flagged(_shown(0, asked=True, pi=0.2), answers=answers)
    found = _observe(rows).observations
    assert (found.labels.tolist(), found.volunteered.tolist()) == ([1], [True])
    window = window_of(found, "xgboost")
    assert (window.n_asked, len(window.rows)) == (1, 0)


def test_an_answer_that_came_after_what_was_volunteered_counts_from_then_on() -> None:
    shown = _shown(0, asked=True, pi=0.2)
    _, unasked = _flagged(shown)
    _, answer = _flagged(replace(shown, predicted_at=NOON + timedelta(days=3)), answers=True, reporter="r2")
    rows = [*unasked, answer[-1]]
    early, late = (_observe(rows, as_of=NOON + timedelta(days=n)).observations for n in (2, 4))
    assert (early.volunteered.tolist(), late.volunteered.tolist()) == ([True], [False])


def test_an_answer_about_another_prediction_of_the_same_content_is_none_about_this_one() -> None:
    first = _shown(0, asked=False, pi=0.2, transaction=_transaction())
    second = replace(first, prediction_id=new_id("p"), audit_asked=True)
    _, rows = _flagged(first)
    _, answer = _flagged(second, answers=True, reporter="r2")
    found = _observe(rows + answer).observations
    assert sorted(zip(found.audit_asked.tolist(), found.volunteered.tolist(), strict=True)) == [
        (False, True), (True, False),
    ]  # fmt: skip


def test_a_label_that_came_later_than_asked_for_is_not_known() -> None:
    _, rows = _flagged(_shown())
    assert _observe(rows, as_of=NOON + timedelta(minutes=59)).n_labels == 0
    assert _observe(rows, as_of=NOON + timedelta(minutes=61)).n_labels == 1


def test_a_flag_on_a_prediction_before_the_window_gives_the_same_content_its_label() -> None:
    """Somebody flagged the very same transaction yesterday; both predictions are of one content."""
    first = _shown(0, transaction=_transaction())
    second = replace(first, prediction_id=new_id("p"), predicted_at=NOON + timedelta(days=2))
    found = _observe(
        _flagged(first)[1] + _kept(second), start=NOON + timedelta(days=1), end=NOON + timedelta(days=3)
    )
    assert len(found.observations) == 1
    assert found.observations.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("finding", "label", "standing"),
    [
        (Finding.REJECT, 0.0, Standing.OVERTURNED),
        (Finding.ACCEPT, 1.0, Standing.CONFIRMED),
        (Finding.UNSURE, np.nan, Standing.UNKNOWN),
    ],
)
def test_a_maintainers_finding_settles_what_was_said(finding, label, standing) -> None:
    """Training leaves a rejected claim out; leaving wrong answers out of a sample would bias it."""
    flag, rows = _flagged(_shown())
    review = Review(new_id("v"), NOON + timedelta(hours=2), flag.flag_id, finding, "", "m")
    found = _observe([*rows, review_row(review, node="n")]).observations
    np.testing.assert_array_equal(found.labels, [label])
    assert found.standing.tolist() == [standing]


def test_one_word_stands_alone_and_two_of_a_quorum_confirm_each_other() -> None:
    shown = _shown()
    _, alone = _flagged(shown)
    assert _observe(alone).observations.standing.tolist() == [Standing.LONE]
    _, again = _flagged(shown, reporter="r2")
    assert _observe([*alone, again[-1]]).observations.standing.tolist() == [Standing.CONFIRMED]


def test_a_withdrawn_flag_gives_no_label() -> None:
    flag, rows = _flagged(_shown())
    gone = Withdrawal(new_id("w"), NOON + timedelta(days=3), flag.flag_id)
    assert _observe([*rows, withdrawal_row(gone, node="n")]).n_labels == 0


def test_only_the_window_and_the_profile_are_looked_at() -> None:
    rows = _kept(_shown(-1)) + _kept(_shown(0)) + _kept(_shown(24 * 60)) + _kept(_shown(1, profile="other"))
    assert len(_observe(rows).observations) == 1


def test_what_the_profile_cannot_read_is_left_out_and_counted() -> None:
    rows = _kept(_shown(0)) + _kept(_shown(1, transaction=_transaction(amount="many")))
    found = _observe(rows)
    assert found.observations.transactions.numbers["amount"].tolist() == [10]
    assert dict(found.unused) == {"cannot be read by the profile": 1}


def test_what_broke_upstream_is_seen_and_not_left_out() -> None:
    broken = [_transaction(amount=-3e6), _transaction(category=None), _transaction(channel="fax")]
    rows = [row for i, t in enumerate(broken) for row in _kept(_shown(i, transaction=t))]
    found = _observe(rows).observations.transactions
    assert found.numbers["amount"][0] == -3e6
    assert found.texts["category"].texts()[1] is None
    assert found.texts["channel"].texts()[2] == "fax"


def test_no_predictions_are_no_observations() -> None:
    assert len(_observe([]).observations) == 0
    found = observe([], PROFILE, {"now": (NOON, NOON)}, as_of=NOON, trust=AT_ONCE)
    assert len(found["now"].observations) == 0


def _days_of(shown: list[Prediction], wanted: Beginning) -> list[float]:
    tables = [table_of(_kept(one)) for one in shown]
    beginnings = {"first": wanted}
    found = observe(iter(tables), PROFILE, {}, as_of=NOON, trust=AT_ONCE, beginnings=beginnings)["first"]
    times = found.observations.predicted_ms - int(NOON.timestamp() * 1000)
    return [float(time) / DAY_MS for time in times]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (3, 1, 5, 0, 4, 2)])
def test_the_first_days_of_a_model_are_found_wherever_they_stand(order) -> None:
    digests = ("d", "e", "e", "e", "e", "e")  # on day 0 another model of the same name answered
    shown = []
    for day, digest in enumerate(digests):
        one = _shown(24 * 60 * day)
        shown.append(replace(one, model_version=replace(one.model_version, manifest_digest=digest * 64)))
    wanted = Beginning("1.0.0", "e" * 64, 2.0, NOON + timedelta(days=30))
    assert _days_of([shown[i] for i in order], wanted) == [1.0, 2.0]
    soon = replace(wanted, before=NOON + timedelta(days=2))
    assert _days_of([shown[i] for i in order], soon) == [1.0]
    assert _days_of([shown[i] for i in order], replace(wanted, manifest_digest="f" * 64)) == []


def test_of_a_long_log_only_what_is_asked_for_is_held() -> None:
    """60 tables of megabytes, of which one is of the stretch and one of the first days."""
    big = _transaction(of_no_profile="m" * 20_000)
    tables = 60
    held: list[int] = []

    def log() -> Iterator[pa.Table]:
        for day in range(tables):
            held.append(pa.total_allocated_bytes())
            shown = [_shown(24 * 60 * day + minute, transaction=big) for minute in range(20)]
            yield table_of([row for one in shown for row in _kept(one)]).select(NEEDED)

    last = (NOON + timedelta(days=tables - 1), NOON + timedelta(days=tables))
    first = Beginning("1.0.0", "d" * 64, 1.0, NOON + timedelta(days=30))
    found = observe(log(), PROFILE, {"last": last}, as_of=NOON, trust=AT_ONCE, beginnings={"first": first})
    assert [len(found[name].observations) for name in ("last", "first")] == [20, 20]
    assert held[-1] - held[10] < 5 * 20 * 20_000


def test_stretches_may_overlap_and_are_read_in_one_pass() -> None:
    rows = _kept(_shown(0)) + _kept(_shown(1)) + _kept(_shown(2))
    stretches = {
        "early": (NOON, NOON + timedelta(minutes=2)),
        "late": (NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)),
    }
    found = observe(iter([table_of(rows)]), PROFILE, stretches, as_of=NOON, trust=AT_ONCE)
    assert {name: len(part.observations) for name, part in found.items()} == {"early": 2, "late": 2}


@pytest.mark.parametrize("name", ["ulb", "handbook", "sparkov"])
def test_every_shipped_profile_is_read_by_column_as_it_is_read_one_by_one(name, monkeypatch) -> None:
    from fraud.data.validate import validate_transaction
    from fraud.monitoring import observing

    profile = load_profile(name)
    raw = {f.column: f.default for f in profile.fields if f.default is not None}
    raw |= {e.column: "7" for e in profile.entities}
    raw |= {profile.columns.time: 50_000 if profile.columns.time_step_ms else "2020-01-05T10:00:00Z"}
    for field in profile.fields:
        if field.required and field.column not in raw:
            raw[field.column] = {"number": 1.5, "date": "1980-01-31", "boolean": True}.get(
                field.kind, field.levels[0] if field.levels else "x"
            )
    transaction = validate_transaction(profile, raw, NOON)
    rows = _kept(_shown(0, transaction=transaction, profile=name))
    quick = _observe(rows, profile).observations.transactions
    monkeypatch.setattr(observing, "_by_column", lambda *_: (_ for _ in ()).throw(observing.TableError("x")))
    careful = _observe(rows, profile).observations.transactions
    assert len(quick) == len(careful) == 1
    for column, values in careful.numbers.items():
        np.testing.assert_array_equal(quick.numbers[column], values)
    for column, texts in careful.texts.items():
        assert quick.texts[column].texts() == texts.texts()
    np.testing.assert_array_equal(quick.times(), careful.times())


def test_decisions_other_than_approve_are_alerts() -> None:
    found = _observe(_kept(_shown(0, 0.95))).observations
    assert Thresholds(0.2, 0.8).decide(0.95) is Decision.DECLINE
    assert found.answers["random_forest"].alerted.tolist() == [True]
