"""The routes that score: one transaction, a table, and what a client needs to know to ask."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from fraud import scratch
from fraud.data.profile import Profile
from fraud.feedback.keeping import KEEP_CONSENT_VERSION
from fraud.records import Prediction
from fraud.service import FraudService
from fraud.serving.scorer import Explanation


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
    model_digest: str = Field(description="SHA-256 of the manifest of the release that answered.")
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


class Scoring(Protocol):
    """What scores single transactions: the web application's service, or a prediction node."""

    @property
    def profile(self) -> Profile:
        """The profile of what serves now."""

    def examples(self) -> Sequence[Mapping[str, Any]]:
        """Return one transaction of each kind."""

    def score(
        self, transaction: Mapping[str, Any], history: object = None, *, keep: bool = False
    ) -> Prediction:
        """Return both models' answers for one raw transaction."""

    def explain(self, prediction: Prediction) -> dict[str, Explanation]:
        """Return both models' reasons, from the version that answered."""


def add_scoring(app: FastAPI, service: FraudService) -> None:
    """Add the routes that score."""
    add_score(app, service)

    @app.post("/v1/score/batch", openapi_extra=_CSV_BODY)
    async def score_batch(http: Request) -> BatchAnswer:
        """Score a CSV table (or Parquet, by its content type); rows that break a rule are listed apart."""
        kind = http.headers.get("content-type", "").partition(";")[0].strip()
        suffix = ".parquet" if kind == "application/vnd.apache.parquet" else ".csv"
        body = await http.body()
        return await run_in_threadpool(_score_batch, service, body, suffix)


def add_score(app: FastAPI, service: Scoring) -> None:
    """Add the routes that score one transaction and say what one is."""
    example: Any = next((e["transaction"] for e in service.examples()), {})

    @app.post(
        "/v1/score", response_model_exclude_none=False, openapi_extra=_example({"transaction": example})
    )
    def score(request: ScoreRequest) -> PredictionAnswer:
        """Score one transaction with both models."""
        prediction = service.score(request.transaction, request.history, keep=request.keep)
        explanations = service.explain(prediction) if request.explain else None
        return _prediction_answer(prediction, explanations)

    @app.get("/v1/profile")
    def profile() -> dict[str, Any]:
        """Return the columns, rules and texts of the data set that is served."""
        return service.profile.model_dump(mode="json", by_alias=True)

    @app.get("/v1/examples")
    def examples() -> list[dict[str, Any]]:
        """Return one transaction of each kind, ready to be scored."""
        return [dict(example) for example in service.examples()]


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
    with scratch.new_folder() as directory:
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
        model_digest=prediction.model_version.manifest_digest,
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
