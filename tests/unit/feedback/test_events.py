import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import FlagError
from fraud.feedback.canonical import canonical_json
from fraud.feedback.events import (
    COLUMNS,
    MAX_COMMENT_LENGTH,
    SCHEMA_VERSION,
    clean_comment,
    milliseconds,
    review_row,
    submission,
    withdrawal_row,
)
from fraud.feedback.parsing import parse_line, parse_row
from fraud.records import Finding, Review, Withdrawal

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | TEXT
INPUTS = st.dictionaries(TEXT, SCALARS, max_size=5)


def test_both_rows_have_every_column_in_the_same_order(prediction, flag):
    for row in submission(prediction, flag, node="n1"):
        assert list(row) == list(COLUMNS)


def test_a_submission_comes_back_as_it_went_in(prediction, flag):
    shown, said = (parse_row(row) for row in submission(prediction, flag, node="n1"))
    assert shown.prediction == prediction
    assert said.flag == flag
    assert shown.content_digest == said.content_digest
    assert (shown.node, said.node, said.profile) == ("n1", "n1", "cards")
    assert shown.recorded_at == prediction.predicted_at


def test_times_are_epoch_milliseconds_in_any_zone(prediction, flag):
    there = flag.flagged_at.astimezone(timezone(timedelta(hours=-3)))
    _, said = submission(prediction, replace(flag, flagged_at=there), node="n1")
    assert said["recorded_ms"] == 1_767_614_460_123
    with pytest.raises(FlagError, match="time zone"):
        milliseconds(datetime(2026, 1, 1))


def test_equal_content_has_an_equal_digest_whatever_the_order_and_the_id(make_prediction, make_flag):
    digests = set()
    for transaction in ({"a": 5, "b": 0.0}, {"b": -0.0, "a": 5.0}):
        prediction = make_prediction(transaction=transaction)
        digests.add(submission(prediction, make_flag(prediction), node="n1")[0]["content_digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change", [{"profile": "ulb"}, {"transaction": {"amount": 1}}, {"history": None}, {"history": ()}]
)
def test_other_content_has_another_digest(prediction, make_flag, change):
    other = replace(prediction, **change)
    rows = [submission(p, make_flag(p), node="n1")[0] for p in (prediction, other)]
    assert rows[0]["content_digest"] != rows[1]["content_digest"]


def test_a_flag_on_another_prediction_is_refused(prediction, flag):
    with pytest.raises(FlagError, match="another prediction"):
        submission(prediction, replace(flag, prediction_id="p_other"), node="n1")


def test_a_prediction_without_both_scores_is_refused(prediction, flag):
    with pytest.raises(FlagError, match="xgboost"):
        submission(
            replace(prediction, scores={"random_forest": prediction.scores["random_forest"]}), flag, node="n1"
        )


@settings(deadline=None)
@given(transaction=INPUTS, history=st.none() | st.lists(INPUTS, max_size=2).map(tuple))
def test_any_json_content_survives_a_line_of_the_shard(make_prediction, make_flag, transaction, history):
    prediction = make_prediction(transaction=transaction, history=history)
    shown, _ = submission(prediction, make_flag(prediction), node="n1")
    line = json.dumps(shown, allow_nan=False, ensure_ascii=False).encode()
    assert b"\n" not in line
    event = parse_row(parse_line(line))
    for name, value in transaction.items():
        missing = isinstance(value, float) and math.isnan(value)
        assert event.prediction.transaction[name] == (None if missing else value)


@settings(deadline=None)
@given(INPUTS)
def test_canonical_json_is_its_own_canonical_form(content):
    text = canonical_json(content, "x")
    assert canonical_json(json.loads(text), "x") == text
    assert "NaN" not in canonical_json({"a": math.nan}, "x")


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, "\ud800", {"\udfff": 1}, {1: 2}, b"bytes", object(), {1, 2}, 1j]
)
def test_what_json_cannot_hold_is_refused_with_the_field(prediction, flag, value):
    with pytest.raises(FlagError) as caught:
        submission(replace(prediction, transaction={"amount": value}), flag, node="n1")
    assert caught.value.field == "transaction"


def test_nesting_has_a_limit():
    value = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(FlagError, match="nested"):
        canonical_json(value, "transaction")


# comments


def test_a_comment_of_several_lines_is_kept(prediction, flag):
    rows = submission(prediction, replace(flag, comment="one\r\ntwo\rthree\tçã 漢 \u2028 🙂"), node="n1")
    assert parse_row(rows[1]).flag.comment == "one\ntwo\nthree\tçã 漢 \u2028 🙂"


def test_the_comment_limit_counts_characters():
    assert clean_comment("🙂" * MAX_COMMENT_LENGTH)
    with pytest.raises(FlagError, match=r"2,001 characters"):
        clean_comment("🙂" * (MAX_COMMENT_LENGTH + 1))


@pytest.mark.parametrize("comment", ["a\x00b", "\x1b[31m", "a\x7f", "\x85", "\ud800", "\udc00x"])
def test_control_characters_and_half_pairs_are_refused(comment):
    with pytest.raises(FlagError) as caught:
        clean_comment(comment)
    assert caught.value.field == "comment"


@settings(deadline=None)
@given(st.text(st.characters(), max_size=50))
def test_any_comment_is_either_refused_or_comes_back(make_prediction, make_flag, comment):
    prediction = make_prediction()
    try:
        _, said = submission(prediction, make_flag(prediction, comment=comment), node="n1")
    except FlagError:
        return
    line = json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
    assert parse_row(parse_line(line)).flag.comment == comment.replace("\r\n", "\n").replace("\r", "\n")


# parsing


def test_a_row_of_a_newer_program_says_so_whatever_columns_it_has(prediction, flag):
    row = submission(prediction, flag, node="n1")[0] | {"schema_version": SCHEMA_VERSION + 1, "extra": None}
    with pytest.raises(FlagError, match="newer version of this program"):
        parse_row(row)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", SCHEMA_VERSION + 1), ("schema_version", 0), ("schema_version", True),
        ("schema_version", None), ("event", "wave"),
        ("event_id", ""), ("event_id", "a\nb"), ("event_id", 7), ("recorded_ms", 1.5), ("recorded_ms", -1),
        ("recorded_ms", 10**16), ("recorded_ms", "2026-01-05"), ("node", None), ("profile", ""),
        ("content_digest", "0" * 64), ("content_digest", "x"), ("transaction_json", "[]"),
        ("transaction_json", '{"a":'), ("transaction_json", '{"a":NaN}'), ("transaction_json", None),
        ("transaction_json", "[" * 100_000), ("transaction_json", '{"a":1,"a":2}'), ("history_json", "{}"),
        ("random_forest_probability", 1.1), ("random_forest_probability", "0.5"),
        ("xgboost_probability", math.nan), ("xgboost_probability", None), ("xgboost_review_threshold", -1),
        ("xgboost_decision", "maybe"), ("model_version", None), ("latency_ms", math.inf),
        ("latency_ms", 10**400), ("latency_ms", 2**53 + 1), ("audit_probability", 0),
        ("audit_asked", 1), ("finding", "accept"), ("audit_probability", 2), ("label", "fraud"),
        ("extra", 1),
    ],
)  # fmt: skip
def test_a_bad_prediction_row_is_refused_with_its_field(prediction, flag, field, value):
    row = submission(prediction, flag, node="n1")[0]
    with pytest.raises(FlagError) as caught:
        parse_row({**row, field: value})
    assert caught.value.field == field
    assert str(caught.value).startswith(field + ": ") or field in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "unknown"), ("label", None), ("verdict", "maybe"), ("comment", None),
        ("comment", "x" * 2001), ("comment", "a\r\nb"), ("comment", "\x00"), ("reporter", ""),
        ("consent_version", None), ("transaction_json", "{}"), ("xgboost_probability", 0.5),
        ("prediction_id", None),
    ],
)  # fmt: skip
def test_a_bad_flag_row_is_refused_with_its_field(prediction, flag, field, value):
    row = submission(prediction, flag, node="n1")[1]
    with pytest.raises(FlagError) as caught:
        parse_row({**row, field: value})
    assert caught.value.field == field


def test_content_that_hides_half_a_pair_or_an_infinity_is_refused(prediction, flag):
    row = submission(prediction, flag, node="n1")[0]
    for text in ('{"a":"\\ud800"}', '{"a":1e999}', '{"a": 1}', '{"b":1,"a":1}'):
        with pytest.raises(FlagError):
            parse_row({**row, "transaction_json": text})


def test_a_column_that_an_older_row_lacks_is_null(prediction, flag):
    row = submission(prediction, flag, node="n1")[0]
    del row["audit_probability"], row["about_event_id"]
    assert parse_row(row).audit_probability is None


@settings(deadline=None)
@given(st.binary(max_size=60) | st.recursive(SCALARS, lambda x: st.lists(x) | st.dictionaries(TEXT, x)).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_line_of_bytes_does_worse_than_be_refused(line):
    with pytest.raises(FlagError):
        parse_row(parse_line(line))


@settings(deadline=None)
@given(
    field=st.sampled_from(list(COLUMNS)),
    value=SCALARS | st.lists(SCALARS, max_size=2),
    which=st.integers(0, 1),
)
def test_no_value_in_a_row_does_worse_than_be_refused(make_prediction, make_flag, field, value, which):
    prediction = make_prediction()
    row = submission(prediction, make_flag(prediction), node="n1")[which]
    try:
        parse_row({**row, field: value})
    except FlagError as error:
        assert error.field in COLUMNS


# reviews, withdrawals, audits


def _review(**changes):
    return replace(Review("v_1", NOON, "f_1", Finding.REJECT, "seen\r\nbefore", "m1"), **changes)


def test_a_review_comes_back_with_its_note_cleaned():
    event = parse_row(review_row(_review(), node="n1"))
    assert event.review == _review(note="seen\nbefore")
    assert (event.event_id, event.recorded_at, event.node) == ("v_1", NOON, "n1")


def test_a_withdrawal_says_nothing_but_which_flag_when_and_where():
    withdrawal = Withdrawal("w_1", NOON, "f_1")
    row = withdrawal_row(withdrawal, node="n1")
    assert parse_row(row).withdrawal == withdrawal
    assert {name for name, value in row.items() if value is not None} == {
        "schema_version", "event", "event_id", "about_event_id", "recorded_ms", "node",
    }  # fmt: skip
    assert list(row) == list(COLUMNS)


@pytest.mark.parametrize("field", ["comment", "transaction_json", "content_digest", "prediction_id", "label"])
def test_a_tombstone_with_content_is_refused(field):
    row = withdrawal_row(Withdrawal("w_1", NOON, "f_1"), node="n1")
    with pytest.raises(FlagError) as caught:
        parse_row({**row, field: "x"})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [("finding", "maybe"), ("finding", None), ("about_event_id", None), ("comment", None), ("reporter", ""),
     ("comment", "x" * 2001), ("transaction_json", "{}"), ("label", "fraud"), ("verdict", "right")],
)  # fmt: skip
def test_a_bad_review_row_is_refused_with_its_field(field, value):
    row = review_row(_review(), node="n1")
    with pytest.raises(FlagError) as caught:
        parse_row({**row, field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(("asked", "probability"), [(True, 0.25), (False, 0.25), (None, None), (None, 0.5)])
def test_the_draw_of_an_audit_is_kept_with_the_prediction(prediction, flag, asked, probability):
    rows = submission(prediction, flag, node="n1", audit_asked=asked, audit_probability=probability)
    shown = parse_row(rows[0])
    assert (shown.audit_asked, shown.audit_probability) == (asked, probability)
    assert rows[1]["audit_asked"] is None


@pytest.mark.parametrize(("asked", "probability"), [(True, None), (False, None), (True, 0.0), (True, 1.5)])
def test_an_audit_without_its_chance_is_refused(prediction, flag, asked, probability):
    row = submission(prediction, flag, node="n1", audit_asked=asked, audit_probability=probability)[0]
    with pytest.raises(FlagError) as caught:
        parse_row(row)
    assert caught.value.field == "audit_probability"


@pytest.mark.parametrize("answers", [True, False, None])
def test_what_a_flag_answers_is_kept_with_it(prediction, flag, answers):
    flag = replace(flag, answers_audit=answers)
    rows = submission(prediction, flag, node="n1", audit_asked=True, audit_probability=0.25)
    assert parse_row(rows[1]).flag == flag
    assert rows[0]["answers_audit"] is None


@pytest.mark.parametrize("asked", [False, None])
def test_a_flag_cannot_answer_a_question_that_was_not_put(prediction, flag, asked):
    with pytest.raises(FlagError, match="lot did not fall") as caught:
        submission(
            prediction,
            replace(flag, answers_audit=True),
            node="n1",
            audit_asked=asked,
            audit_probability=None if asked is None else 0.25,
        )
    assert caught.value.field == "answers_audit"


@pytest.mark.parametrize("value", [1, "true", []])
def test_what_a_flag_answers_is_yes_or_no(prediction, flag, value):
    row = submission(prediction, flag, node="n1")[1]
    with pytest.raises(FlagError, match="answers_audit"):
        parse_row({**row, "answers_audit": value})
