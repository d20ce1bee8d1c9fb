"""What the web application is told: by nodes what they serve, by the Hub that a repository moved."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from fraud.errors import WebhookRefused
from fraud.service import FraudService
from fraud.settings import Settings
from fraud.webhooks.board import AcknowledgementBoard
from fraud.webhooks.hub_event import LARGEST_HUB_BODY, read_hub_event
from fraud.webhooks.received import ReceivedStore, Reception
from fraud.webhooks.signing import verify
from fraud.wiring import acknowledgement_board, received_webhooks

MAX_NOTICE_BYTES = LARGEST_HUB_BODY + 1
"""The receivers have limits of their own and say which; this one only bounds the memory."""
_ACKNOWLEDGEMENT = "node.serving"


def pairs(http: Request) -> list[tuple[str, str]]:
    """Return a request's headers one by one: a mapping would hide that one came twice."""
    return http.headers.items()


def receive_webhooks(app: FastAPI, settings: Settings, service: FraudService) -> None:
    """Add the routes of acknowledgements and of the Hub's notices as configured."""
    board, received = acknowledgement_board(settings), received_webhooks(settings)
    add_acknowledgements(app, board, received, settings.nodes.acknowledge_secrets)
    add_hub_notices(app, "model", settings.hub.models, settings.nodes.hub_secrets, service.refresh)


def add_hub_notices(
    app: FastAPI, kind: str, repository: str | None, secrets: Sequence[str], look: Callable[[], object]
) -> None:
    """Add `POST /webhooks/<kind>`: the Hub's own webhook that a repository moved, which makes us `look`.

    It says nothing that is believed but that a look may be worth while. One look runs and one waits, for what
    moved meanwhile: however often an event is sent again, it costs no more than that.

    Parameters
    ----------
    kind : "model" or "dataset"
    repository : ORG/NAME; None where ours is on no Hub, and every event is about another
    look : called on a thread of its own, beside the answer
    """
    waiting, running = threading.Lock(), threading.Lock()

    def once() -> None:
        with running:
            waiting.release()
            look()

    def take(headers: list[tuple[str, str]], body: bytes) -> bool:
        change = read_hub_event(headers, body, secrets)
        ours = change.kind == kind and change.repository == repository
        moved = ours and any(ref.revision is not None for ref in change.refs)
        if moved and waiting.acquire(blocking=False):
            threading.Thread(target=once, name=f"look-{kind}", daemon=True).start()
        return moved

    @app.post(f"/webhooks/{kind}", status_code=202, include_in_schema=False)
    async def notice(http: Request) -> JSONResponse:
        """Take the Hub's word that our repository moved."""
        moved = await run_in_threadpool(take, pairs(http), await http.body())
        return JSONResponse({"reception": "fresh" if moved else "ignored"}, 202)


def add_acknowledgements(
    app: FastAPI,
    board: AcknowledgementBoard,
    received: ReceivedStore,
    secrets: Sequence[str],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Add `POST /webhooks/node` and `GET /v1/nodes`; without secrets nothing is taken."""

    def take(headers: list[tuple[str, str]], body: bytes) -> str:
        now = clock()
        message = verify(headers, body, secrets, now)
        if message.type != _ACKNOWLEDGEMENT:
            raise WebhookRefused(
                f"The webhook's type must be {_ACKNOWLEDGEMENT}.", code="webhook_body", field="type"
            )
        said = [message.data.get(key) for key in ("node", "version", "manifest_digest", "state", "reason")]
        if not all(isinstance(value, str) for value in said):
            raise WebhookRefused("The acknowledgement lacks a field.", code="webhook_body", field="data")
        if received.accept(message, now) is Reception.DUPLICATE:
            return Reception.DUPLICATE.value
        node, version, digest, state, reason = (str(value) for value in said)
        kept = board.acknowledge(node, version, digest, message.occurred_at, state=state, reason=reason)
        return Reception.FRESH.value if kept else Reception.LATE.value

    @app.post("/webhooks/node", status_code=202, include_in_schema=False)
    async def acknowledge(http: Request) -> JSONResponse:
        """Take a node's signed word on what it serves."""
        reception = await run_in_threadpool(take, pairs(http), await http.body())
        return JSONResponse({"reception": reception}, 202)

    @app.get("/v1/nodes")
    def nodes() -> list[dict[str, str]]:
        """Return what every prediction node said last: which version it serves, and since when."""
        return [
            {
                "node": entry.node,
                "version": entry.version,
                "manifest_digest": entry.manifest_digest,
                "since": entry.since.isoformat(),
                "seen_at": entry.seen_at.isoformat(),
                "state": entry.state,
                "reason": entry.reason,
            }
            for entry in board.board()
        ]
