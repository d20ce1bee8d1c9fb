"""Tables: what they hold is read exactly; what they must not hold is refused by column, rule and row."""

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import DAY_MS, parse_profile
from fraud.data.table import NEVER_MS, Transactions, concatenate, read_table, transactions_from_frame
from fraud.errors import TableError
from fraud.models.bundle_writer import to_frame

PROFILE = parse_profile(
    {
        "name": "small",
        "title": {"en": "Small"},
        "description": {"en": ""},
        "columns": {"id": "id", "time": "at", "label": "fraud", "label_at": "seen", "amount": "paid"},
        "entities": [{"name": "card", "column": "card", "label": {"en": "Card"}}],
        "fields": [
            {"column": "paid", "kind": "number", "minimum": 0, "label": {"en": "Paid"}},
            {"column": "kind", "kind": "category", "levels": ["A", "B"], "label": {"en": "Kind"}},
            {"column": "chip", "kind": "boolean", "required": False, "label": {"en": "Chip"}},
            {"column": "born", "kind": "date", "required": False, "label": {"en": "Born"}},
        ],
        "evaluation": {"kind": "time"},
        "costs": {"review": 1, "friction": 5},
    },
    "test",
)
GOOD = {
    "id": "t1",
    "at": "2026-01-01T00:00:00",
    "fraud": "0",
    "seen": "",
    "card": "c1",
    "paid": "10",
    "kind": "A",
    "chip": "true",
    "born": "1980-01-01",
}
HEADER = ",".join(GOOD) + "\n"
NOON_MS = 1_767_225_600_000


def row(**changes: str) -> str:
    return ",".join((GOOD | changes).values()) + "\n"


def read(content: str | bytes, path: Path) -> Transactions:
    path = path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return transactions_from_frame(read_table(path), PROFILE)


def frame(**columns: Any) -> pd.DataFrame:
    n = max((len(c) for c in columns.values()), default=2)
    return pd.DataFrame({**{name: [value] * n for name, value in GOOD.items()}, "seen": None, **columns})


def test_a_csv_is_read_to_its_types(tmp_path: Path) -> None:
    table = read(HEADER + row(fraud="1", seen="2026-01-03") + row(fraud="", chip="No", born=""), tmp_path)
    assert table.ids.tolist() == ["t1", "t1"] and table.times().tolist() == [NOON_MS, NOON_MS]
    assert table.numbers["paid"].tolist() == [10, 10] and table.texts["card"].texts() == ["c1", "c1"]
    np.testing.assert_array_equal(table.numbers["chip"], [1, 0])
    np.testing.assert_array_equal(table.numbers["born"], [3652, np.nan])
    np.testing.assert_array_equal(table.labels, [1, np.nan])
    assert table.known_at_ms.tolist() == [NOON_MS + 2 * DAY_MS, NEVER_MS]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert len(read("\ufeff" + HEADER + row(), tmp_path)) == 1


def test_rows_come_out_in_the_order_of_time_and_remember_where_they_stood() -> None:
    table = transactions_from_frame(frame(at=["2026-01-02", "2026-01-01"], id=["b", "a"]), PROFILE)
    assert table.ids.tolist() == ["a", "b"] and table.rows.tolist() == [1, 0]


def test_times_with_zones_are_moments_and_times_without_are_utc(tmp_path: Path) -> None:
    content = HEADER + row(at="2026-01-01T02:00:00+02:00") + row() + row(at="2025-12-31T19:00:00-05:00")
    assert read(content, tmp_path).times().tolist() == [NOON_MS] * 3


def test_a_blank_cell_is_a_missing_value(tmp_path: Path) -> None:
    table = read(HEADER + row(chip="  ", born=" ", card=" ", fraud=" "), tmp_path)
    assert np.isnan([table.numbers["chip"][0], table.numbers["born"][0], table.labels[0]]).all()
    assert table.texts["card"].texts() == [None]


def test_a_key_is_the_same_as_number_and_as_text() -> None:
    table = transactions_from_frame(frame(card=[596.0, "596", 596, " 596 "]), PROFILE)
    assert table.texts["card"].texts() == ["596"] * 4


def test_a_missing_id_is_the_row_of_the_table() -> None:
    assert transactions_from_frame(frame(id=["x", None]), PROFILE).ids.tolist() == ["x", "row-2"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"\n\n\n", "the file is empty"),
        (HEADER.encode(), "The table has no rows"),
        ((HEADER + row()).encode("utf-16"), "not text in UTF-8"),
        ((HEADER + row(card="caf\u00e9")).encode("latin-1"), "not text in UTF-8"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0" + bytes(range(256)), "not text in UTF-8"),
        ((HEADER + row()).replace(",", ";").encode(), "separated by ';'"),
        ((HEADER.strip() + ",paid\n" + row().strip() + ",5\n").encode(), 'two columns are called "paid"'),
        ((HEADER + row().strip() + ",x\n" + row().strip() + ",x\n").encode(), "more cells than the header"),
        ((HEADER + row() + row().strip() + ",x,y\n").encode(), "Expected 9 fields in line 3, saw 11"),
        ((HEADER + row() + 't2,"2026-01-01,0\n' + row()).encode(), "EOF inside string"),
        (
            (",".join(f"c{i}" for i in range(10_000)) + "\n" + "1," * 9_999 + "1\n").encode(),
            '"at" is missing',
        ),
        ((HEADER + row(card="x" * 5_000_000)).encode(), "printable text of at most 64 characters"),
        ((HEADER + row(card="a\0b")).encode(), "printable text of at most 64 characters"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=sentence) as caught:
        read(content, tmp_path)
    assert len(caught.value.message) < 400 and caught.value.message.endswith(".")


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more"])
def test_a_parquet_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(content)
    with pytest.raises(TableError, match="not a readable CSV or Parquet table"):
        read_table(path)


def test_a_trailing_comma_shifts_no_column(tmp_path: Path) -> None:
    assert read(HEADER + row().strip() + ",\n", tmp_path).numbers["paid"].tolist() == [10]


@pytest.mark.parametrize(
    ("column", "cell", "rule"),
    [
        *[("paid", v, "is not a number") for v in ("=1+1", '"1,5"', "1_000", "\u0661\u0662", "0x1F", "TRUE")],
        *[("paid", v, "is not a number between") for v in ("inf", "-inf", "1e999", "1e308", "9" * 30)],
        ("paid", "-5", "is below the minimum 0"),
        *[("paid", v, "is missing, and the profile requires it") for v in ("", " ", "nan", "null")],
        *[
            ("at", v, "is not a date and time")
            for v in ("2026-02-30", "01/02/2026", "now", "today", "1700000000")
        ],
        *[
            ("at", v, "lies outside the years 1970 to 2199")
            for v in ("9999-12-31", "0001-01-01", "-2026-01-01")
        ],
        ("at", "", "every transaction needs a time"),
        ("born", "yesterday", "is not a date and time"),
        ("born", "now", "is not a date and time"),
        *[("fraud", v, r"is neither fraud \(1\) nor legitimate \(0\)") for v in ("yes", "2", "-1", "True")],
        ("seen", "soon", "is not a date and time"),
        *[("kind", v, "is not one of the levels A, B") for v in ("a", "C")],
        ("kind", "", "is missing, and the profile requires it"),
        ("kind", "\u200bA", "is not a printable text"),
        ("chip", "2", "is neither true nor false"),
        ("id", "x" * 65, "is not a printable text"),
    ],
)
def test_a_bad_cell_is_named_by_column_row_and_rule(
    column: str, cell: str, rule: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=f'^Column "{column}", row 2: .*{rule}') as caught:
        read(HEADER + row() + row(**{column: cell}), tmp_path)
    assert caught.value.field == column and caught.value.params["row"] == 2


WHEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        *[(c, [["x"], ["y"]], "is n") for c in ("paid", "card", "kind", "chip", "fraud", "id", "at", "born")],
        *[(c, [{"a": 1}, {"a": 2}], "is n") for c in ("paid", "card", "kind", "chip", "fraud", "id", "at")],
        ("card", [b"x", b"y"], "is neither a text nor a number"),
        ("card", [dt.timedelta(1), None], "is neither a text nor a number"),
        ("paid", [WHEN, WHEN], "is not a number"),
        ("paid", [dt.timedelta(1), None], "is not a number"),
        ("paid", [2**64 - 1, 1], "is not a number between"),
        ("at", [20260101, 20260102], "is not a date and time"),
        ("at", [1.7e9, 1.7e9], "is not a date and time"),
        ("at", [True, False], "is not a date and time"),
        ("born", [dt.timedelta(1), None], "is not a date and time"),
        ("card", [1e300, 1.0], "is not a printable text"),
    ],
)
def test_a_parquet_column_of_another_nature_is_refused(
    column: str, values: list[object], rule: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    kind = pa.uint64() if values[0] == 2**64 - 1 else None
    plain = {name: pa.array([value] * 2) for name, value in GOOD.items() if name != "seen"}
    pq.write_table(pa.table(plain | {column: pa.array(values, type=kind)}), path)
    with pytest.raises(TableError, match=f'^Column "{column}", row 1: .*{rule}'):
        transactions_from_frame(read_table(path), PROFILE)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("paid", pa.array([decimal.Decimal("10.00")] * 2)),
        ("paid", pa.array([10.0, 10.0]).dictionary_encode()),
        ("card", pa.array(["c1", "c1"], pa.large_string())),
        ("card", pa.array(["c1", "c1"]).dictionary_encode()),
        ("kind", pa.array(["A", "A"]).dictionary_encode()),
        ("fraud", pa.array([decimal.Decimal(0)] * 2)),
        ("fraud", pa.array([0.0, 0.0])),
        ("at", pa.array([WHEN, WHEN], pa.timestamp("ns", "America/Sao_Paulo"))),
        ("at", pa.array([WHEN.date()] * 2)),
        ("born", pa.array([dt.date(1980, 1, 1)] * 2)),
        ("chip", pa.array([True, True])),
        ("seen", pa.nulls(2)),
    ],
)
def test_a_parquet_type_with_the_same_meaning_reads_the_same(
    column: str, values: pa.Array, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    plain = {name: pa.array([value] * 2) for name, value in GOOD.items() if name != "seen"}
    pq.write_table(pa.table(plain | {column: values}), path)
    table, expected = (
        transactions_from_frame(read_table(path), PROFILE),
        transactions_from_frame(frame(), PROFILE),
    )
    np.testing.assert_array_equal(table.times(), expected.times())
    np.testing.assert_array_equal(table.labels, expected.labels)
    for name in PROFILE.number_columns:
        np.testing.assert_array_equal(table.numbers[name], expected.numbers[name])
    for name in PROFILE.text_columns:
        assert table.texts[name].texts() == expected.texts[name].texts()


def test_integers_beside_nulls_keep_all_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    plain = {name: pa.array([value] * 3) for name, value in GOOD.items() if name != "seen"}
    pq.write_table(pa.table(plain | {"card": pa.array([2**62 + 1, 2**62 + 2, None])}), path)
    cards = transactions_from_frame(read_table(path), PROFILE).texts["card"].texts()
    assert cards == [str(2**62 + 1), str(2**62 + 2), None]


def test_two_columns_of_one_name_are_refused_where_the_profile_uses_them() -> None:
    table = frame()
    repeated = pd.concat([table, table[["paid"]]], axis=1)
    with pytest.raises(TableError, match='Two columns are called "paid"'):
        transactions_from_frame(repeated, PROFILE)


def test_a_numeric_time_counts_from_the_profiles_origin() -> None:
    columns = PROFILE.columns.model_copy(update={"time_unit": "seconds", "time_origin": dt.date(2026, 1, 1)})
    profile = PROFILE.model_copy(update={"columns": columns})
    assert transactions_from_frame(frame(at=["0", "90.5"]), profile).times().tolist() == [
        NOON_MS,
        NOON_MS + 90_500,
    ]
    with pytest.raises(TableError, match="in seconds lies outside the years 1970 to 2199"):
        transactions_from_frame(frame(at=["0", "1767225600000"]), profile)


def test_joined_tables_share_one_vocabulary_and_one_order() -> None:
    first = transactions_from_frame(frame(card=["a", "b"], at=["2026-01-01", "2026-01-03"]), PROFILE)
    second = transactions_from_frame(frame(card=["b", None], at=["2026-01-02", "2026-01-04"]), PROFILE)
    joined = concatenate([first, second])
    assert joined.texts["card"].texts() == ["a", "b", "b", None]
    assert np.all(np.diff(joined.times()) > 0)


def test_a_written_table_reads_back_as_it_was() -> None:
    table = transactions_from_frame(
        frame(
            at=["2026-01-01T00:00:00.123", "2026-01-02", "2026-01-03"],
            card=["a", None, "b"],
            chip=["yes", None, "no"],
            born=["0001-01-01", None, "9999-12-31"],
            fraud=["1", "0", None],
            seen=["2026-02-01", None, None],
        ),
        PROFILE,
    )
    again = transactions_from_frame(to_frame(table, PROFILE), PROFILE)
    np.testing.assert_array_equal(again.times(), table.times())
    np.testing.assert_array_equal(again.labels, table.labels)
    np.testing.assert_array_equal(again.known_at_ms, table.known_at_ms)
    for name in PROFILE.number_columns:
        np.testing.assert_array_equal(again.numbers[name], table.numbers[name])
    assert again.texts["card"].texts() == table.texts["card"].texts()


cell = st.one_of(
    st.sampled_from(list(GOOD.values())),
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(),
    st.text(max_size=70),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.binary(max_size=3),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(list(GOOD)), st.lists(cell, min_size=3, max_size=3), max_size=4))
def test_an_arbitrary_table_is_read_or_refused_and_nothing_else(columns: dict[str, list[object]]) -> None:
    table = frame(at=[GOOD["at"]] * 3)
    for name, cells in columns.items():
        table[name] = pd.Series(cells, dtype=object)
    try:
        assert len(transactions_from_frame(table, PROFILE)) == 3
    except TableError as error:
        error.message.encode()
