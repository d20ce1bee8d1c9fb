"""A large file is scored as a small one: the same answers, the same refusals, by columns."""

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
from fraud.serving import large_batch
from fraud.serving.batch import score_file
from fraud.serving.large_batch import score_large_file
from fraud.serving.scorer import Scorer

NOW = datetime(2026, 8, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.from_bundle(load_bundle(small_bundle))


@pytest.fixture(scope="module")
def inputs(small_frame: pd.DataFrame) -> pd.DataFrame:
    return small_frame.drop(columns=["is_fraud", "reported_at", "typology"]).tail(300).reset_index(drop=True)


def assert_same(scorer: Scorer, source: Path) -> pd.DataFrame:
    target = source.with_name("out.parquet")
    try:
        slow = score_file(scorer, source, NOW)
    except TableError as error:
        with pytest.raises(TableError) as caught:
            score_large_file(scorer, source, target, NOW)
        assert (caught.value.code, caught.value.field) == (error.code, error.field)
        assert not target.exists() and not list(source.parent.glob(".out*"))
        return pd.DataFrame()
    result = score_large_file(scorer, source, target, NOW)
    scored = pd.read_parquet(target)
    assert sorted(result.rejected, key=lambda r: r.row) == list(slow.rejected)
    assert result.n_scored == len(scored) == len(slow.scored)
    for name in scorer.bundle.models:
        np.testing.assert_allclose(
            scored[f"{name}_probability"], slow.scored[f"{name}_probability"], rtol=0, atol=1e-12
        )
        assert scored[f"{name}_decision"].tolist() == slow.scored[f"{name}_decision"].tolist()
    assert list(scored.columns) == list(slow.scored.columns)
    return scored


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_both_ways_answer_alike(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_batch, "BLOCK_ROWS", 64)
    monkeypatch.setattr(large_batch, "CSV_BLOCK_BYTES", 8_192)
    shuffled = inputs.sample(frac=1, random_state=3)
    source = tmp_path / f"rows.{kind}"
    shuffled.to_csv(source, index=False) if kind == "csv" else shuffled.to_parquet(source, index=False)
    scored = assert_same(scorer, source)
    assert scored["transaction_id"].tolist() == shuffled["transaction_id"].tolist()
    assert pq.read_schema(tmp_path / "out.parquet").field("amount").type == "double"


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
    "text",
    ["", "amount\n", "a;b\n1;2\n", 'a,b\n"open,1\n', "amount,amount\n1,2\n", "\x00\x01", "x" * 100_000],
)
def test_what_is_no_table_is_refused_alike(scorer: Scorer, tmp_path: Path, text: str) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(text, encoding="utf-8")
    assert_same(scorer, source)


def test_rows_shorter_than_the_header_are_read_as_by_the_other_reader(
    scorer: Scorer, inputs: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    lines = inputs.tail(3).to_csv(index=False).splitlines()
    source.write_text("\n".join([*lines[:2], lines[2].rsplit(",", 1)[0], lines[3]]), encoding="utf-8")
    assert_same(scorer, source)
