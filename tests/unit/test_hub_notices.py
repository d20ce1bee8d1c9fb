"""The Hub's webhook makes the demo look for a promotion and a trainer for flags; it is trusted no further."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud import cli, cli_cluster
from fraud.api.problems import add_problem_handlers
from fraud.api.receiving import add_hub_notices
from fraud.api.trainer import build_trainer_api
from fraud.settings import read_settings

SECRET = "a-secret-of-the-hubs-webhook"  # noqa: S105
SAID = {"X-Webhook-Secret": SECRET}


def event(kind: str = "model", name: str = "org/models", sha: str | None = "a" * 40) -> dict[str, object]:
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": kind, "name": name},
        "updatedRefs": [{"ref": "refs/heads/main", "newSha": sha}],
    }


class Looking:
    """Counts looks; each waits until it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = threading.Semaphore(0)
        self.free = threading.Semaphore(0)

    def look(self) -> None:
        self.count += 1
        self.begun.release()
        assert self.free.acquire(timeout=10)


@pytest.fixture
def looking() -> Iterator[Looking]:
    looking = Looking()
    yield looking
    for _ in range(100):
        looking.free.release()


def client(looking: Looking, secrets: tuple[str, ...] = (SECRET,)) -> TestClient:
    app = FastAPI()
    add_problem_handlers(app)
    add_hub_notices(app, "model", "org/models", secrets, looking.look)
    return TestClient(app)


def test_a_move_of_our_repository_makes_us_look_before_the_answer_is_waited_for(looking: Looking) -> None:
    answer = client(looking).post("/webhooks/model", json=event(), headers=SAID)
    assert (answer.status_code, answer.json()) == (202, {"reception": "fresh"})
    assert looking.begun.acquire(timeout=10)


@pytest.mark.parametrize(
    "said", [event(name="org/other"), event(kind="dataset"), event(sha=None), event() | {"updatedRefs": []}]
)
def test_what_is_not_a_move_of_ours_costs_no_look(looking: Looking, said: dict[str, object]) -> None:
    answer = client(looking).post("/webhooks/model", json=said, headers=SAID)
    assert (answer.status_code, answer.json()) == (202, {"reception": "ignored"})
    assert not looking.begun.acquire(timeout=0.05)


@pytest.mark.parametrize(
    ("secrets", "headers"),
    [((SECRET,), {}), ((SECRET,), {"X-Webhook-Secret": "x"}), ((), SAID), ((), {"X-Webhook-Secret": ""})],
)
def test_who_does_not_say_the_secret_is_refused(
    looking: Looking, secrets: tuple[str, ...], headers: dict[str, str]
) -> None:
    answer = client(looking, secrets).post("/webhooks/model", json=event(), headers=headers)
    assert answer.status_code == 401 and not looking.begun.acquire(timeout=0.05)


def test_an_event_that_is_sent_a_hundred_times_costs_two_looks(looking: Looking) -> None:
    http = client(looking)
    http.post("/webhooks/model", json=event(), headers=SAID)
    assert looking.begun.acquire(timeout=10)
    for _ in range(100):
        assert http.post("/webhooks/model", json=event(), headers=SAID).status_code == 202
    looking.free.release()
    assert looking.begun.acquire(timeout=10), "what moved during the first look is looked at"
    looking.free.release()
    assert not looking.begun.acquire(timeout=0.05) and looking.count == 2


def test_a_look_that_fails_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    begun = threading.Semaphore(0)

    def look() -> None:
        begun.release()
        raise RuntimeError

    app = FastAPI()
    add_hub_notices(app, "model", "org/models", (SECRET,), look)
    for _ in range(2):
        TestClient(app).post("/webhooks/model", json=event(), headers=SAID)
        assert begun.acquire(timeout=10)


def test_a_trainer_is_woken_by_its_dataset_only() -> None:
    woken = threading.Event()
    settings = read_settings(
        {"FRAUD_DATASET_REPO": "org/feedback", "FRAUD_HUB_WEBHOOK_SECRETS": f"new,{SECRET}"}
    )
    http = TestClient(build_trainer_api(settings, woken.set))
    assert http.get("/healthz").status_code == 200
    http.post("/webhooks/dataset", json=event(), headers=SAID)
    assert http.post("/webhooks/dataset", json=event(), headers={}).status_code == 401
    assert not woken.wait(0.05)
    http.post("/webhooks/dataset", json=event("dataset", "org/feedback"), headers=SAID)
    assert woken.wait(10)


def test_a_trainer_that_listens_waits_at_least_half_a_minute_and_then_for_the_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slept: list[float] = []
    moved = threading.Event()
    moved.set()
    monkeypatch.setattr(cli_cluster.time, "sleep", slept.append)
    cli_cluster._pause(3_600.0, moved)
    assert slept == [30.0] and not moved.is_set(), "the next pause is a whole one again"
    assert cli._parser().parse_args(["trainer", "--listen", "7890"]).listen == 7890
