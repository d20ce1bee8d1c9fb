"""Downloads of scored tables: under an id that nobody guesses, named after the table, gone with it."""

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from fraud import scratch
from fraud.api import build_api
from fraud.api.tables import add_tables
from fraud.records import MODELS
from fraud.service import FraudService
from fraud.tables.desk import TableDesk
from fraud.tables.matching import guess
from tests.unit.tables.test_desk import temporary, wait
from tests.unit.test_api import no_background

__all__ = ["temporary"]


@pytest.fixture
def desk(service: FraudService, temporary: Path) -> Iterator[TableDesk]:
    desk = TableDesk(service.scorer)
    yield desk
    desk.close()


@pytest.fixture
def client(service: FraudService, desk: TableDesk) -> Iterator[TestClient]:
    app = build_api(service, no_background, lambda: True)
    add_tables(app, desk, service)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def job(service: FraudService, desk: TableDesk, small_frame: pd.DataFrame, tmp_path: Path) -> str:
    table = small_frame.tail(50).drop(columns=["is_fraud", "reported_at", "typology"]).astype(object)
    table.iloc[3, table.columns.get_loc("amount")] = "=much"
    table.to_csv(tmp_path / "sent.csv", index=False)
    job_id, sheet = desk.open(tmp_path / "sent.csv", "März;\n.csv")
    desk.start(job_id, guess(sheet, service.profile).columns)
    assert wait(desk, job_id, "done", "failed").problem is None
    return job_id


def test_a_scored_table_is_downloaded_in_both_formats_and_nothing_stays(
    client: TestClient, job: str, temporary: Path
) -> None:
    answer = client.get(f"/tables/{job}/scored.csv")
    assert len(pd.read_csv(io.BytesIO(answer.content))) == 49
    assert answer.headers["cache-control"] == "no-store"
    assert unquote(answer.headers["content-disposition"]).endswith("März;\n-scored.csv")
    answer = client.get(f"/tables/{job}/scored.parquet")
    assert len(pd.read_parquet(io.BytesIO(answer.content))) == 49
    assert len(list(temporary.iterdir())) == 1  # the table itself
    refused = client.get(f"/tables/{job}/refused.csv").text
    assert '"amount"' in refused and "is not a number" in refused


def test_what_was_swept_or_never_was_is_not_found(client: TestClient, job: str) -> None:
    assert client.get("/tables/other/scored.csv").status_code == 404
    scratch.sweep(life_s=-1)
    assert client.get(f"/tables/{job}/scored.csv").status_code == 404


def test_the_sample_can_be_scored_as_it_is(client: TestClient) -> None:
    table = pd.read_csv(io.StringIO(client.get("/tables/sample.csv").text))
    assert len(table) > 0 and "is_fraud" not in table
    answer = client.post(
        "/v1/score/batch", content=table.to_csv(index=False), headers={"content-type": "text/csv"}
    )
    assert answer.json()["n_rejected"] == 0
    decisions = {row[f"{name}_decision"] for row in answer.json()["scored"] for name in MODELS}
    assert {"approve", "review"} <= decisions, "whoever tries it sees an alert"
