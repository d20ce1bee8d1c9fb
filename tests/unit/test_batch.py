"""Scoring a table: both answers for every row that fits, and a reason for every row that does not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api import MAX_BATCH_BYTES, build_api
from fraud.errors import TableError
from fraud.service import FraudService
from tests.unit.test_api import no_background


@pytest.fixture
def client(service: FraudService) -> Iterator[TestClient]:
    app: FastAPI = build_api(service, no_background, lambda: True)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def rows(small_frame: pd.DataFrame) -> pd.DataFrame:
    inputs = small_frame.drop(columns=["is_fraud", "reported_at", "typology"])
    return inputs.tail(200).reset_index(drop=True)


def test_a_row_of_a_table_is_scored_as_if_it_had_come_alone(
    service: FraudService, rows: pd.DataFrame, tmp_path: Path
) -> None:
    shuffled = rows.sample(frac=1, random_state=2).reset_index(drop=True)
    shuffled.to_parquet(tmp_path / "rows.parquet")
    result = service.score_file(tmp_path / "rows.parquet")
    assert result.rejected == () and result.scored["transaction_id"].equals(shuffled["transaction_id"])
    for row in (0, 99, 199):
        record = shuffled.iloc[row].to_dict()
        record["occurred_at"] = record["occurred_at"].isoformat()
        alone = service.score(record)
        for name, score in alone.scores.items():
            assert result.scored[f"{name}_probability"][row] == pytest.approx(
                score.fraud_probability, abs=1e-12
            )
            assert result.scored[f"{name}_decision"][row] == score.decision.value


def test_bad_rows_are_listed_with_number_column_and_rule_and_the_others_scored(
    client: TestClient, rows: pd.DataFrame
) -> None:
    table = rows.astype(object)
    table.loc[3, "amount"] = 1e9
    table.loc[5, "channel"] = "pigeon"
    table.loc[7, "occurred_at"] = "2999-01-01T00:00:00Z"
    table.loc[9, "amount"] = "much"
    answer = client.post(
        "/v1/score/batch", content=table.to_csv(index=False), headers={"content-type": "text/csv"}
    ).json()
    assert (answer["n_scored"], answer["n_rejected"]) == (196, 4)
    assert [(r["row"], r["column"]) for r in answer["rejected"]] == [
        (4, "amount"),
        (6, "channel"),
        (8, "occurred_at"),
        (10, "amount"),
    ]
    assert all(r["reason"] for r in answer["rejected"])
    kept = [row["transaction_id"] for row in answer["scored"]]
    assert kept == rows["transaction_id"].drop([3, 5, 7, 9]).tolist()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"amount\n", "no rows"),
        (b"amount,channel\n1,chip\n", 'Column "occurred_at" is missing'),
        (b"\x00\x01\x02", "no rows"),
        (b'a,b\n"never closed,1\n', "table.csv"),
        (b"amount;channel\n1;chip\n", "separate them by commas"),
    ],
)
def test_a_file_that_is_no_table_is_a_422_in_one_sentence(
    client: TestClient, body: bytes, words: str
) -> None:
    answer = client.post("/v1/score/batch", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 422 and words in answer.json()["detail"]


def test_a_table_without_one_good_row_is_refused_naming_the_rule(
    service: FraudService, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.assign(amount=-5).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(TableError, match="Not one row fits"):
        service.score_file(tmp_path / "rows.csv")


def test_a_table_over_the_limit_is_refused(client: TestClient) -> None:
    assert client.post("/v1/score/batch", content=b"x" * (MAX_BATCH_BYTES + 1)).status_code == 413


def test_the_file_itself_is_the_past_of_its_later_rows(
    service: FraudService, rows: pd.DataFrame, tmp_path: Path
) -> None:
    stranger = rows.iloc[[0] * 30].assign(
        card_id="C-new",
        transaction_id=[f"n{i}" for i in range(30)],
        occurred_at=pd.date_range("2026-03-30T10:00", periods=30, freq="min", tz="UTC"),
        amount=1.0,
    )
    stranger.to_parquet(tmp_path / "burst.parquet")
    probability = service.score_file(tmp_path / "burst.parquet").scored["xgboost_probability"].to_numpy()
    assert not np.allclose(probability, probability[0]), "the thirtieth purchase in an hour is not the first"
