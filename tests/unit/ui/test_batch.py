"""What the Table tab says: rules in both languages, and nothing of a stranger's table runs in the page."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud.data.table import transactions_from_frame
from fraud.errors import FlagError, TableError
from fraud.records import MODELS, Label
from fraud.service import FraudService
from fraud.tables.accepting import Matching, Refused
from fraud.tables.desk import Progress
from fraud.tables.matching import guess
from fraud.tables.reading import open_sheet
from fraud.tables.scored import ScoredTable
from fraud.tables.scoring import score_sheet
from fraud.ui import batch_html
from fraud.ui.batch_flagging import flag_rows
from fraud.ui.texts_batch import rule_text
from tests.unit.tables.conftest import NOW

BAD_CELLS: list[tuple[str, object]] = [
    ("amount", "much"), ("amount", "-5"), ("amount", "60000"), ("amount", "1e20"), ("amount", None),
    ("amount", [1]), ("channel", "pigeon"), ("channel", None), ("occurred_at", None), ("occurred_at", "soon"),
    ("occurred_at", "1890-01-01"), ("card_id", "x" * 65), ("is_fraud", "perhaps"), ("card_id", [1]),
]  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(("column", "cell"), BAD_CELLS)
def test_every_rule_that_a_row_can_break_is_said_in_portuguese(
    small_frame: pd.DataFrame, small_profile: Any, column: str, cell: object
) -> None:
    frame = small_frame.head(3).astype(object).reset_index(drop=True)
    frame.at[1, column] = cell
    with pytest.raises(TableError) as caught:
        transactions_from_frame(frame, small_profile)
    rule = str(caught.value.params["rule"])
    assert rule_text(rule, "en") == rule
    assert rule_text(rule, "pt-BR") != rule


def test_progress_says_place_speed_and_what_is_left() -> None:
    assert "next" in batch_html.progress_html(Progress("waiting", place=1), "en")
    assert "3" in batch_html.progress_html(Progress("waiting", place=3), "en")
    running = Progress("running", step="score", n_done=250_000, n_rows=1_000_000, rows_per_second=10_000.0)
    said = batch_html.progress_html(running, "pt-BR")
    assert "250.000 de 1.000.000 linhas" in said and "10.000 linhas por segundo" in said
    assert 'aria-valuenow="25"' in said and "1.3 min" not in said
    assert batch_html.progress_html(replace(running, state="done"), "en") == ""


@pytest.fixture
def scored(
    service: FraudService, small_frame: pd.DataFrame, tmp_path: Path
) -> Callable[[Mapping[str, object]], ScoredTable]:
    def score(changes: Mapping[str, object]) -> ScoredTable:
        table = small_frame.tail(40).drop(columns=["is_fraud", "reported_at", "typology"])
        path = tmp_path / "mine.csv"
        table.astype(object).assign(**changes).to_csv(path, index=False)
        sheet = open_sheet(path, f"{HOSTILE}.csv")
        scorer = service.scorer()
        matching = guess(sheet, scorer.bundle.profile)
        return score_sheet(sheet, matching, scorer, NOW, tmp_path, lambda *told: None)

    return score


def test_nothing_of_the_table_runs_in_the_page(scored: Callable[..., ScoredTable]) -> None:
    table = scored({"merchant_id": HOSTILE})
    refused = Refused(np.array([1]), np.array([2]), HOSTILE, f"is not one of the levels {HOSTILE}")
    table = replace(table, refused=(refused,))
    missing = [table.matching.columns["amount"]]
    markup = (
        batch_html.rows_html(table, "all", 0, {}, "en")
        + batch_html.refused_html(table, "id", "en")
        + batch_html.opened_html(table.sheet, Matching({"amount": HOSTILE}), missing, table.profile, "en")
    )
    assert "<img" not in markup and "&lt;img" in markup


def test_a_flagged_row_is_kept_like_a_single_flag(
    service: FraudService, scored: Callable[..., ScoredTable]
) -> None:
    table = scored({})
    answer: dict[str, Any] = {"comment": "", "session": "s", "address": "a"}
    with pytest.raises(FlagError):
        flag_rows(service, table, [0], label="legitimate", consent=False, **answer)
    assert service.backlog() == 0
    found = flag_rows(service, table, [0, 39], label="legitimate", consent=True, **answer)
    assert [one.problem for one in found] == [None, None]
    assert service.backlog() == 2
    for one in found:
        assert one.receipt is not None
        assert service.receipt(one.receipt.receipt_id).receipt_id == one.receipt.receipt_id


def test_a_flag_sees_the_earlier_rows_of_its_card(
    service: FraudService, scored: Callable[..., ScoredTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = scored({"card_id": "C-new"})
    seen: list[Any] = []

    def score(transaction: Any, history: Any = None) -> Any:
        seen.append(history)
        return FraudService.score(service, transaction, history)

    monkeypatch.setattr(service, "score", score)
    found = flag_rows(
        service, table, [10, 0], label=Label.FRAUD, comment="", consent=True, session="s", address=""
    )
    assert [one.problem for one in found] == [None, None]
    assert len(seen[0]) == 10 and seen[1] is None
    assert [p["transaction_id"] for p in seen[0]] == [
        table.transaction(p)["transaction_id"] for p in range(10)
    ]


def test_a_table_alone_is_scored_as_its_flag_is(
    service: FraudService, scored: Callable[..., ScoredTable]
) -> None:
    table = scored({"card_id": [f"C-{i}" for i in range(40)], "merchant_id": [f"M-{i}" for i in range(40)]})
    alone = service.score(table.transaction(5))
    for model in MODELS:
        assert alone.scores[model].fraud_probability == pytest.approx(table.probability[model][5], abs=1e-9)


def test_a_cell_that_is_no_number_is_shown_as_it_is(scored: Callable[..., ScoredTable]) -> None:
    table = scored({})
    assert batch_html._cell(table, "amount", "<b>", "en") == "&lt;b&gt;"
    assert batch_html._cell(table, "amount", "9.5", "pt-BR").startswith("9,50")
