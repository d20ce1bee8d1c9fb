"""Who may ask: API keys, and how often one key or address may."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from fraud.api.metering import ERROR_KEY
from fraud.api.problems import problem
from fraud.errors import RateLimited
from fraud.feedback.limiter import FlagLimiter

_LONGEST_KEY = 200
_GUARDED = "/v1/"


class Gate:
    """Passes requests for /v1/ on if they bring a known key (where keys are set) and do not come too often.

    Only digests of keys are known here. Every digest is compared, in constant time, whichever matches;
    nothing that was sent is repeated or logged.

    Parameters
    ----------
    digests : SHA-256 of every accepted key, hexadecimal; none asks for no key
    limit : of requests per key, or per address without keys, such as "600/minute"; "" for none
    place : secret that places senders in the limiter's buckets
    """

    def __init__(self, app: ASGIApp, digests: Sequence[str], limit: str, place: bytes) -> None:
        self._app = app
        self._digests = tuple(digests)
        self._limiter = FlagLimiter("", limit, place) if limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 429."""
        if scope["type"] != "http" or not scope["path"].startswith(_GUARDED) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        sender = str(client[0]) if client else ""
        if self._digests:
            digest = hashlib.sha256(_key(scope)).hexdigest()
            if not any([hmac.compare_digest(digest, known) for known in self._digests]):
                scope[ERROR_KEY] = "NoKey"
                detail = "Send a known key as Authorization: Bearer KEY."
                answer = problem(
                    401, detail, "key", [], {"WWW-Authenticate": "Bearer", "Connection": "close"}
                )
                await answer(scope, receive, send)
                return
            sender = f"key:{digest}"
        if self._limiter is not None:
            try:
                self._limiter.take("", sender)
            except RateLimited as error:
                scope[ERROR_KEY] = "RateLimited"
                detail = f"Too many requests came from here in a short time; wait {error.seconds} seconds."
                wait = {"Retry-After": str(error.seconds), "Connection": "close"}
                await problem(429, detail, "rate_limited", [], wait)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _key(scope: Scope) -> bytes:
    """Return the key that came with a request; b"" if none did, or two."""
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, key = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
    return key.strip() if scheme.lower() == b"bearer" and len(key) <= _LONGEST_KEY else b""
