"""Errors as RFC 9457 problem details: one sentence, a code, and the fields at fault; never a traceback."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fraud.api.metering import ERROR_KEY
from fraud.errors import (
    BundleRefused,
    FlagError,
    FraudError,
    NodesUnavailable,
    NotFound,
    OutboxFull,
    RateLimited,
    RepositoryError,
    StorageError,
    TableError,
    TransactionError,
    WebhookRefused,
)

_STATUS: tuple[tuple[type[FraudError], int], ...] = (
    (TransactionError, 422),
    (TableError, 422),
    (FlagError, 422),
    (RateLimited, 429),
    (NotFound, 404),
    (StorageError, 503),
    (RepositoryError, 503),
    (BundleRefused, 503),
    (NodesUnavailable, 503),
    (WebhookRefused, 400),
)
_STATUS_OF_CODE = {"webhook_signature": 401, "webhook_stale": 401, "webhook_size": 413}
"""Where one class has refusals of several kinds."""

_FULL_S = 60
"""When to ask again while the backlog is full: a few commits later."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every expected error, and every request that is none, with problem details."""
    app.add_exception_handler(FraudError, _on_fraud_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def problem(
    status: int,
    detail: str,
    code: str,
    problems: list[dict[str, Any]],
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return problem details; `problems` lists the fields at fault, where there are any."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    if problems:
        body["problems"] = problems
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _on_fraud_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FraudError)  # noqa: S101 (registered for this type)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, WebhookRefused):
        status = _STATUS_OF_CODE.get(error.code, status)
    parts = error.problems if isinstance(error, TransactionError) else ()
    problems = [{"field": p.field, "code": p.code, "detail": p.message} for p in parts or [error]]
    request.scope[ERROR_KEY] = type(error).__name__
    return problem(status, error.message, error.code, problems, _retry_after(error))


def _retry_after(error: FraudError) -> dict[str, str] | None:
    if isinstance(error, RateLimited):
        return {"Retry-After": str(error.seconds)}
    return {"Retry-After": str(_FULL_S)} if isinstance(error, OutboxFull) else None


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    request.scope[ERROR_KEY] = "HTTPException"
    return problem(error.status_code, f"{error.detail}.", "http", [], error.headers)


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
    request.scope[ERROR_KEY] = "RequestValidationError"
    first = problems[0]
    return problem(422, f"{first['field']}: {first['detail']}.", first["code"], problems)
