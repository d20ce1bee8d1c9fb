"""A trainer's web application: it answers that it is there, and is told that the dataset moved."""

from collections.abc import Callable

from fastapi import FastAPI

from fraud.api.body_limit import Lane
from fraud.api.problems import add_problem_handlers
from fraud.api.protection import add_protection
from fraud.api.receiving import MAX_NOTICE_BYTES, add_hub_notices
from fraud.settings import Settings


def build_trainer_api(settings: Settings, wake: Callable[[], object]) -> FastAPI:
    """Return the application; `wake` is called when the Hub says that the dataset's repository moved."""
    app = FastAPI(title="Fraud trainer", docs_url=None, redoc_url=None, openapi_url=None)
    add_protection(app, {"/webhooks/": Lane(MAX_NOTICE_BYTES)}, settings.api)
    add_problem_handlers(app)
    add_hub_notices(app, "dataset", settings.hub.dataset, settings.nodes.hub_secrets, wake)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Return at once: the process answers."""
        return {"status": "ok"}

    return app
