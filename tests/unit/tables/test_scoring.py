"""A table scored in pieces: the same answers as at once, every row accounted for, safe to open."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fraud.data.spreadsheet import spreadsheet_safe
from fraud.errors import NotFound, TableError
from fraud.records import MODELS
from fraud.serving.batch import score_file
from fraud.serving.scorer import Scorer
from fraud.tables import reading, scoring
from fraud.tables.scored import ScoredTable
from tests.unit.tables.conftest import NOW

Score = Callable[[Path], ScoredTable]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 64_000)
    monkeypatch.setattr(reading, "_PIECE_ROWS", 500)
    monkeypatch.setattr(scoring, "SCORED_ROWS", 700)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_pieces_answer_as_the_whole_does(
    rows: pd.DataFrame, scorer: Scorer, score: Score, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"mine.{ending}"
    shuffled = rows.sample(frac=1, random_state=3)
    shuffled.to_csv(path, index=False) if ending == "csv" else shuffled.to_parquet(path, index=False)
    table = score(path)
    whole = score_file(scorer, path, NOW).scored
    for model in MODELS:
        np.testing.assert_array_equal(table.probability[model], whole[f"{model}_probability"])
    written = tmp_path / "scored.parquet"
    table.write_parquet(written)
    back = pd.read_parquet(written)
    assert back["transaction_id"].tolist() == whole["transaction_id"].tolist()
    assert back["xgboost_decision"].tolist() == whole["xgboost_decision"].tolist()


def test_every_row_is_scored_or_refused_with_its_line(
    rows: pd.DataFrame, score: Score, tmp_path: Path
) -> None:
    table = rows.astype(object)
    table.loc[4, "amount"], table.loc[2000, "channel"] = "much", "pigeon"
    table.loc[1999, "occurred_at"] = datetime(2099, 1, 1, tzinfo=UTC)
    table.loc[2500, "transaction_id"] = "x" * 65
    path = tmp_path / "mine.csv"
    table.to_csv(path, index=False)
    lines = path.read_text().splitlines()
    lines[10] += ",one,more"
    path.write_text("\n".join(lines) + "\n\n")
    scored = score(path)
    found = [(line, row, column) for line, row, column, _ in scored.listed_refusals()]
    assert found == [
        (6, 5, "amount"), (11, 10, ""), (2001, 2000, "occurred_at"), (2002, 2001, "channel"),
        (2502, 2501, "transaction_id"),
    ]  # fmt: skip
    assert len(scored) + scored.n_refused + scored.n_blank == len(rows) + 1
    listed = b"".join(scored.refused_csv()).decode().splitlines()
    assert len(listed) == 6 and listed[0] == "line,row,column,rule"
    assert any(line.replace('"', "").startswith("6,5,amount,is not a number") for line in listed)


def test_a_table_without_one_fitting_row_says_why(rows: pd.DataFrame, score: Score, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows.assign(amount="much").to_csv(path, index=False)
    with pytest.raises(TableError, match="line 2: is not a number"):
        score(path)


def test_the_page_is_sorted_by_risk_and_shows_where_the_models_differ(
    rows: pd.DataFrame, score: Score, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "mine.csv", index=False)
    table = score(tmp_path / "mine.csv")
    first = table.page("all", 0, 50)
    means = [sum(line.probability.values()) for line in first]
    assert means == sorted(means, reverse=True)
    assert first[0].cells["transaction_id"] == rows["transaction_id"][first[0].row - 1]
    differ = [line for n in range(9) for line in table.page("differ", n, 50)]
    assert all(len({d == "approve" for d in line.decision.values()}) == 2 for line in differ)
    assert len(differ) == min(450, table.count("differ"))
    with pytest.raises(NotFound):
        table.line(len(table))


def test_a_row_becomes_the_transaction_that_it_is(rows: pd.DataFrame, score: Score, tmp_path: Path) -> None:
    renamed = rows.rename(columns={"amount": "Valor", "card_id": "Nº do cartão"})
    renamed["Valor"] = renamed["Valor"].map(lambda v: f"{v:.2f}".replace(".", ","))
    renamed.to_csv(tmp_path / "mine.csv", index=False, sep=";")
    table = score(tmp_path / "mine.csv")
    transaction = table.transaction(7)
    assert float(transaction["amount"]) == rows["amount"][7]
    assert transaction["card_id"] == rows["card_id"][7]
    assert "is_fraud" not in transaction


def test_no_cell_of_the_download_runs_in_a_spreadsheet(
    rows: pd.DataFrame, score: Score, tmp_path: Path
) -> None:
    notes = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "-12.5", "fine", "\t=1", " =2", 'say "hi"']
    path = tmp_path / "mine.csv"
    table = rows.head(len(notes)).assign(note=notes).rename(columns={"note": "=note"})
    table.to_csv(path, index=False)
    (tmp_path / "out.csv").write_bytes(b"".join(score(path).csv()))
    back = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    safe = spreadsheet_safe(table.astype({"=note": object}))
    assert back["'=note"].tolist() == safe["'=note"].tolist()


def test_an_older_scoring_in_the_table_is_replaced(rows: pd.DataFrame, score: Score, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows.head(20).assign(xgboost_probability="9").to_csv(path, index=False)
    table = score(path)
    table.write_parquet(tmp_path / "out.parquet")
    names = pq.read_schema(tmp_path / "out.parquet").names
    assert len(names) == len(set(names))
    assert pd.read_parquet(tmp_path / "out.parquet")["xgboost_probability"].between(0, 1).all()
