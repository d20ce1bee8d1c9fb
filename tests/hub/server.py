"""The loopback Hub's HTTP side: tokens, faults and a log of what was asked; tests/hub/routes.py answers."""

import json
import random
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.hub.answers import Answer
from tests.hub.routes import route
from tests.hub.storage import Refused, Repo

WRITE_TOKEN = "hf_loopback_write"  # noqa: S105 - known to nobody but the loopback Hub
READ_TOKEN = "hf_loopback_read"  # noqa: S105


@dataclass(frozen=True)
class Asked:
    """One request, as logged."""

    method: str
    url: str
    headers: dict[str, str]
    status: int | None  # None: the connection was dropped


@dataclass
class Fault:
    """What goes wrong where; `times` None means always, `share` of the requests that match."""

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: str = ""  # "before" or "after" the request took effect; "late": it does once the next one arrives
    times: int | None = 1
    share: float = 1.0

    def hits(self, method: str, path: str, chance: random.Random) -> bool:
        if self.times == 0 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if self.share < 1.0 and chance.random() >= self.share:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LoopbackHub:
    """A Hub on 127.0.0.1, in memory; a context manager."""

    def __init__(self, lfs_threshold: int = 1 << 20, page: int = 50, seed: int = 7) -> None:
        self.tokens = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
        self.fine: dict[str, dict[str, Any]] = {}  # token -> what whoami says of it besides its role
        self.repos: dict[tuple[str, str], Repo] = {}
        self.webhooks: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.late: list[tuple[str, bytes]] = []
        self.log: list[Asked] = []
        self.lock = threading.RLock()
        self.chance = random.Random(seed)  # noqa: S311 - reproducible faults
        self.lfs_threshold, self.page = lfs_threshold, page
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def storage_url(self) -> str:
        """Where large files lie: as on the Hub another origin, that must not see the token."""
        return f"http://localhost:{self._port}"

    def __enter__(self) -> "LoopbackHub":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop answering; what is stored stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.drop_all()
            self._server.server_close()
            self._server = None

    def fault(self, method: str, path: str, **what: Any) -> Fault:
        """Let something go wrong from now on."""
        fault = Fault(method, path, **what)
        self.faults.append(fault)
        return fault

    @contextmanager
    def logged(self) -> Any:
        """Collect what is asked inside the block."""
        start = len(self.log)
        asked: list[Asked] = []
        yield asked
        asked.extend(self.log[start:])

    def repo(self, repo_type: str, repo_id: str) -> Repo:
        found = self.repos.get((repo_type, repo_id))
        if found is None:
            raise Refused(404, "RepoNotFound", "Repository not found")
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet; the log is `LoopbackHub.log`."""

    def _serve(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        with self.hub.lock:
            faults = [f for f in self.hub.faults if f.hits(self.command, path, self.hub.chance)]
        with self.hub.lock:
            late = [entry for entry in self.hub.late if entry[0] == self.path]
            self.hub.late = [entry for entry in self.hub.late if entry not in late]
        for _, delayed in late:
            self._answer(delayed)
        for fault in faults:
            time.sleep(fault.delay_s)
            if fault.drop == "late":
                self.hub.late.append((self.path, body))
                return self._drop()
            if fault.drop == "before":
                return self._drop()
            if fault.status is not None and not fault.drop:
                return self._send((fault.status, fault.headers, b""))
        answer = self._answer(body)
        for fault in faults:
            if fault.drop == "after":
                return (
                    self._drop() if fault.status is None else self._send((fault.status, fault.headers, b""))
                )
        return self._send(answer)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, body: bytes) -> Answer:
        try:
            with self.hub.lock:
                return route(self.hub, self, body)
        except Refused as refused:
            headers = {"X-Error-Message": refused.message}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            return refused.status, headers, json.dumps({"error": refused.message}).encode()

    def _drop(self) -> None:
        self._note(None)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer) -> None:
        status, headers, content = answer
        self._note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _note(self, status: int | None) -> None:
        self.hub.log.append(Asked(self.command, self.path, dict(self.headers), status))
