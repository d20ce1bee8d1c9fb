"""The streams of /v1/score/batch: every row answered in its place, whatever comes."""

import io
import json
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.api import build_api, streaming
from fraud.api.arrow_stream import ArrowMessages
from fraud.errors import TableError
from fraud.service import FraudService
from tests.unit.test_api import no_background

NDJSON = {"content-type": "application/x-ndjson"}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


@pytest.fixture
def client(service: FraudService) -> Iterator[TestClient]:
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        yield client


@pytest.fixture
def frame(small_frame: pd.DataFrame) -> pd.DataFrame:
    rows = small_frame.drop(columns=["is_fraud", "reported_at", "typology"]).tail(40)
    return rows.sample(frac=1, random_state=1).reset_index(drop=True)


def records_of(frame: pd.DataFrame) -> list[dict]:
    return [r | {"occurred_at": r["occurred_at"].isoformat()} for r in frame.to_dict("records")]


def arrow_of(table: pa.Table, rows: int = 16, **options: object) -> bytes:
    sink = io.BytesIO()
    with ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table, rows)
    return sink.getvalue()


def test_each_line_is_answered_as_if_it_had_come_alone(client: TestClient, frame: pd.DataFrame) -> None:
    records = records_of(frame)
    body = "\n".join(json.dumps(r) for r in records)
    answer = client.post("/v1/score/batch", content=body, headers=NDJSON)
    assert answer.status_code == 200 and answer.headers["x-model-version"] == "1.0.0"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["row"] for line in lines] == list(range(1, 41))
    for record, line in list(zip(records, lines, strict=True))[::9]:
        alone = client.post("/v1/score", json={"transaction": record}).json()["scores"]
        for name, score in line["scores"].items():
            assert score["fraud_probability"] == pytest.approx(alone[name]["fraud_probability"], abs=1e-12)
            assert score["decision"] == alone[name]["decision"]


def test_both_formats_answer_alike(client: TestClient, frame: pd.DataFrame) -> None:
    body = "\n".join(json.dumps(r) for r in records_of(frame))
    lines = client.post("/v1/score/batch", content=body, headers=NDJSON).text.splitlines()
    sent = arrow_of(pa.Table.from_pandas(frame))
    answer = client.post("/v1/score/batch", content=sent, headers=ARROW)
    table = ipc.open_stream(answer.content).read_all()
    assert table["row"].to_pylist() == list(range(1, 41)) and table["error"].null_count == 40
    for name in ("random_forest", "xgboost"):
        wanted = [json.loads(line)["scores"][name] for line in lines]
        assert table[f"{name}_probability"].to_pylist() == pytest.approx(
            [w["fraud_probability"] for w in wanted], abs=1e-12
        )
        assert table[f"{name}_decision"].to_pylist() == [w["decision"] for w in wanted]


def test_a_bad_row_gets_an_error_in_its_place_and_the_stream_goes_on(
    client: TestClient, frame: pd.DataFrame
) -> None:
    records = records_of(frame.head(6))
    lines = [json.dumps(r) for r in records]
    lines[1] = "{"
    lines[2] = json.dumps(records[2] | {"amount": -1})
    lines[3] = "[1]"
    lines[4] = json.dumps(records[4] | {"note": "x" * 70_000})
    body = "\n\n".join(lines)  # an empty line is no row
    answers = [
        json.loads(line)
        for line in client.post("/v1/score/batch", content=body, headers=NDJSON).text.splitlines()
    ]
    assert [a["row"] for a in answers] == [1, 2, 3, 4, 5, 6]
    assert [a.get("error", {}).get("code") for a in answers] == [
        None,
        "line",
        "below_minimum",
        "line",
        "line",
        None,
    ]
    assert answers[2]["error"]["field"] == "amount"


def test_a_bad_row_of_an_arrow_stream_names_its_field(client: TestClient, frame: pd.DataFrame) -> None:
    frame = frame.assign(amount=frame["amount"].where(frame.index != 3, -5.0))
    answer = client.post("/v1/score/batch", content=arrow_of(pa.Table.from_pandas(frame)), headers=ARROW)
    table = ipc.open_stream(answer.content).read_all()
    assert table["error_field"].to_pylist()[3] == "amount" and table["error"].null_count == 39
    assert table["xgboost_decision"].to_pylist()[3] is None


def test_answers_do_not_depend_on_where_a_stream_is_cut(
    client: TestClient, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "\n".join(json.dumps(r) for r in records_of(frame)).encode()
    whole = client.post("/v1/score/batch", content=body, headers=NDJSON).text
    monkeypatch.setattr(streaming, "ROWS_AT_ONCE", 3)
    pieces = (body[i : i + 37] for i in range(0, len(body), 37))
    assert client.post("/v1/score/batch", content=pieces, headers=NDJSON).text == whole


def test_a_line_without_end_is_one_error_and_little_memory(client: TestClient) -> None:
    pieces = (b"x" * 100_000 for _ in range(100))
    answer = client.post("/v1/score/batch", content=pieces, headers=NDJSON)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 1 and lines[0]["error"]["code"] == "line"


def test_an_empty_stream_is_answered_with_nothing(client: TestClient) -> None:
    answer = client.post("/v1/score/batch", content=b"", headers=NDJSON)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "middle of a message"),
        (b"amount\n1\n", "no Arrow stream"),
        (b"\xff\xff\xff\xff\x08\x00\x00\x00" + b"\x00" * 8, "refused"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", "no Arrow stream"),
        (arrow_of(pa.table({"amount": [1.0]})), "missing"),
        (arrow_of(pa.table([[1.0], [2.0]], names=["a", "a"])), "one name"),
        (arrow_of(pa.table({f"c{i}": [1] for i in range(1_001)})), "1,001 columns"),
        (
            arrow_of(
                pa.table({"amount": [0.0] * 2_000}), 2_000, options=ipc.IpcWriteOptions(compression="zstd")
            ),
            "compressed",
        ),
        (arrow_of(pa.table({"amount": [0.0] * 70_000}), 70_000), "70,000 rows"),
        (arrow_of(pa.table({"amount": ["x" * 1_000_000] * 20}), 20), "larger than"),
    ],
)
def test_a_hostile_arrow_stream_is_refused_in_one_sentence(
    client: TestClient, body: bytes, words: str
) -> None:
    answer = client.post("/v1/score/batch", content=body, headers=ARROW)
    assert answer.status_code == 422 and words in answer.json()["detail"]


def test_a_stream_that_breaks_after_its_beginning_ends_with_an_error_row(
    client: TestClient, frame: pd.DataFrame
) -> None:
    sent = arrow_of(pa.Table.from_pandas(frame))
    answer = client.post("/v1/score/batch", content=sent[:-8] + b"garbage!", headers=ARROW)
    table = ipc.open_stream(answer.content).read_all()
    assert table.num_rows == 41 and "refused" in table["error"].to_pylist()[-1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_arrow_stream_is_read_or_refused(frame: pd.DataFrame, data: st.DataObject) -> None:
    sent = bytearray(arrow_of(pa.Table.from_pandas(frame.head(5), preserve_index=False)))
    for _ in range(data.draw(st.integers(1, 6))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    messages = ArrowMessages()
    try:
        for begin in range(0, len(sent), 400):
            for table in messages.feed(bytes(sent[begin : begin + 400])):
                assert table.num_rows <= 65_536
        messages.finish()
    except TableError as error:
        assert "refused" in error.message


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_lines_are_answered_line_by_line(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/score/batch", content=body, headers=NDJSON)
    n = sum(bool(line.strip()) for line in body.split(b"\n"))
    assert answer.status_code == 200 and len(answer.text.splitlines()) == n
