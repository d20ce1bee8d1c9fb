"""The most that a request may send, how long it may take, and how many are answered at once.

A body is read before anything is done about it, so a client that sends slowly holds a socket and no worker.
What all bodies hold together is bounded, and so is the number of requests that are being answered: one more
is told at once when to come again, instead of waiting behind work that its sender may have given up.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fraud.api.metering import ERROR_KEY
from fraud.api.problems import problem

MAX_BODY_BYTES = 1_000_000
MAX_BATCH_BYTES = 20_000_000
MAX_HELD_BYTES = 200_000_000
"""Of all bodies that are being read or answered."""
IDLE_S = 15.0
"""How long a client may send nothing in the middle of its body."""
BODY_S = 60.0
STREAM_S = 900.0
MAX_STREAMS = 16
STREAMED = ("application/x-ndjson", "application/vnd.apache.arrow.stream")
"""Kinds of bodies that are answered while they come in."""


@dataclass
class Lane:
    """Requests that share a limit: bytes of a body, and how many are answered at once."""

    max_bytes: int = MAX_BODY_BYTES
    max_at_once: int = 64
    at_once: int = field(default=0, init=False)


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    words: str
    code: str


_TOO_SLOW = _Refusal(408, f"The body did not come within {BODY_S:g} seconds; send it again.", "too_slow")
_BUSY = _Refusal(429, "Too much is being answered at once; try again in a second.", "busy")
_GONE = _Refusal(499, "", "gone")
"""The client has closed the connection: there is nobody to answer."""


class BodyLimit:
    """Refuses what is too large (413), too slow (408) or too much at once (429), whatever headers claim.

    Parameters
    ----------
    lanes : prefix of a path -> its limits; the first that fits counts, and other paths pass
    """

    def __init__(self, app: ASGIApp, lanes: Mapping[str, Lane]) -> None:
        self._app = app
        self._lanes = lanes
        self._held = 0
        self._streams = Lane(max_at_once=MAX_STREAMS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its whole body, or answer why not."""
        path = scope.get("path", "") if scope["type"] == "http" else ""
        lane = next((lane for prefix, lane in self._lanes.items() if path.startswith(prefix)), None)
        if lane is None:
            await self._app(scope, receive, send)
        elif kind_of(scope) in STREAMED:
            await self._answer(self._streams, scope, _patient(receive), send)
        else:
            await self._read(lane, scope, receive, send)

    async def _read(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(BODY_S):
                    refusal = await self._collect(lane, receive, body)
            except TimeoutError:
                refusal = _TOO_SLOW
            if refusal is None:
                pending = [{"type": "http.request", "body": bytes(body), "more_body": False}]

                async def replay() -> Message:
                    return pending.pop() if pending else await receive()

                await self._answer(lane, scope, replay, send)
            elif refusal is not _GONE:
                await _refuse(refusal, scope, receive, send)
        finally:
            self._held -= len(body)

    async def _collect(self, lane: Lane, receive: Receive, body: bytearray) -> "_Refusal | None":
        while True:
            async with asyncio.timeout(IDLE_S):
                message = await receive()
            if message["type"] != "http.request":
                return _GONE
            chunk = message.get("body", b"")
            body += chunk
            self._held += len(chunk)
            if len(body) > lane.max_bytes:
                words = f"The body is larger than {lane.max_bytes:,} bytes; send less at a time."
                return _Refusal(413, words, "too_large")
            if self._held > MAX_HELD_BYTES:
                return _BUSY
            if not message.get("more_body", False):
                return None

    async def _answer(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        if lane.at_once >= lane.max_at_once:
            await _refuse(_BUSY, scope, receive, send)
            return
        lane.at_once += 1
        try:
            await self._app(scope, receive, send)
        finally:
            lane.at_once -= 1


def kind_of(scope: Scope) -> str:
    """Return a request's content type without its parameters, in lower case; "" if it names none."""
    sent = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return str(sent.partition(b";")[0].strip().lower().decode("latin-1"))


def _patient(receive: Receive) -> Receive:
    """Return `receive` for a stream: it ends where the client sends nothing for too long, or without end."""
    deadline = asyncio.get_running_loop().time() + STREAM_S

    async def within() -> Message:
        try:
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + IDLE_S)):
                return await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}

    return within


async def _refuse(refusal: _Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    scope[ERROR_KEY] = refusal.code
    # What was not read would be taken for the next request's beginning, or read to no end.
    headers = {"Connection": "close", **({"Retry-After": "1"} if refusal.status == 429 else {})}
    await problem(refusal.status, refusal.words, refusal.code, [], headers)(scope, receive, send)
