"""The most that a request may send."""

from collections.abc import AsyncIterator, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fraud.api.metering import ERROR_KEY
from fraud.api.problems import problem

MAX_BODY_BYTES = 1_000_000
MAX_BATCH_BYTES = 20_000_000


class BodyLimit:
    """Refuses bodies above their path's limit before they fill memory, whatever their headers claim."""

    def __init__(self, app: ASGIApp, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        path = scope.get("path", "") if scope["type"] == "http" else ""
        limit = next((limit for prefix, limit in self._limits.items() if path.startswith(prefix)), None)
        if limit is None:
            await self._app(scope, receive, send)
            return
        chunks: list[bytes] = []
        size = 0
        async for chunk in _body(receive):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                detail = f"The body is larger than {limit:,} bytes; send fewer or smaller transactions."
                scope[ERROR_KEY] = "TooLarge"
                await problem(413, detail, "too_large", [])(scope, receive, send)
                return
        pending = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
