"""A clock, a receiver on loopback whose answers are written down, and an outbox that sends to it."""

import base64
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import Endpoint, parse_address
from fraud.webhooks.messages import EVENT_TYPES
from fraud.webhooks.sender import WebhookSender

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"current secret of thirty-two byt").decode()
PREVIOUS = "whsec_" + base64.b64encode(b"previous secret of 32 bytes long").decode()
DATA = {"version": "1.2.0", "revision": "a" * 40, "manifest_digest": "b" * 64}


class Clock:
    """A time that moves when it is told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """What was received, and what is answered: the scripts in turn, the last one for ever."""

    port: int = 0
    scripts: list[Script] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    reset_connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]


def answer(status: int, body: bytes = b"", **headers: str) -> Script:
    """Return a script that answers with a status."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return script


def reset(connection: socket.socket) -> None:
    """End a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def handler_for(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with receiver.lock:
                resets = receiver.reset_connections > 0
                receiver.reset_connections -= resets
            if resets:
                reset(self.connection)
                return
            with contextlib.suppress(ConnectionError, ValueError):
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.lock:
                receiver.requests.append(Request(self.path, headers, body))
                script = receiver.scripts.pop(0) if len(receiver.scripts) > 1 else receiver.scripts[0]
            script(self)

        def do_GET(self) -> None:
            with receiver.lock:
                receiver.requests.append(Request(f"GET {self.path}", {}, b""))
            answer(200)(self)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def listening(*scripts: Script) -> Iterator[Receiver]:
    receiver = Receiver(scripts=list(scripts))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(receiver))
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Start receivers that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *scripts: stack.enter_context(listening(*(scripts or (answer(200),))))


def endpoint(name: str, url: str, *secrets: str, events: tuple[str, ...] = EVENT_TYPES) -> Endpoint:
    return Endpoint(name, parse_address(url, "url"), events, secrets or (SECRET,))


@pytest.fixture
def make_outbox(tmp_path: Path) -> Iterator[Callable[..., WebhookOutbox]]:
    with contextlib.ExitStack() as stack:

        def make(*endpoints: Endpoint, **options: int) -> WebhookOutbox:
            outbox = WebhookOutbox(tmp_path / "webhooks" / "outbox.sqlite3", endpoints, **options)
            stack.callback(outbox.close)
            return outbox

        yield make


@pytest.fixture
def make_sender(clock: Clock) -> Callable[..., WebhookSender]:
    """Make senders to loopback, without jitter."""

    def make(outbox: WebhookOutbox, client: WebhookClient | None = None) -> WebhookSender:
        client = client or WebhookClient(parse_policy("1"))
        return WebhookSender(outbox, client, clock=clock, chance=lambda: 0.0)

    return make
