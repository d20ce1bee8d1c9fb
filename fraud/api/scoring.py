"""The routes that score one transaction, and what a client needs to know to ask."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from fraud.api.documentation import body_of
from fraud.api.reading import read_json
from fraud.data.profile import Profile
from fraud.feedback.keeping import KEEP_CONSENT_VERSION
from fraud.records import Prediction
from fraud.serving.scorer import Explanation

AT_ONCE = 50
"""Past transactions up to which a request is answered on the event loop."""


class ExplainRequest(BaseModel):
    """One transaction, and optionally the past of its card."""

    model_config = ConfigDict(extra="forbid")

    transaction: dict[str, Any] = Field(
        description="Profile column -> value; GET /v1/profile lists the columns."
    )
    history: list[dict[str, Any]] | None = Field(
        default=None, description="The card's own past transactions; null uses what the server knows."
    )


class ScoreRequest(ExplainRequest):
    """One transaction, what to answer, and whether it may be kept."""

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


class Scoring(Protocol):
    """What scores single transactions: the web application's service, or a prediction node."""

    @property
    def profile(self) -> Profile:
        """The profile of what serves now."""

    @property
    def answers_at_once(self) -> bool:
        """Whether `score` computes here, instead of waiting for somebody else."""

    def examples(self) -> Sequence[Mapping[str, Any]]:
        """Return one transaction of each kind."""

    def score(
        self, transaction: Mapping[str, Any], history: object = None, *, keep: bool = False
    ) -> Prediction:
        """Return both models' answers for one raw transaction."""

    def explain(self, prediction: Prediction) -> dict[str, Explanation]:
        """Return both models' reasons, from the version that answered."""


def add_score(app: FastAPI, service: Scoring) -> None:
    """Add the routes that score one transaction and say what one is."""
    example: Any = {"transaction": next((e["transaction"] for e in service.examples()), {})}
    score_body, explain_body = body_of(ScoreRequest, example), body_of(ExplainRequest, example)

    @app.post("/v1/score", response_model=PredictionAnswer, openapi_extra=score_body)
    async def score(http: Request) -> Response:
        """Score one transaction with both models."""
        request = await read_json(http, ScoreRequest)
        if service.answers_at_once and not request.explain and len(request.history or ()) <= AT_ONCE:
            # Half a millisecond here: handing it to a thread and waiting for that would take as long again.
            return _answer(service.score(request.transaction, request.history, keep=request.keep))
        return await run_in_threadpool(_score, service, request)

    @app.post("/v1/explain", response_model=PredictionAnswer, openapi_extra=explain_body)
    async def explain(http: Request) -> Response:
        """Score one transaction with both models and say why: as /v1/score with `explain`, nothing kept."""
        asked = await read_json(http, ExplainRequest)
        request = ScoreRequest(transaction=asked.transaction, history=asked.history, explain=True)
        return await run_in_threadpool(_score, service, request)

    @app.get("/v1/profile")
    def profile() -> dict[str, Any]:
        """Return the columns, rules and texts of the data set that is served."""
        return service.profile.model_dump(mode="json", by_alias=True)

    @app.get("/v1/examples")
    def list_examples() -> list[dict[str, Any]]:
        """Return one transaction of each kind, ready to be scored."""
        return [dict(example) for example in service.examples()]


def _score(service: Scoring, request: ScoreRequest) -> Response:
    prediction = service.score(request.transaction, request.history, keep=request.keep)
    return _answer(prediction, service.explain(prediction) if request.explain else None)


def _answer(prediction: Prediction, explanations: dict[str, Explanation] | None = None) -> Response:
    """Return what `PredictionAnswer` describes, written without building and checking one."""
    version = prediction.model_version
    document = {
        "prediction_id": prediction.prediction_id,
        "model_version": version.version,
        "model_revision": version.revision,
        "model_digest": version.manifest_digest,
        "agree": prediction.agree,
        "scores": {
            name: {
                "fraud_probability": score.fraud_probability,
                "review_threshold": score.thresholds.review,
                "decline_threshold": score.thresholds.decline,
                "decision": score.decision.value,
            }
            for name, score in prediction.scores.items()
        },
        "explanations": None
        if explanations is None
        else {name: _explanation(explanation) for name, explanation in explanations.items()},
        "latency_ms": round(prediction.latency_ms, 3),
        "audit_asked": prediction.audit_asked is True,
    }
    return Response(orjson.dumps(document), media_type="application/json")


def _explanation(explanation: Explanation) -> dict[str, Any]:
    return {
        "scale": explanation.scale,
        "expected": explanation.expected,
        "reasons": [
            {"feature": r.feature, "value": r.value, "contribution": r.contribution}
            for r in explanation.reasons
        ],
    }
