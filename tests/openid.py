"""An OpenID provider on loopback that signs in whoever the test says, for the sign-in of the Review tab."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "the-space", "a secret of this test alone"


class Provider:
    """Discovery, authorization, token and key routes; `who` are the claims of the next person."""

    def __init__(self) -> None:
        self.who: dict[str, Any] = {}
        self._key = RSAKey.generate_key(2048, {"kid": "k1"}, auto_kid=False)
        self._codes: dict[str, tuple[str | None, dict[str, Any]]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _document(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        return {"keys": [self._key.as_dict(private=False)]} if path == "/jwks" else None

    def _authorize(self, query: dict[str, list[str]]) -> str:
        code = secrets.token_hex(8)
        self._codes[code] = (query.get("nonce", [None])[0], self.who)
        answer = urlencode({"code": code, "state": query["state"][0]})
        return f"{query['redirect_uri'][0]}{'&' if '?' in query['redirect_uri'][0] else '?'}{answer}"

    def _token(self, form: dict[str, list[str]]) -> dict[str, Any]:
        nonce, who = self._codes.pop(form["code"][0])
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 600, "nonce": nonce} | who
        signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self._key)
        return {"access_token": "t", "token_type": "bearer", "expires_in": 600, "scope": "openid profile",
                "id_token": signed}  # fmt: skip

    def _handler(provider) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                if address.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider._authorize(parse_qs(address.query)))
                    self.end_headers()
                    return
                self._answer(provider._document(address.path))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._answer(provider._token(form))

            def _answer(self, document: dict[str, Any] | None) -> None:
                body = json.dumps(document).encode()
                self.send_response(200 if document is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Keep quiet."""

        return Handler


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()


def claims_of(name: str, **more: Any) -> dict[str, Any]:
    """Return what the Hub says of a user."""
    return {
        "sub": f"id-{name}",
        "name": name.title(),
        "preferred_username": name,
        "profile": f"https://huggingface.co/{name}",
        "picture": "",
    } | more
