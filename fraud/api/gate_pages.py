"""Where a version's gate report opens as a page of its own."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from fraud.service import FraudService

_HEADERS = {
    # The page comes from a release: it may style itself, and neither run, load, frame nor send anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def add_gate_pages(app: FastAPI, service: FraudService) -> None:
    """Add the route of gate reports."""

    @app.get("/v1/versions/{version}/gate", response_class=HTMLResponse)
    def gate_page(version: str) -> HTMLResponse:
        """Return why the gate let a version through, as it was written at its release."""
        return HTMLResponse(service.history.gate_page(version), headers=_HEADERS)
