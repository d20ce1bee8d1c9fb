"""The demo: settings -> service -> REST routes and the page -> one server. Also a Space's entry point."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

from fastapi import FastAPI

from fraud.api import build_api
from fraud.api.connections import serve
from fraud.api.receiving import receive_webhooks
from fraud.api.tables import add_tables
from fraud.errors import FraudError
from fraud.logs import start_logging
from fraud.metrics import Metrics
from fraud.service import FraudService
from fraud.settings import Settings, read_settings, refuse_options
from fraud.tables.desk import TableDesk
from fraud.ui.blocks import build_blocks, mount_page
from fraud.wiring import Heartbeat, build_service, check_webhooks, server_options, start_heartbeat


def create_app(service: FraudService, settings: Settings, metrics: Metrics) -> FastAPI:
    """Return the whole web application; its lifespan starts and stops the background work."""
    beats: list[Heartbeat] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        beats.append(start_heartbeat(service, settings))
        yield
        beats[-1].stop()
        tables.close()
        service.close()

    app = build_api(service, lifespan, lambda: bool(beats) and beats[-1].alive, metrics, settings.api)
    receive_webhooks(app, settings, service)
    add_tables(app, tables := TableDesk(service.scorer, metrics), service)
    page = build_blocks(service, settings.review.password, settings.review.reviewers, tables)
    return mount_page(app, page, service, mcp=settings.server.mcp)


def main() -> None:
    """Serve until a signal ends it; what was flagged is committed on the way out."""
    start_logging()
    try:
        check_webhooks(settings := read_settings())
        service = build_service(settings, metrics := Metrics())
        service.check()
        app = create_app(service, settings, metrics)
    except FraudError as error:
        raise SystemExit(f"The demo cannot start: {error}") from error
    print(f"The demo is at http://{settings.server.host}:{settings.server.port}; Ctrl+C ends it.", flush=True)
    serve(app, server_options(settings.server))


if __name__ == "__main__":
    refuse_options(main.__doc__)
    main()
