"""The web application without the page: every route, and what stands around all of them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from fraud.api.batches import add_batches
from fraud.api.body_limit import MAX_BATCH_BYTES, Lane
from fraud.api.documentation import complete_documentation
from fraud.api.feedback import add_feedback
from fraud.api.gate_pages import add_gate_pages
from fraud.api.metering import add_metrics
from fraud.api.operations import add_operations
from fraud.api.problems import add_problem_handlers
from fraud.api.protection import OPEN, add_protection
from fraud.api.scoring import ExplainRequest, ScoreRequest, add_score
from fraud.metrics import Metrics
from fraud.service import FraudService
from fraud.settings_api import ApiSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_api(
    service: FraudService,
    lifespan: Lifespan,
    is_alive: Callable[[], bool],
    metrics: Metrics | None = None,
    protection: ApiSettings = OPEN,
) -> FastAPI:
    """Return the application with every route but the page; `metrics` are those that the service tells."""
    metrics = metrics or Metrics()
    metrics.watch(service, is_alive)
    app: FastAPI = FastAPIOffline(  # serves the OpenAPI page's script itself: nothing loads from outside
        title="Fraud demo",
        summary="Random Forest and XGBoost, side by side on the same transaction.",
        version="1",
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
    )
    lanes = {"/v1/score/batch": Lane(MAX_BATCH_BYTES, 4), "/v1/": Lane(), "/webhooks/": Lane()}
    add_protection(app, lanes, protection)
    add_metrics(app, metrics)
    add_problem_handlers(app)
    add_score(app, service)
    add_batches(app, service)
    add_feedback(app, service)
    add_operations(app, service, is_alive)
    add_gate_pages(app, service)
    complete_documentation(app, (ScoreRequest, ExplainRequest), keyed=bool(protection.key_digests))
    return app
