"""The routes that tell how the process is and what it serves."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from fraud.service import FraudService


def add_operations(app: FastAPI, service: FraudService, is_alive: Callable[[], bool]) -> None:
    """Add the routes of operations."""

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
