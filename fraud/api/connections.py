"""Connections that come to nothing: closed, so that they hold no socket that somebody else could use."""

import asyncio
import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 15.0
"""How long the first line and the headers of a request may take, from the connection or their first byte."""
MAX_HEADER_BYTES = 65_536
STALL_S = 30.0
"""How long a client may take nothing of an answer that has filled the socket's buffers."""
STALLS = 30
"""How often that is overlooked while the client is still sending."""
KEEP_ALIVE_S = 15
GRACE_S = 5
"""How long an answer under way may go on once the process is told to end: an open page listens for ever, and
what was flagged is committed only after this. Containers are killed after 10 s by default."""
MAX_CONNECTIONS = 900
"""Below the usual 1,024 file descriptors of a process, of which models and databases need some."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for a request that was never finished."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take bytes; what begins a request begins the wait for its headers."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_headers()
        super().data_received(data)
        if self._deadline is not None:  # they have not come to an end yet
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._give_up()

    def on_headers_complete(self) -> None:
        """End the wait; the body has a time of its own (`fraud.api.body_limit`)."""
        self._stop_waiting()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Start waiting for a client that takes nothing of its answer."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_S, self._stalled, STALLS)

    def resume_writing(self) -> None:
        """End the wait: it has taken some."""
        self._resumed()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the waits with the connection."""
        self._stop_waiting()
        self._resumed()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._header_bytes = 0
        self._deadline = self.loop.call_later(HEADERS_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stalled(self, left: int) -> None:
        # Who still sends a body may read the answer to its beginning later, but not for ever.
        sending = self.cycle is not None and self.cycle.more_body
        if sending and left:
            self._stall = self.loop.call_later(STALL_S, self._stalled, left - 1)
        else:
            self._stall = None
            self.transport.abort()

    def _resumed(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()


def connection_options() -> dict[str, Any]:
    """Return uvicorn's settings of connections."""
    return {
        "http": PatientProtocol,
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }


def _cut_off(record: logging.LogRecord) -> bool:
    """Drop the traceback of an answer that was under way at the end: a line before it counts them."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def serve(app: FastAPI, listening: dict[str, Any]) -> None:
    """Serve until a signal ends it, where `listening` says (`fraud.wiring.server_options`)."""
    logging.getLogger("uvicorn.error").addFilter(_cut_off)
    uvicorn.run(app, log_level="warning", **listening, **connection_options())
