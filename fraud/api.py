"""The REST routes: convert, call one service method, present. Errors are RFC 9457 problem details."""

import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fraud.errors import (
    BundleRefused,
    FlagError,
    FraudError,
    NotFound,
    RateLimited,
    RepositoryError,
    StorageError,
    TableError,
    TransactionError,
)
from fraud.feedback.keeping import KEEP_CONSENT_VERSION
from fraud.records import Prediction, Receipt
from fraud.service import CONSENT_VERSION, FraudService
from fraud.serving.scorer import Explanation

MAX_BODY_BYTES = 1_000_000
MAX_BATCH_BYTES = 20_000_000
_STATUS: tuple[tuple[type[FraudError], int], ...] = (
    (TransactionError, 422),
    (TableError, 422),
    (FlagError, 422),
    (RateLimited, 429),
    (NotFound, 404),
    (StorageError, 503),
    (RepositoryError, 503),
    (BundleRefused, 503),
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class ScoreRequest(BaseModel):
    """One transaction, and optionally the past of its card."""

    model_config = ConfigDict(extra="forbid")

    transaction: dict[str, Any] = Field(
        description="Profile column -> value; GET /v1/profile lists the columns."
    )
    history: list[dict[str, Any]] | None = Field(
        default=None, description="The card's own past transactions; null uses what the server knows."
    )
    explain: bool = Field(default=False, description="Also return both models' SHAP reasons.")
    keep: bool = Field(
        default=False,
        strict=True,
        description="true is the consent of whoever the transaction is about, by wording "
        f"{KEEP_CONSENT_VERSION}: the transaction with its history, both scores and the model version are "
        "kept to watch the models, and may be published; nothing of the sender is. The receipt is the "
        "prediction_id: GET /v1/flags/{prediction_id} answers once it is on disk, mostly within a second, "
        "and only then is it safe; under overload it is not kept and stays 404. POST /v1/withdrawals takes "
        "the consent back.",
    )


class ScoreAnswer(BaseModel):
    """One model's calibrated probability, its cut-offs and the decision they give."""

    fraud_probability: float
    review_threshold: float
    decline_threshold: float
    decision: Literal["approve", "review", "decline"]


class ReasonAnswer(BaseModel):
    """One feature's exact share of the raw score."""

    feature: str
    value: float | str | None
    contribution: float


class ExplanationAnswer(BaseModel):
    """`expected` plus all contributions is the raw score, on the named scale."""

    scale: Literal["probability", "log_odds"]
    expected: float
    reasons: list[ReasonAnswer]


class PredictionAnswer(BaseModel):
    """Both models' answers for one transaction."""

    prediction_id: str
    model_version: str
    model_revision: str | None
    agree: bool
    scores: dict[str, ScoreAnswer]
    explanations: dict[str, ExplanationAnswer] | None = None
    latency_ms: float
    audit_asked: bool = Field(
        default=False, description="Drawn for the quality sample: please flag it, right or wrong."
    )


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


class FlagRequest(BaseModel):
    """A person's word on one prediction."""

    model_config = ConfigDict(extra="forbid")

    prediction_id: str = Field(max_length=64)
    verdict: Literal["right", "wrong"]
    label: Literal["fraud", "legitimate"] = Field(description="What the transaction was.")
    comment: str = Field(default="", description="At most 2,000 characters.")
    consent: bool = Field(description=f"Agreement to keep what wording {CONSENT_VERSION} names.")
    reporter: str = Field(
        default="",
        max_length=200,
        description="Anything that tells your users apart. Only a keyed hash of it is kept; without it, one "
        "of the network address, so that all who share an address count as one person.",
    )


class WithdrawalRequest(BaseModel):
    """Consent taken back for one flag, or for one kept prediction."""

    model_config = ConfigDict(extra="forbid")

    receipt_id: str = Field(max_length=64, description="A flag's receipt, or a kept prediction's id.")


class ReceiptAnswer(BaseModel):
    """Where a flag is now: saved, then committed at a dataset revision, or withdrawn since."""

    receipt_id: str
    state: Literal["saved", "committed", "withdrawn"]
    saved_at: datetime
    revision: str | None


def build_api(service: FraudService, lifespan: Lifespan, is_alive: Callable[[], bool]) -> FastAPI:
    """Return the application with every route but the page."""
    app: FastAPI = FastAPIOffline(  # serves the OpenAPI page's script itself: nothing loads from outside
        title="Fraud demo",
        summary="Random Forest and XGBoost, side by side on the same transaction.",
        version="1",
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, limits={"/v1/score/batch": MAX_BATCH_BYTES, "/v1/": MAX_BODY_BYTES})
    app.add_exception_handler(FraudError, _on_fraud_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    _add_scoring(app, service)
    _add_feedback(app, service)
    _add_operations(app, service, is_alive)
    return app


def _add_scoring(app: FastAPI, service: FraudService) -> None:
    example: Any = next((e["transaction"] for e in service.examples()), {})

    @app.post(
        "/v1/score", response_model_exclude_none=False, openapi_extra=_example({"transaction": example})
    )
    def score(request: ScoreRequest) -> PredictionAnswer:
        """Score one transaction with both models."""
        prediction = service.score(request.transaction, request.history, keep=request.keep)
        explanations = service.explain(prediction) if request.explain else None
        return _prediction_answer(prediction, explanations)

    @app.post("/v1/score/batch", openapi_extra=_CSV_BODY)
    async def score_batch(http: Request) -> BatchAnswer:
        """Score a CSV table (or Parquet, by its content type); rows that break a rule are listed apart."""
        kind = http.headers.get("content-type", "").partition(";")[0].strip()
        suffix = ".parquet" if kind == "application/vnd.apache.parquet" else ".csv"
        body = await http.body()
        return await run_in_threadpool(_score_batch, service, body, suffix)

    @app.get("/v1/profile")
    def profile() -> dict[str, Any]:
        """Return the columns, rules and texts of the data set that is served."""
        return service.profile.model_dump(mode="json", by_alias=True)

    @app.get("/v1/examples")
    def examples() -> list[dict[str, Any]]:
        """Return one transaction of each kind, ready to be scored."""
        return [dict(example) for example in service.examples()]


def _add_feedback(app: FastAPI, service: FraudService) -> None:
    @app.post("/v1/flags", status_code=201)
    def flag(request: FlagRequest, http: Request) -> ReceiptAnswer:
        """Keep a word on a prediction; answered once it survives a crash."""
        address = http.client.host if http.client else ""
        receipt = service.flag(
            request.prediction_id,
            request.verdict,
            label=request.label,
            comment=request.comment,
            consent=request.consent,
            session=request.reporter or address,
            address=address,
        )
        return _receipt_answer(receipt)

    @app.post("/v1/withdrawals", status_code=201)
    def withdraw(request: WithdrawalRequest) -> ReceiptAnswer:
        """Take back consent to keep a flag and what was shown with it; again gives the same receipt."""
        return _receipt_answer(service.withdraw(request.receipt_id))

    @app.get("/v1/flags/{receipt_id}")
    def receipt(receipt_id: str) -> ReceiptAnswer:
        """Return where a flag is now, or a kept prediction by its id."""
        return _receipt_answer(service.receipt(receipt_id))


def _add_operations(app: FastAPI, service: FraudService, is_alive: Callable[[], bool]) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Return at once: the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Return 200 while a model is loaded, flags are being committed and the backlog is known."""
        version, backlog = service.model_version, service.backlog()
        ready = is_alive()
        document = {
            "status": "ready" if ready else "a background task has stopped",
            "model_version": version.version,
            "backlog": backlog,
            "problems": list(service.problems),
        }
        return JSONResponse(document, 200 if ready else 503)

    @app.get("/v1/version")
    def version() -> dict[str, str | None]:
        """Return what is served: version, registry revision, manifest digest."""
        served = service.model_version
        return {
            "version": served.version,
            "revision": served.revision,
            "manifest_digest": served.manifest_digest,
        }

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        """Return the serving bundle's metrics with intervals, windows and thresholds."""
        manifest = service.manifest
        return {k: manifest[k] for k in ("version", "created_at", "profile", "windows", "models")}


def _example(document: object) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"example": document}}}}


_CSV_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/csv", "application/vnd.apache.parquet")
        },
    }
}


def _score_batch(service: FraudService, body: bytes, suffix: str) -> BatchAnswer:
    with tempfile.TemporaryDirectory(prefix="fraud-batch-") as directory:
        path = Path(directory) / f"table{suffix}"  # the name that a message about the table shows
        path.write_bytes(body)
        result = service.score_file(path)
    rows = json.loads(result.scored.to_json(orient="records", date_format="iso"))
    return BatchAnswer(
        model_version=result.model_version.version,
        n_scored=len(rows),
        n_rejected=len(result.rejected),
        scored=rows,
        rejected=[RejectedRow(row=r.row, column=r.column, reason=r.reason) for r in result.rejected],
    )


def _prediction_answer(
    prediction: Prediction, explanations: dict[str, Explanation] | None
) -> PredictionAnswer:
    return PredictionAnswer(
        prediction_id=prediction.prediction_id,
        model_version=prediction.model_version.version,
        model_revision=prediction.model_version.revision,
        agree=prediction.agree,
        scores={
            name: ScoreAnswer(
                fraud_probability=score.fraud_probability,
                review_threshold=score.thresholds.review,
                decline_threshold=score.thresholds.decline,
                decision=score.decision.value,
            )
            for name, score in prediction.scores.items()
        },
        explanations=None
        if explanations is None
        else {name: _explanation_answer(e) for name, e in explanations.items()},
        latency_ms=round(prediction.latency_ms, 3),
        audit_asked=prediction.audit_asked is True,
    )


def _explanation_answer(explanation: Explanation) -> ExplanationAnswer:
    return ExplanationAnswer.model_validate(
        {
            "scale": explanation.scale,
            "expected": explanation.expected,
            "reasons": [
                {"feature": r.feature, "value": r.value, "contribution": r.contribution}
                for r in explanation.reasons
            ],
        }
    )


def _receipt_answer(receipt: Receipt) -> ReceiptAnswer:
    return ReceiptAnswer(
        receipt_id=receipt.receipt_id,
        state="withdrawn" if receipt.withdrawn else "committed" if receipt.committed else "saved",
        saved_at=receipt.saved_at,
        revision=receipt.revision,
    )


def _problem(
    status: int,
    detail: str,
    code: str,
    problems: list[dict[str, Any]],
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    if problems:
        body["problems"] = problems
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _on_fraud_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FraudError)  # noqa: S101 (registered for this type)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    parts = error.problems if isinstance(error, TransactionError) else ()
    problems = [{"field": p.field, "code": p.code, "detail": p.message} for p in parts or [error]]
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, RateLimited) else None
    return _problem(status, error.message, error.code, problems, headers)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    return _problem(error.status_code, f"{error.detail}.", "http", [], error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for this type)
    problems = [
        {
            "field": ".".join(str(part) for part in e["loc"][1:] if not isinstance(part, int)) or "body",
            "code": str(e["type"]),
            "detail": str(e["msg"]),
        }
        for e in error.errors()
    ]
    first = problems[0]
    return _problem(422, f"{first['field']}: {first['detail']}.", first["code"], problems)


class BodyLimit:
    """Refuses bodies above their path's limit before they fill memory, whatever their headers claim."""

    def __init__(self, app: ASGIApp, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        path = scope.get("path", "") if scope["type"] == "http" else ""
        limit = next((limit for prefix, limit in self._limits.items() if path.startswith(prefix)), None)
        if limit is None:
            await self._app(scope, receive, send)
            return
        chunks: list[bytes] = []
        size = 0
        async for chunk in _body(receive):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                detail = f"The body is larger than {limit:,} bytes; send fewer or smaller transactions."
                await _problem(413, detail, "too_large", [])(scope, receive, send)
                return
        pending = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
