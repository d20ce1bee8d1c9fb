"""GET /metrics, and the middleware that measures every request, those of the page included."""

from time import perf_counter

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fraud.metrics import CONTENT_TYPE, Metrics

ERROR_KEY = "fraud.error"
"""Where a handler leaves an error's class in the scope, for `Metering` to count."""
_API_PATHS = ("/v1/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")


def add_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Add the route that Prometheus scrapes, and measure what comes before it."""
    app.add_middleware(Metering, metrics=metrics)
    own_thread = CapacityLimiter(1)

    @app.get("/metrics", response_class=Response)
    async def scrape() -> Response:
        """Return the process's figures in Prometheus' text format."""
        workers = anyio.to_thread.current_default_thread_limiter().statistics()
        metrics.workers(workers.borrowed_tokens, workers.tasks_waiting)
        # Not from the workers' pool: a process that is busy must still be seen to be.
        text = await anyio.to_thread.run_sync(metrics.text, limiter=own_thread)
        return Response(text, media_type=CONTENT_TYPE)


class Metering:
    """Measures requests from their arrival to the first byte of the answer, whatever answers them.

    To the first byte, because the page holds streams open for as long as it is looked at.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        api = scope.get("app")
        kind = "api" if str(scope.get("path", "")).startswith(_API_PATHS) else "page"
        answered = False

        def note(status: str) -> None:
            nonlocal answered
            answered = True
            route = _template(scope, api)
            self._metrics.answered(route, scope["method"], status, perf_counter() - start)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and not answered:
                note(str(message["status"]))
            await send(message)

        self._metrics.arrived(kind)
        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # counted and passed on: what it means is decided above
            scope[ERROR_KEY] = type(error).__name__
            if not answered:
                note("500")
            raise
        finally:
            self._metrics.left(kind)
            if ERROR_KEY in scope:
                self._metrics.refused(scope[ERROR_KEY])


def _template(scope: Scope, api: object) -> str:
    """Return the template of the route that answers; one name for all of the page and one for none."""
    if scope.get("app") is not api:
        return "page"
    path = getattr(scope.get("route"), "path", None)
    return str(path) if path else "unmatched"
