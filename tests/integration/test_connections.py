"""A real server on loopback: clients that send slowly, nothing, or too much stop nobody else."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from fraud.api import connections
from fraud.api.body_limit import BodyLimit, Lane
from fraud.api.connections import connection_options
from fraud.api.headers import SecurityHeaders
from tests.demo import wait_for


@asynccontextmanager
async def nothing(_: FastAPI):
    yield


@pytest.fixture
def released() -> threading.Event:
    """Until it is set, the server holds whoever sends "slow"."""
    return threading.Event()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, released: threading.Event) -> Iterator[uvicorn.Server]:
    from fraud.api import body_limit

    monkeypatch.setattr(connections, "HEADERS_S", 0.5)
    monkeypatch.setattr(connections, "STALL_S", 0.5)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 300)
    monkeypatch.setattr(body_limit, "IDLE_S", 0.5)
    app = FastAPI(lifespan=nothing)
    app.add_middleware(BodyLimit, lanes={"/v1/": Lane(max_bytes=1_000, max_at_once=2)})
    app.add_middleware(SecurityHeaders)

    @app.post("/v1/echo")
    async def echo(http: Request) -> dict[str, int]:
        body = await http.body()
        if body == b"slow":
            while not released.is_set():
                await asyncio.sleep(0.01)
        return {"n": len(body)}

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def pieces():
            for _ in range(2_000):
                yield b"x" * 65_536

        return StreamingResponse(pieces())

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", **connection_options())
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    released.set()
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def address(server: uvicorn.Server) -> tuple[str, int]:
    return server.servers[0].sockets[0].getsockname()[:2]


def post(address: tuple[str, int], body: bytes = b"hi") -> httpx.Response:
    return httpx.post(f"http://{address[0]}:{address[1]}/v1/echo", content=body, timeout=60)


def closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/echo HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000,
    ],
    ids=["nothing", "half of the headers", "headers without end"],
)
def test_a_request_that_never_comes_is_given_up_and_others_are_served(
    address: tuple[str, int], sent: bytes
) -> None:
    held = [socket.create_connection(address) for _ in range(50)]
    for connection in held:
        connection.sendall(sent)
    assert post(address).json() == {"n": 2}
    assert all(closed_within(connection, 10) for connection in held)
    assert post(address).json() == {"n": 2}


def test_a_body_that_stops_is_a_408_and_others_are_served(address: tuple[str, int]) -> None:
    head = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nten bytes."
    held = [socket.create_connection(address) for _ in range(20)]
    for connection in held:
        connection.sendall(head)
    assert post(address).json() == {"n": 2}  # more bodies are being read than are answered at once
    for connection in held:
        connection.settimeout(10)
        answer = connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 408") and b"application/problem+json" in answer
        assert closed_within(connection, 10)


def test_a_client_that_reads_nothing_is_let_go(address: tuple[str, int], server: uvicorn.Server) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(address)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.server_state.connections)
        assert post(address).json() == {"n": 2}
        wait_for(lambda: not server.server_state.connections)  # its own included
        taken = 0
        connection.settimeout(60)
        try:
            while chunk := connection.recv(1_000_000):
                taken += len(chunk)
        except ConnectionError:
            pass
        assert taken < 2_000 * 65_536


def test_a_full_queue_says_when_to_come_again(address: tuple[str, int], released: threading.Event) -> None:
    async def crowd() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"http://{address[0]}:{address[1]}/v1/echo"
            answers = []
            for answer in asyncio.as_completed([client.post(url, content=b"slow") for _ in range(10)]):
                answers.append(await answer)
                if len(answers) == 8:  # all that are turned away
                    released.set()
            return answers

    with ThreadPoolExecutor(1) as own:  # a browser test may keep a loop in this thread
        answers = own.submit(asyncio.run, crowd()).result()
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[:2] == [200, 200] and set(statuses[2:]) == {429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1" and json.loads(refused.text)["code"] == "busy"
    assert post(address).json() == {"n": 2}


def test_many_requests_may_share_a_connection(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as client:
        for n in range(5):
            time.sleep(0.2)  # together longer than the headers of one request may take
            assert client.post("/v1/echo", content=b"x" * n).json() == {"n": n}
