"""A first profile for an unknown table: what is read off it makes sense, and its notes are worth reading."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

from fraud.data.infer import infer_profile
from fraud.data.profile import InputField, Profile, parse_profile
from fraud.data.table import transactions_from_frame
from fraud.errors import ProfileError, TableError

N = 400


def make_frame(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    base = {
        "paid amount": np.round(rng.lognormal(3, 1, N), 2),
        "fraud": np.where(np.arange(N) % 20 == 0, "1", "0"),
    }
    return pd.DataFrame(base | columns)


def infer(frame: pd.DataFrame, time: str | None = None, entities: list[str] | None = None) -> Profile:
    document, _ = infer_profile(frame, "My table", "fraud", time, entities or [])
    tomli_w.dumps(document)
    return parse_profile(document, "inferred")


def field(cells: Any) -> InputField | None:
    return infer(make_frame(x=cells)).by_column.get("x")


def notes(frame: pd.DataFrame, **options: Any) -> str:
    return "\n".join(infer_profile(frame, "t", "fraud", options.get("time"), options.get("entities", []))[1])


def cycle(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (cycle("a", "b", "c"), "category"),
        (cycle("yes", "no"), "boolean"),
        (cycle("True", "False"), "boolean"),
        (cycle(True, False), "boolean"),
        (cycle("0", "1"), "boolean"),
        (cycle("1.5", "2.5", "7"), "number"),
        (cycle(1, 2, 3), "number"),
        (cycle("m", "f"), "category"),
    ],
)
def test_a_columns_kind_is_read_off_its_cells(cells: list[Any], kind: str) -> None:
    found = field(cells)
    assert found is not None and found.kind == kind and found.required


@pytest.mark.parametrize(
    "cells",
    [
        cycle("same"),
        [None] * N,
        [""] * N,
        [f"key-{i}" for i in range(N)],
        list(range(10**6, 10**6 + N)),
        ["x" * 65, "y"] * (N // 2),
        ["a\0b", "y"] * (N // 2),
        cycle([1], [2]),
        cycle(b"a", b"b"),
        cycle(1e16, 2e16),
    ],
    ids=["constant", "empty", "blank", "texts", "integers", "long", "nul", "lists", "bytes", "huge"],
)
def test_a_column_that_no_form_could_hold_is_left_out_with_a_note(cells: list[Any]) -> None:
    assert field(cells) is None
    assert '"x"' in notes(make_frame(x=cells))


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_column_with_missing_cells_is_not_required(blank: str | None) -> None:
    for values in (("a", "b", blank), ("1", "2.5", blank), ("yes", "no", blank)):
        found = field(cycle(*values))
        assert found is not None and not found.required and "" not in found.levels


def test_a_number_has_room_above_and_a_typical_default() -> None:
    found = field(cycle(10.0, 20.25, 40.0))
    assert found is not None and (found.minimum, found.default, found.integer) == (0, 20.25, False)
    assert found.maximum is not None and found.maximum >= 400


def test_a_tiny_number_keeps_a_default_that_is_not_zero() -> None:
    found = field(cycle(1.5e-7, 2.5e-7, 3.5e-7))
    assert found is not None and found.default == 2.5e-7


def test_a_text_of_many_levels_is_open() -> None:
    found = field([f"town {i % 60}" for i in range(N)])
    assert found is not None and found.open_levels and not found.levels


def test_infinite_numbers_are_refused_with_their_column() -> None:
    with pytest.raises(TableError, match='Column "x" holds infinite numbers'):
        infer(make_frame(x=cycle(1.0, float("inf"))))


@pytest.mark.parametrize(
    ("fraud", "honest"),
    [
        ("1", "0"),
        ("Yes ", " No"),
        (True, False),
        (1.0, 0.0),
        ("fraude", "legit"),
        ("2", "1"),
        ("b", "a"),
        ("1", "2"),
    ],
)
def test_the_value_that_means_fraud_is_found(fraud: Any, honest: Any) -> None:
    frame = make_frame(fraud=[fraud if i % 20 == 0 else honest for i in range(N)])
    profile = infer(frame)
    assert transactions_from_frame(frame, profile).labels.sum() == N / 20


def test_a_word_for_fraud_counts_even_where_frauds_are_the_many() -> None:
    frame = make_frame(fraud=["no" if i % 20 == 0 else "yes" for i in range(N)])
    assert infer(frame).columns.fraud_values == ("yes",)
    assert "95.00% of the labelled rows" in notes(frame)


def test_missing_labels_stay_unknown() -> None:
    frame = make_frame(fraud=[None if i % 7 == 0 else str(int(i % 20 == 1)) for i in range(N)])
    labels = transactions_from_frame(frame, infer(frame)).labels
    assert np.isnan(labels).sum() == np.sum(np.arange(N) % 7 == 0)


@pytest.mark.parametrize("values", [("1",), ("0", "1", "2"), (None,), ("yes", "no", "Yes")])
def test_a_label_without_two_values_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(TableError, match='Column "fraud" must have exactly two values'):
        infer(make_frame(fraud=cycle(*values)))


def test_a_named_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(TableError, match='"when" is not in the table; it has "paid amount", "fraud"'):
        infer(make_frame(), time="when")


def test_an_entity_that_is_the_label_is_refused() -> None:
    with pytest.raises(ProfileError, match=r'"fraud" is also columns\.label'):
        infer(make_frame(), entities=["fraud"])


SECONDS = 1_750_000_000 + np.arange(N) * 7_200


@pytest.mark.parametrize(
    ("cells", "unit"),
    [
        (SECONDS, "seconds"),
        ([str(s) for s in SECONDS], "seconds"),
        (SECONDS * 1000, "milliseconds"),
        (pd.to_datetime(SECONDS, unit="s"), "datetime"),
        ([t.isoformat() for t in pd.to_datetime(SECONDS, unit="s")], "datetime"),
    ],
    ids=["seconds", "texts of seconds", "milliseconds", "datetimes", "iso texts"],
)
def test_a_time_is_the_same_moment_in_every_writing(cells: Any, unit: str) -> None:
    frame = make_frame(when=cells)
    profile = infer(frame, time="when")
    assert profile.columns.time_unit == unit
    assert transactions_from_frame(frame, profile).times().tolist() == (SECONDS * 1000).tolist()


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (np.linspace(0, 1, N), "spans less than an hour"),
        (SECONDS * 10**9, "counts neither seconds nor milliseconds"),
        (-SECONDS, "counts neither seconds nor milliseconds"),
        (cycle("2026-01-01", "soon"), r"row 2: 'soon' is not a date and time"),
    ],
)
def test_a_column_that_is_no_time_is_refused(cells: Any, sentence: str) -> None:
    with pytest.raises(TableError, match=f'Column "when".*{sentence}'):
        infer(make_frame(when=cells), time="when")


def test_a_column_called_like_a_calendar_feature_keeps_its_name() -> None:
    profile = infer(make_frame(when=SECONDS, hour=cycle(1, 5, 9)), time="when")
    assert profile.features.calendar == ("weekday",) and "hour" in profile.by_column


def test_entities_get_a_history_and_are_no_fields() -> None:
    profile = infer(make_frame(when=SECONDS, card=cycle("a", "b", "c")), time="when", entities=["card"])
    assert "card" not in profile.by_column
    assert {f for a in profile.features.history for f in a.functions} == {
        "count",
        "mean",
        "ratio",
        "fraud_rate",
    }


def test_cards_a_day_are_judged_in_proportion_to_the_table() -> None:
    # 400 transactions in 33 days are 12 a day: precision among 100 cards a day would mean nothing.
    assert infer(make_frame(when=SECONDS), time="when").costs.precision_at == 5


def test_without_time_the_evaluation_is_random_and_dates_are_left_out() -> None:
    frame = make_frame(born=[f"19{50 + i % 40}-01-31" for i in range(N)])
    profile = infer(frame)
    assert profile.evaluation.kind == "stratified" and "born" not in profile.by_column
    assert "optimistic" in notes(frame) and '"born" is a date' in notes(frame)


def test_a_table_with_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(TableError, match="No column is left"):
        infer(make_frame()[["fraud"]])


@pytest.mark.parametrize("as_text", [True, False])
def test_a_dates_default_is_a_typical_date(as_text: bool) -> None:
    born = pd.Series([f"{1950 + i % 41}-01-31" for i in range(N)])
    frame = make_frame(when=SECONDS, born=born if as_text else pd.to_datetime(born))
    assert infer(frame, time="when").by_column["born"].default == "1970-01-31"


def test_two_columns_of_one_name_are_left_out() -> None:
    frame = make_frame(x=cycle(1, 2, 3))
    assert "x" not in infer(pd.concat([frame, frame[["x"]]], axis=1)).by_column
