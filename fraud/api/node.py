"""A prediction node's web application: the demo's scoring routes, and where notices of promotions come in."""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from fraud.api.application import Lifespan
from fraud.api.body_limit import Lane
from fraud.api.documentation import complete_documentation
from fraud.api.metering import add_metrics
from fraud.api.problems import add_problem_handlers
from fraud.api.protection import OPEN, add_protection
from fraud.api.receiving import MAX_NOTICE_BYTES, pairs
from fraud.api.scoring import ExplainRequest, ScoreRequest, add_score
from fraud.metrics import Metrics
from fraud.metrics_node import NodeState
from fraud.serving.acknowledging import report_data
from fraud.serving.node import PredictionNode
from fraud.settings_api import ApiSettings

_HUB_HEADER = "x-webhook-secret"


def build_node_api(
    node: PredictionNode,
    lifespan: Lifespan,
    is_alive: Callable[[], bool],
    metrics: Metrics,
    protection: ApiSettings = OPEN,
) -> FastAPI:
    """Return the node's application; `metrics` are those that the node tells."""
    metrics.watch_with(NodeState(node, is_alive))
    app = FastAPI(title="Fraud prediction node", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_protection(app, {"/v1/": Lane(), "/webhooks/": Lane(MAX_NOTICE_BYTES)}, protection)
    add_metrics(app, metrics)
    add_problem_handlers(app)
    add_score(app, node)
    _add_operations(app, node, is_alive)

    @app.post("/webhooks/model", status_code=202)
    async def notice(http: Request) -> JSONResponse:
        """Take a notice: signed by Standard Webhooks, or the Hub's own with its secret.

        What is new is answered before anything is done about it; a notice that came before, or after a newer
        one, changes nothing.
        """
        headers, body = pairs(http), await http.body()
        if _HUB_HEADER in http.headers:
            ours = await run_in_threadpool(node.receive_from_hub, headers, body)
            return JSONResponse({"reception": "fresh" if ours else "ignored"}, 202)
        reception = await run_in_threadpool(node.receive, headers, body)
        return JSONResponse({"reception": reception.value}, 202)

    complete_documentation(app, (ScoreRequest, ExplainRequest), keyed=bool(protection.key_digests))
    return app


def _add_operations(app: FastAPI, node: PredictionNode, is_alive: Callable[[], bool]) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Return at once: the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Return 200 while a model is loaded and promotions are followed."""
        ready = is_alive()
        problem = node.model_problem
        document = {
            "status": "ready" if ready else "a background task has stopped",
            **_standing(node),
            "problems": [] if problem is None else [problem],
        }
        return JSONResponse(document, 200 if ready else 503)

    @app.get("/v1/version")
    async def version() -> dict[str, object]:
        """Return what is served: version, registry revision, manifest digest, and since when."""
        return _standing(node)


def _standing(node: PredictionNode) -> dict[str, object]:
    return report_data(node.report()) | {"on_trial": node.on_trial}
