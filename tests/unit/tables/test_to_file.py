"""A file scored into a file: the answers of scoring it at once, the same refusals, whole or not at all."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.errors import TableError
from fraud.models.bundle import load_bundle
from fraud.serving import batch
from fraud.serving.scorer import Scorer
from fraud.tables import reading, scoring, to_file
from fraud.tables.to_file import score_file

NOW = datetime(2026, 8, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.from_bundle(load_bundle(small_bundle))


@pytest.fixture(scope="module")
def inputs(small_frame: pd.DataFrame) -> pd.DataFrame:
    return small_frame.drop(columns=["is_fraud", "reported_at", "typology"]).tail(300).reset_index(drop=True)


def assert_same(scorer: Scorer, source: Path) -> pd.DataFrame:
    target, refused = source.with_name("out.parquet"), source.with_name("refused.csv")
    try:
        whole = batch.score_file(scorer, source, NOW)
    except TableError as error:
        with pytest.raises(TableError) as caught:
            score_file(scorer, source, target, NOW, refused)
        assert (caught.value.code, caught.value.field) == (error.code, error.field)
        assert_nothing_is_left(source)
        return pd.DataFrame()
    result = score_file(scorer, source, target, NOW, refused)
    scored = pd.read_parquet(target)
    found = pd.read_csv(refused, keep_default_na=False)
    listed = [(r.row, r.column, r.reason) for r in whole.rejected]
    assert list(found[["row", "column", "rule"]].itertuples(index=False, name=None)) == listed
    assert result.n_refused == len(listed)
    assert result.n_scored == len(scored) == len(whole.scored)
    for name in scorer.bundle.models:
        np.testing.assert_allclose(
            scored[f"{name}_probability"], whole.scored[f"{name}_probability"], rtol=0, atol=1e-12
        )
        assert scored[f"{name}_decision"].tolist() == whole.scored[f"{name}_decision"].tolist()
    assert list(scored.columns) == list(whole.scored.columns)
    return scored


def assert_nothing_is_left(source: Path) -> None:
    assert [path for path in source.parent.iterdir() if path != source] == []


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("labelled", [False, True])
def test_pieces_answer_as_the_whole_does(
    scorer: Scorer,
    small_frame: pd.DataFrame,
    tmp_path: Path,
    kind: str,
    labelled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "SCORED_ROWS", 64)
    monkeypatch.setattr(reading, "_BLOCK", 8_192)
    monkeypatch.setattr(reading, "_PIECE_ROWS", 64)
    columns = [] if labelled else ["is_fraud", "reported_at"]
    shuffled = small_frame.tail(300).drop(columns=["typology", *columns]).sample(frac=1, random_state=3)
    source = tmp_path / f"rows.{kind}"
    shuffled.to_csv(source, index=False) if kind == "csv" else shuffled.to_parquet(source, index=False)
    scored = assert_same(scorer, source)
    assert scored["transaction_id"].tolist() == shuffled["transaction_id"].tolist()
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.field("amount").type == "double"
    assert str(schema.field("occurred_at").type).startswith("timestamp")
    np.testing.assert_array_equal(scored["amount"], shuffled["amount"])


def test_what_a_csv_holds_is_written_as_what_it_is(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path
) -> None:
    rows = inputs.head(6).astype(object).reset_index(drop=True)
    rows.loc[2, "amount"], rows.loc[3, "cardholder_age"] = " 12.50 ", ""
    rows.loc[4, "occurred_at"] = "2026-03-01 10:00"
    rows["note"] = ["007", "a", "", "b", "c", "d"]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    scored = assert_same(scorer, tmp_path / "rows.csv")
    assert len(scored) == 5 and scored["amount"][2] == 12.5
    assert scored["occurred_at"][3] == pd.Timestamp("2026-03-01T10:00Z")
    assert scored["note"][0] == "007", "what the profile does not name stays as it came"


cells = st.one_of(
    st.sampled_from(
        ["", " ", "NA", "nan", "inf", " 5 ", "1e3", "0x10", "1,5", "-1", "12.50", "1e400", "pigeon"]
    ),
    st.sampled_from(
        ["2026-08-01", "2026-08-01T10:00:00Z", "2026-08-01 10:00:00.1234567", "2999-01-01", "now"]
    ),
    st.sampled_from(["chip", "fuel", "C1", "\u00e9", "a\tb", "x" * 65, '"', "a\nb", "+", "PT "]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_cells_hold_both_ways_agree(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path, data: st.DataObject
) -> None:
    rows = inputs.tail(6).astype(object).reset_index(drop=True)
    rows["note"] = ["a", None, "b,c", "NA", 'q"q', ""]
    for _ in range(data.draw(st.integers(1, 3))):
        rows.loc[data.draw(st.integers(0, 5)), data.draw(st.sampled_from(list(rows.columns)))] = data.draw(
            cells
        )
    source = tmp_path / "rows.csv"
    rows.to_csv(source, index=False)
    assert_same(scorer, source)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "table_empty"),
        ("amount\n", "table_empty"),
        ("a;b\n1;2\n", "column_missing"),
        ('a,b\n"open,1\n', "no_row_fits"),
        ("amount,amount\n1,2\n", "table_repeated"),
        ("\x00\x01", "table_nul"),
        ("x" * 100_000, "table_empty"),
    ],
)
def test_what_is_no_table_is_refused_and_nothing_is_left(
    scorer: Scorer, tmp_path: Path, text: str, code: str
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        score_file(scorer, source, tmp_path / "out.parquet", NOW)
    assert caught.value.code == code and "\n" not in caught.value.message
    with pytest.raises(TableError):
        batch.score_file(scorer, source, NOW)
    assert_nothing_is_left(source)


def test_a_row_shorter_than_the_header_is_refused_with_its_line(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    lines = inputs.tail(3).to_csv(index=False).splitlines()
    source.write_text("\n".join([*lines[:2], lines[2].rsplit(",", 1)[0], lines[3]]), encoding="utf-8")
    result = score_file(scorer, source, tmp_path / "out.parquet", NOW)
    assert result.n_scored == 2
    assert result.first_refused == ((3, 2, "", "has another number of cells than the header"),)


def test_columns_are_found_by_their_names_alone(scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    inputs.rename(columns={"amount": "value"}).to_csv(source, index=False)
    with pytest.raises(TableError, match='"amount" is missing') as caught:
        score_file(scorer, source, tmp_path / "out.parquet", NOW)
    assert caught.value.code == "column_missing"
    assert_nothing_is_left(source)


def test_an_own_file_may_be_larger_than_what_a_stranger_sends(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path
) -> None:
    more = pd.DataFrame({f"extra {i}": "x" for i in range(reading.MAX_COLUMNS)}, index=inputs.index)
    source = tmp_path / "rows.csv"
    pd.concat([inputs, more], axis=1).to_csv(source, index=False)
    with pytest.raises(TableError, match="columns"):
        reading.open_sheet(source, "rows.csv")
    assert score_file(scorer, source, tmp_path / "out.parquet", NOW).n_scored == len(inputs)
    bounds = (to_file.OWN.rows, to_file.OWN.size)
    assert all(
        own > stranger for own, stranger in zip(bounds, (reading.MAX_ROWS, reading.MAX_BYTES), strict=True)
    )


def test_a_failure_leaves_what_was_there_before(scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path) -> None:
    source, target = tmp_path / "rows.csv", tmp_path / "out.parquet"
    target.write_bytes(b"the result of last week")
    inputs.assign(amount=-1).to_csv(source, index=False)
    with pytest.raises(TableError, match="Not one row fits"):
        score_file(scorer, source, target, NOW)
    assert target.read_bytes() == b"the result of last week"
