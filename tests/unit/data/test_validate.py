"""One transaction: canonical form or one sentence per broken field, whatever JSON holds."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import Profile, load_profile, parse_profile
from fraud.data.validate import (
    MAX_HISTORY,
    MAX_UNKNOWN,
    _canonical,
    all_problems,
    transactions_from_records,
    validate_history,
    validate_transaction,
)
from fraud.errors import TransactionError

NOW = datetime(2026, 8, 30, 12, tzinfo=UTC)


def make_profile(time_unit: str = "datetime") -> Profile:
    return parse_profile(
        {
            "name": "small",
            "title": {"en": "Small"},
            "description": {"en": ""},
            "columns": {
                "id": "id",
                "time": "at",
                "time_unit": time_unit,
                "label": "fraud",
                "label_at": "seen",
                "amount": "paid",
            },
            "entities": [{"name": "card", "column": "card", "label": {"en": "Card"}}],
            "fields": [
                {"column": "paid", "kind": "number", "minimum": 0, "label": {"en": "Amount"}},
                {
                    "column": "age",
                    "kind": "number",
                    "integer": True,
                    "required": False,
                    "label": {"en": "Age"},
                },
                {"column": "kind", "kind": "category", "levels": ["A", "B"], "label": {"en": "Kind"}},
                {
                    "column": "land",
                    "kind": "category",
                    "open_levels": True,
                    "required": False,
                    "label": {"en": "Land"},
                },
                {"column": "chip", "kind": "boolean", "required": False, "label": {"en": "Chip"}},
                {"column": "born", "kind": "date", "required": False, "label": {"en": "Born"}},
            ],
            "evaluation": {"kind": "time"},
            "costs": {"review": 1, "friction": 5},
        },
        "test",
    )


PROFILE = make_profile()
SECONDS = make_profile("seconds")
GOOD: dict[str, Any] = {"at": "2026-08-01T00:00:00Z", "card": "c1", "paid": 5, "kind": "A"}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_the_canonical_form_has_every_column_in_its_type() -> None:
    raw = GOOD | {"paid": " 5.5 ", "age": "41", "chip": "Yes", "born": "1980-01-31", "card": 596.0}
    assert validate_transaction(PROFILE, raw, NOW) == {
        "id": None,
        "at": "2026-08-01T00:00:00+00:00",
        "card": "596",
        "paid": 5.5,
        "age": 41,
        "kind": "A",
        "land": None,
        "chip": True,
        "born": "1980-01-31",
    }


def brief(value: object) -> str:
    """Name a case: pytest would write all digits of a number and all brackets of a list."""
    return ascii(value[:20]) if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *[("paid", v, "missing") for v in (None, "", "  ", float("nan"))],
        *[
            ("paid", v, "not_a_number")
            for v in (
                True,
                "1_000",
                "\u0661\u0662",
                "\uff15",
                "nan",
                "1e999",
                "0x1F",
                "1,5",
                "5 5",
                float("inf"),
            )
        ],
        *[("paid", v, "not_a_number") for v in (10**400, 10**5000, [], [5], {}, b"5", "9" * 10**6)],
        *[("paid", v, "above_maximum") for v in (1e16, 1e300)],
        ("paid", nested(100_000), "not_a_number"),
        ("paid", -0.01, "below_minimum"),
        ("age", 41.5, "not_an_integer"),
        *[("kind", v, "unknown_level") for v in ("a", "C", True, 5)],
        *[
            ("land", v, "too_long")
            for v in ("x" * 65, "a\0b", "\ud800", "a\nb", [], {}, 10**5000, nested(100_000))
        ],
        *[("card", v, "too_long") for v in ("x" * 65, "\ud800", ["c1"], {"c": 1})],
        *[("chip", v, "not_a_boolean") for v in ("maybe", 2, [], "1_0", nested(100_000))],
        *[
            ("born", v, "not_a_date")
            for v in (
                "2026-02-30",
                "1980-01-01garbage",
                "now",
                19800101,
                True,
                "\u0661980-01-01",
                nested(100_000),
            )
        ],
        *[("at", v, "not_a_time") for v in ("2026-02-30", "soon", 1_700_000_000, True, [], "0001-01-01")],
        ("at", "9999-12-31T23:59:59-12:00", "not_a_time"),
        *[("at", v, "in_the_future") for v in ("9999-12-31", "2026-08-30T12:06:00Z")],
        ("at", None, "missing"),
        ("colour", "red", "unknown_field"),
    ],
    ids=brief,
)
def test_a_broken_rule_is_a_short_sentence_about_its_field(field: str, value: Any, code: str) -> None:
    with pytest.raises(TransactionError) as caught:
        validate_transaction(PROFILE, GOOD | {field: value}, NOW)
    error = caught.value
    assert (error.code, error.field) == (code, field)
    assert field in error.message and error.message.endswith(".") and len(error.message) < 250
    json.dumps(error.params).encode()


@pytest.mark.parametrize("value", [-5, "\u0661", "1_000", True, "nan", 1e18, 253_402_214_400, None, "", []])
def test_a_numeric_time_obeys_the_calendar(value: Any) -> None:
    with pytest.raises(TransactionError) as caught:
        validate_transaction(SECONDS, GOOD | {"at": value}, NOW)
    assert caught.value.field == "at"


def test_a_clock_may_run_five_minutes_ahead() -> None:
    assert validate_transaction(PROFILE, GOOD | {"at": "2026-08-30T12:04:59Z"}, NOW)
    assert validate_transaction(SECONDS, GOOD | {"at": NOW.timestamp() + 299}, NOW)


def test_a_date_with_a_zone_is_the_day_in_utc_as_in_a_table() -> None:
    raw = GOOD | {"born": "1980-01-31T23:00:00-05:00"}
    assert validate_transaction(PROFILE, raw, NOW)["born"] == "1980-02-01"


def test_every_broken_field_is_listed_the_first_one_raised() -> None:
    with pytest.raises(TransactionError) as caught:
        validate_transaction(PROFILE, {"paid": "x", "kind": "C"}, NOW)
    assert [p.field for p in caught.value.problems] == ["at", "paid", "kind"]


@pytest.mark.parametrize(
    "key", ["\ud800", "\0", "k" * 10_000, "<script>", 5, None, (1, 2), 10**5000], ids=brief
)
def test_an_unknown_name_is_repeated_only_where_it_is_short_and_printable(key: Any) -> None:
    with pytest.raises(TransactionError, match="is not a field of this profile") as caught:
        validate_transaction(PROFILE, GOOD | {key: 1}, NOW)
    caught.value.message.encode()
    assert len(caught.value.message) < 200


def test_a_flood_of_unknown_names_is_answered_briefly() -> None:
    assert len(all_problems(PROFILE, GOOD | {f"k{i}": 1 for i in range(10_000)}, NOW)) == MAX_UNKNOWN


@pytest.mark.parametrize("raw", [None, [], "text", 5, [GOOD]])
def test_what_is_no_object_is_no_transaction(raw: Any) -> None:
    assert [p.code for p in all_problems(PROFILE, raw, NOW)] == ["not_an_object"]


def test_a_label_is_taken_on_a_past_transaction_only() -> None:
    raw = GOOD | {"fraud": 1, "seen": "2026-08-05"}
    assert validate_transaction(PROFILE, raw, NOW, labelled=True)["fraud"] == "1"
    with pytest.raises(TransactionError, match="fraud is not a field"):
        validate_transaction(PROFILE, raw, NOW)


@pytest.mark.parametrize("label", ["yes", True, 2, [], nested(100_000), "\ud800"], ids=brief)
def test_a_label_the_profile_does_not_know_is_refused(label: Any) -> None:
    with pytest.raises(TransactionError, match="fraud"):
        validate_transaction(PROFILE, GOOD | {"fraud": label}, NOW, labelled=True)


@pytest.mark.parametrize("history", [None, 5, "x", {}, [1], [[]], [{}] * (MAX_HISTORY + 1)])
def test_a_history_that_is_no_list_of_transactions_is_refused(history: Any) -> None:
    with pytest.raises(TransactionError, match="history"):
        validate_history(PROFILE, history, NOW)


def test_a_bad_row_of_a_history_is_named_by_its_number() -> None:
    with pytest.raises(
        TransactionError, match=r"^history, row 2: Amount \(paid\) must be a number"
    ) as caught:
        validate_history(PROFILE, [GOOD, GOOD | {"paid": "x"}], NOW)
    assert caught.value.params["row"] == 2


scalar = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=80),
    st.sampled_from(
        ["A", "B", "c1", "2026-08-01", "2026-08-01T10:00:00Z", "1980-01-31", "yes", " 5 ", "1e3", 0]
    ),
    st.datetimes().map(str),
)
anything = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
columns = ["id", "at", "card", "paid", "age", "kind", "land", "chip", "born", "fraud", "seen"]


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(columns) | st.text(max_size=5), anything), st.booleans(), st.booleans()
)
def test_any_json_is_refused_or_becomes_its_own_canonical_form(
    raw: dict[str, Any], labelled: bool, in_seconds: bool
) -> None:
    profile = SECONDS if in_seconds else PROFILE
    start = GOOD | {"at": 1_700_000_000} if in_seconds else GOOD
    try:
        canonical = validate_transaction(profile, start | raw, NOW, labelled=labelled)
    except TransactionError as error:
        assert error.problems[0] is error
        json.dumps([p.message for p in error.problems], ensure_ascii=False).encode()
        return
    assert json.loads(json.dumps(canonical, allow_nan=False)) == canonical
    assert validate_transaction(profile, canonical, NOW, labelled=labelled) == canonical
    assert len(transactions_from_records(profile, [canonical])) == 1


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(columns), scalar), st.booleans(), st.booleans())
def test_what_the_quick_rules_accept_is_what_the_full_rules_make_of_it(
    raw: dict[str, Any], labelled: bool, in_seconds: bool
) -> None:
    profile = SECONDS if in_seconds else PROFILE
    sent = (GOOD | {"at": 1_700_000_000} if in_seconds else GOOD) | raw
    accepted = profile.quick_rules[labelled].accept(sent, NOW)
    if accepted is not None:
        assert all_problems(profile, sent, NOW, labelled=labelled) == []
        slow = _canonical(profile, sent, NOW, labelled)
        assert list(accepted) == list(slow)
        assert {k: (type(v), v) for k, v in accepted.items()} == {k: (type(v), v) for k, v in slow.items()}


@pytest.mark.parametrize("labelled", [False, True])
def test_the_quick_rules_accept_what_is_plainly_right(labelled: bool) -> None:
    whole = GOOD | {"age": 31, "land": "PT", "chip": True, "born": "1980-01-31"}
    assert PROFILE.quick_rules[labelled].accept(whole, NOW) is not None


@settings(max_examples=100, deadline=None)
@given(anything)
def test_anything_at_all_is_a_transaction_or_refused(raw: Any) -> None:
    assert all_problems(PROFILE, raw, NOW)


def test_records_become_the_columns_that_a_table_of_them_would() -> None:
    rows = [
        GOOD | {"at": "2026-08-02T00:00:00Z", "fraud": "1", "seen": "2026-08-03", "born": "1980-01-31"},
        GOOD | {"fraud": "0", "chip": False},
    ]
    table = transactions_from_records(PROFILE, validate_history(PROFILE, rows, NOW))
    assert table.labels.tolist() == [0, 1] and np.all(np.diff(table.times()) > 0)
    np.testing.assert_array_equal(table.numbers["chip"], [0, np.nan])
    np.testing.assert_array_equal(table.numbers["born"], [np.nan, 3682])
    assert table.known_at_ms[1] == int(datetime(2026, 8, 3, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov", "ulb"])
def test_the_defaults_of_a_shipped_form_are_a_valid_transaction(name: str) -> None:
    profile = load_profile(name)
    raw: dict[str, Any] = {f.column: f.default for f in profile.fields}
    assert profile.columns.time is not None
    raw[profile.columns.time] = 60 if profile.columns.time_step_ms else "2026-08-01T00:00:00Z"
    validate_transaction(profile, raw, NOW)
