"""A flag sent twice is kept once, and only a trusted proxy says whose address it came from."""

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.errors import SettingsError
from fraud.feedback.limiter import FlagLimiter, LookupLimiter
from fraud.feedback.store import FeedbackStore
from fraud.ids import new_id
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.settings import ServerSettings, read_settings
from fraud.wiring import server_options

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


@asynccontextmanager
async def no_background(_: FastAPI) -> AsyncIterator[None]:
    yield


Make = Callable[..., FraudService]


@pytest.fixture
def make(tmp_path: Path, champion: Champion) -> Make:
    """Return a function that makes another process's service over the same outbox and dataset."""

    def make(**limits: Any) -> FraudService:
        store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
        return FraudService(champion, store, node="test", pseudonym_key=b"key", **limits)

    return make


@pytest.fixture
def client(make: Make) -> Iterator[TestClient]:
    with TestClient(build_api(make(), no_background, lambda: True)) as client:
        yield client


def body(client: Any, **changes: Any) -> dict[str, Any]:
    example = client.get("/v1/examples").json()[0]["transaction"]
    scored = client.post("/v1/score", json={"transaction": example}).json()
    flag = {"prediction_id": scored["prediction_id"], "verdict": "wrong", "label": "fraud", "consent": True}
    return flag | changes


def send(client: Any, flag: dict[str, Any], key: str | None = KEY) -> Any:
    return client.post("/v1/flags", json=flag, headers={} if key is None else {"Idempotency-Key": key})


def test_the_same_flag_with_the_same_key_is_answered_with_the_first_receipt(client: TestClient) -> None:
    flag = body(client)
    first, again = send(client, flag), send(client, flag)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert client.get("/readyz").json()["backlog"] == 1


def test_without_a_key_the_same_words_are_two_flags(client: TestClient) -> None:
    flag = body(client)
    assert send(client, flag, None).json() != send(client, flag, None).json()
    assert client.get("/readyz").json()["backlog"] == 2


def test_another_flag_with_a_used_key_is_a_422(client: TestClient) -> None:
    flag = body(client)
    send(client, flag)
    answer = send(client, flag | {"comment": "more"})
    assert answer.status_code == 422 and answer.json()["code"] == "idempotency_key_reused"
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/readyz").json()["backlog"] == 1


@pytest.mark.parametrize("key", ["short", "x" * 129, "a b c d e f g", "x" * 20_000])
def test_a_key_out_of_bounds_is_a_422_that_names_the_header(client: TestClient, key: str) -> None:
    answer = send(client, body(client), key)
    assert answer.status_code == 422 and answer.json()["problems"][0]["field"] == "Idempotency-Key"


def test_a_restarted_process_answers_the_repeat_though_it_never_saw_the_prediction(
    client: TestClient, make: Make
) -> None:
    flag = body(client)
    first = send(client, flag).json()
    with TestClient(build_api(make(), no_background, lambda: True)) as restarted:
        assert send(restarted, flag, "another-key").status_code == 404
        assert send(restarted, flag).json() == first


def test_a_repeat_tells_where_the_flag_is_now_and_counts_against_no_limit(make: Make) -> None:
    service = make(limiter=FlagLimiter("1/hour", "", b"key"))
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        flag = body(client)
        send(client, flag)
        service.drain()
        again = send(client, flag)
        assert again.status_code == 201 and again.json()["state"] == "committed"
        assert send(client, body(client), "another-key").status_code == 429


def test_one_key_in_many_hands_at_once_is_one_flag(client: TestClient) -> None:
    flag = body(client)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(send(client, flag).json())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["receipt_id"] for answer in answers}) == 1 and len(answers) == 8
    assert client.get("/readyz").json()["backlog"] == 1


def test_a_withdrawal_sent_twice_is_one_withdrawal_without_a_key(client: TestClient) -> None:
    receipt = send(client, body(client)).json()["receipt_id"]
    answers = [client.post("/v1/withdrawals", json={"receipt_id": receipt}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


# Looking for receipts


def test_an_address_may_ask_for_a_few_unknown_receipts_and_for_its_own_as_often_as_it_likes(
    make: Make,
) -> None:
    service = make(lookups=LookupLimiter("3/hour", b"key"))
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        known = send(client, body(client)).json()["receipt_id"]
        asked = [client.post("/v1/withdrawals", json={"receipt_id": new_id("f")}) for _ in range(5)]
        assert [answer.status_code for answer in asked] == [404, 404, 404, 429, 429]
        assert int(asked[-1].headers["retry-after"]) > 0
        assert asked[-1].json()["code"] == "lookups_limited"
        for _ in range(5):
            assert client.post("/v1/withdrawals", json={"receipt_id": known}).status_code == 201


def test_what_is_no_receipt_is_refused_without_a_look_at_the_dataset(make: Make) -> None:
    service = make(lookups=LookupLimiter("1/hour", b"key"))
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        for text in ("", "f_", "\u0000", "nonsense", "f_" + "é" * 26):
            assert client.post("/v1/withdrawals", json={"receipt_id": text}).status_code == 404


# Behind a proxy


@contextmanager
def serving(service: FraudService, trusted: tuple[str, ...]) -> Iterator[httpx.Client]:
    """Serve as app.py does, on a free loopback port."""
    options = server_options(ServerSettings(port=0, trusted_proxies=trusted))
    app = build_api(service, no_background, lambda: True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)


def ask(client: httpx.Client, *forwarded: str) -> int:
    headers = [("X-Forwarded-For", value) for value in forwarded]
    body = {"receipt_id": new_id("f")}
    return client.post("/v1/withdrawals", json=body, headers=headers).status_code


Serve = Callable[[tuple[str, ...]], AbstractContextManager[httpx.Client]]


@pytest.fixture
def serve(make: Make) -> Serve:
    return lambda trusted: serving(make(lookups=LookupLimiter("2/hour", b"key")), trusted)


def test_a_forged_header_moves_no_limit_where_no_proxy_is_trusted(serve: Serve) -> None:
    with serve(()) as client:
        assert [ask(client, f"203.0.113.{i}") for i in range(4)] == [404, 404, 429, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_limit(serve: Serve) -> None:
    with serve(("127.0.0.0/8",)) as client:
        assert [ask(client, "203.0.113.1") for _ in range(3)] == [404, 404, 429]
        assert ask(client, "203.0.113.2") == 404


def test_what_a_client_wrote_before_the_proxy_did_moves_no_limit(serve: Serve) -> None:
    with serve(("127.0.0.0/8",)) as client:
        forged = [f"198.51.100.{i}, 203.0.113.1" for i in range(2)]
        assert [ask(client, value) for value in forged] == [404, 404]
        assert ask(client, "198.51.100.7", "203.0.113.1") == 429
        assert ask(client, "127.0.0.1, 203.0.113.1") == 429


def test_a_peer_outside_the_trusted_networks_is_not_believed(serve: Serve) -> None:
    with serve(("10.0.0.0/8",)) as client:
        assert [ask(client, f"203.0.113.{i}") for i in range(3)] == [404, 404, 429]


def test_proxies_are_read_as_networks_and_none_is_trusted_by_default() -> None:
    assert read_settings({}).server.trusted_proxies == ()
    assert read_settings({"SPACE_ID": "org/space"}).server.trusted_proxies == ()
    found = read_settings({"FRAUD_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,2001:db8::/32"}).server
    assert found.trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")


@pytest.mark.parametrize("bad", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_proxy_that_is_no_network_is_refused_at_the_start(bad: str) -> None:
    with pytest.raises(SettingsError, match="FRAUD_TRUSTED_PROXIES must list"):
        read_settings({"FRAUD_TRUSTED_PROXIES": bad})
