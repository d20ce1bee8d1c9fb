"""The routes that score many transactions: a table, whole or as a stream."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fraud import scratch
from fraud.api.body_limit import STREAMED, kind_of
from fraud.api.streaming import streamed_answer
from fraud.service import FraudService


class RejectedRow(BaseModel):
    """A row that was not scored; rows count from 1, the header not counted."""

    row: int
    column: str
    reason: str


class BatchAnswer(BaseModel):
    """The scored rows with both models' columns, and the rejected ones."""

    model_version: str
    n_scored: int
    n_rejected: int
    scored: list[dict[str, Any]]
    rejected: list[RejectedRow]


_TABLES = {"text/csv": ".csv", "application/vnd.apache.parquet": ".parquet"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": dict.fromkeys((*_TABLES, *STREAMED), _BINARY)}
}
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(STREAMED, _BINARY)}}


def add_batches(app: FastAPI, service: FraudService) -> None:
    """Add the routes that score many transactions."""

    @app.post("/v1/score/batch", response_model=BatchAnswer, openapi_extra=_BODY, responses=_ANSWERS)
    async def score_batch(http: Request) -> Response:
        """Score a table, or a stream of rows, by its content type.

        CSV and Parquet are read whole: a row sees the earlier rows of its table, and rows that break a rule
        are listed apart. NDJSON and Arrow are answered while they come in, in their own format: a row is
        answered as by /v1/score, and one that breaks a rule with its error, in its place.
        """
        kind = kind_of(http.scope)
        if kind in STREAMED:
            return streamed_answer(http, kind, service.stream())
        suffix = _TABLES.get(kind)
        if suffix is None:
            raise HTTPException(415, f"Send the table as {', '.join((*_TABLES, *STREAMED))}")
        return await run_in_threadpool(_score_batch, service, await http.body(), suffix)


def _score_batch(service: FraudService, body: bytes, suffix: str) -> Response:
    with scratch.new_folder() as directory:
        path = Path(directory) / f"table{suffix}"  # the name that a message about the table shows
        path.write_bytes(body)
        result = service.score_file(path)
    rows = json.loads(result.scored.to_json(orient="records", date_format="iso"))
    answer = BatchAnswer(
        model_version=result.model_version.version,
        n_scored=len(rows),
        n_rejected=len(result.rejected),
        scored=rows,
        rejected=[RejectedRow(row=r.row, column=r.column, reason=r.reason) for r in result.rejected],
    )
    return Response(answer.model_dump_json(), media_type="application/json")
